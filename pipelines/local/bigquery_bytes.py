"""Makes the local BigQuery refuse a query that would read more than `maximum_bytes_billed` allows.

BigQuery estimates before it runs a query, by columns and partitions and leaving clustering aside, so that a query
can be refused that would have been billed less. The estimate here is `schemas.scans` over the rows that are there.
Of queries that read other tables than Parley's there is none.

https://cloud.google.com/bigquery/docs/best-practices-costs#restrict-bytes-billed
https://cloud.google.com/bigquery/docs/clustered-tables
"""

import datetime as dt
import re
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


def _days(engine: Any, place: tuple[str, str]) -> frozenset[dt.date]:
    """Return the days of which any table has a partition."""
    days: set[dt.date] = set()
    for name, spec in loader.tables().items():
        if partition := spec.resource.get("timePartitioning"):
            day = f"CAST({partition['field']} AS DATE)"
            sql = f"SELECT DISTINCT {day} FROM {quoted_table_ref(*place, name)}"  # noqa: S608
            days.update(row[0] for row in engine.execute(sql).fetchall() if row[0] is not None)
    return frozenset(days)


def _read(engine: Any, place: tuple[str, str], scan: Scan) -> int:
    spec = loader.tables()[scan.table]
    sizes = [
        _SIZES.get("REPEATED" if column.mode == "REPEATED" else column.type, "8").format(f'"{column.name}"')
        for column in spec.columns
        if column.name in scan.columns
    ]
    of_days, values = "", []
    if scan.days is not None:
        of_days = f" WHERE list_contains(?, CAST({spec.resource['timePartitioning']['field']} AS DATE))"
        values = [sorted(scan.days)]
    total = " + ".join(f"COALESCE({size}, 0)" for size in sizes) or "0"
    sql = f"SELECT SUM({total}) FROM {quoted_table_ref(*place, scan.table)}{of_days}"  # noqa: S608
    return int(engine.execute(sql, values or None).fetchone()[0] or 0)
