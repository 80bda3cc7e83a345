"""Makes the local BigQuery refuse a query that would read more than `maximum_bytes_billed` allows.

BigQuery estimates before it runs a query, by columns and partitions and leaving clustering aside, so that a query
can be refused that would have been billed less. The estimate here is `schemas.scans` over the rows that are there.
Of queries that read other tables than Parley's there is none.

https://cloud.google.com/bigquery/docs/best-practices-costs#restrict-bytes-billed
https://cloud.google.com/bigquery/docs/clustered-tables
"""

import datetime as dt
import re
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bqemulator.api.routes import jobs
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot.errors import SqlglotError

from schemas import loader
from schemas.scans import Scan, scans

_SMALLEST: Final = 10 * 2**20
"""What a query is billed for each table that it reads at least, in bytes."""
_ROUNDED: Final = 2**20
_COMPRESSED: Final = 100
"""A file of DuckDB holds at most so many times its bytes."""
_NAME: Final = re.compile(r"`(?P<project>[\w-]+)\.(?P<dataset>\w+)\.(?P<table>\w+)`")
_SIZES: Final = {
    "STRING": "2 + strlen({0})",
    "BYTES": "2 + octet_length({0})",
    "REPEATED": "4 + list_sum(list_transform({0}, each -> 2 + strlen(each)))",
}
"""Logical bytes of a value, as Google counts them: https://cloud.google.com/bigquery/pricing#data"""


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    jobs._execute_query_or_failed_meta = _within_limit(jobs._execute_query_or_failed_meta)


def _within_limit(execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(**job: Any) -> Any:
        limit = int(job["query_config"].get("maximumBytesBilled") or 0)
        needed = estimate(job["bq_sql"], job["query_params"] or [], job["ctx"].engine, limit) if limit else 0
        if needed <= limit:
            return await execute(**job)
        return jobs._failed_job_meta(
            project_id=job["project_id"],
            job_id=job["job_id"],
            job_type="QUERY",
            config=job["config"],
            error_result={
                "reason": "bytesBilledLimitExceeded",
                "message": f"Query exceeded limit for bytes billed: {limit}. {needed} or higher required.",
            },
            now=job["ctx"].clock.now(),
        )

    return run


def estimate(sql: str, parameters: Sequence[Mapping[str, Any]], engine: Any, limit: int) -> int:
    """Return the bytes that a query would be billed for; 0 where it cannot be more than a limit, or is unknown."""
    if limit >= max(2**30, _COMPRESSED * Path(engine._resolve_path()).stat().st_size):
        return 0
    datasets = {found["dataset"]: found["project"] for found in _NAME.finditer(sql)}
    rows = {name.removesuffix("_rows") for name in datasets if name.endswith("parley_rows")}
    rows |= {name for name in datasets if name.endswith("parley")}
    if len(rows) != 1:
        return 0
    (name,), project = rows, next(iter(datasets.values()))
    place = (project, f"{name}_rows")
    plain = _NAME.sub(lambda it: f"`{'views' if it['dataset'] == name else 'rows'}.{it['table']}`", sql)
    try:
        found = scans(plain, dict(_values(parameters)), _days(engine, place))
    except SqlglotError:
        return 0
    return sum(max(_SMALLEST, -(-_read(engine, place, scan) // _ROUNDED) * _ROUNDED) for scan in found)


def _values(parameters: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield what parameters a partition can be compared with."""
    for parameter in parameters:
        kind, value = parameter["parameterType"].get("type"), parameter["parameterValue"].get("value")
        if kind == "DATE" and value:
            yield parameter["name"], dt.date.fromisoformat(value)
        elif kind == "TIMESTAMP" and value:
            moment = dt.datetime.fromisoformat(value)
            yield parameter["name"], moment.replace(tzinfo=moment.tzinfo or dt.UTC)


class _Measured:
    """How large the columns of a table are, by day: measured again when there are other rows in it.

    To measure a table of a million rows takes longer than most queries of it.
    """

    def __init__(self, engine: Any, table: str, spec: loader.TableSpec, version: tuple[Any, ...]) -> None:
        self._table, self._spec, self.version = table, spec, version
        partition = spec.resource.get("timePartitioning")
        self._day = f"CAST({partition['field']} AS DATE)" if partition else "NULL"
        self._sizes: dict[str, dict[dt.date | None, int]] = {}
        self.days: frozenset[dt.date] = frozenset()
        if partition:
            found = engine.execute(f"SELECT DISTINCT {self._day} FROM {table}").fetchall()  # noqa: S608
            self.days = frozenset(row[0] for row in found if row[0] is not None)

    def bytes(self, engine: Any, columns: frozenset[str], days: frozenset[dt.date] | None) -> int:
        """Return the bytes of columns in the partitions of some days; in all of them where that is None."""
        for column in self._spec.columns:
            if column.name in columns - self._sizes.keys():
                kind = "REPEATED" if column.mode == "REPEATED" else column.type
                size = _SIZES.get(kind, "8").format(f'"{column.name}"')
                sql = f"SELECT {self._day} AS day, SUM({size}) FROM {self._table} GROUP BY day"  # noqa: S608
                self._sizes[column.name] = {day: int(total or 0) for day, total in engine.execute(sql).fetchall()}
        of_columns = (self._sizes[name] for name in columns & self._sizes.keys())
        return sum(size for by_day in of_columns for day, size in by_day.items() if days is None or day in days)


_measured: weakref.WeakKeyDictionary[Any, dict[str, _Measured]] = weakref.WeakKeyDictionary()


def _measure(engine: Any, place: tuple[str, str], name: str) -> _Measured:
    table = quoted_table_ref(*place, name)
    # Rows that are deleted are fewer, and rows that are added have higher numbers.
    version = engine.execute(f"SELECT COUNT(*), MAX(rowid) FROM {table}").fetchone()  # noqa: S608
    of_engine = _measured.setdefault(engine, {})
    if table not in of_engine or of_engine[table].version != version:
        of_engine[table] = _Measured(engine, table, loader.tables()[name], version)
    return of_engine[table]


def _days(engine: Any, place: tuple[str, str]) -> frozenset[dt.date]:
    """Return the days of which any table has a partition."""
    partitioned = (name for name, spec in loader.tables().items() if "timePartitioning" in spec.resource)
    return frozenset().union(*(_measure(engine, place, name).days for name in partitioned))


def _read(engine: Any, place: tuple[str, str], scan: Scan) -> int:
    return _measure(engine, place, scan.table).bytes(engine, scan.columns, scan.days)
