"""Makes the local BigQuery refuse a job that would put rows into more partitions of a table than BigQuery lets it.

https://cloud.google.com/bigquery/quotas#partitioned_tables
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.storage.sql_identifiers import quoted_table_ref

from pipelines.local.bigquery_statements import Table

MOST: Final = 4_000
"""Partitions of a table that one job may change."""


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    begin = executor._apply_load_write_disposition

    def begin_load(job: Any, ctx: Any) -> None:
        _check_load(job, ctx)
        begin(job, ctx)

    executor._apply_load_write_disposition = begin_load


@contextmanager
def few_enough(ctx: Any, written: Sequence[Table]) -> Iterator[None]:
    """Let a block insert rows into tables, but not into too many partitions of one.

    Raises:
        InvalidQueryError: it has; its transaction must be rolled back.
    """
    last: dict[Table, int] = {}
    for table in written:
        if _partition(ctx, table):
            sql = f"SELECT COALESCE(MAX(rowid), -1) FROM {quoted_table_ref(*table)}"  # noqa: S608
            last[table] = ctx.engine.execute(sql).fetchone()[0]
    yield
    for table, row in last.items():
        # What a statement inserts lies behind what was there.
        found = f"(SELECT * FROM {quoted_table_ref(*table)} WHERE rowid > {row})"  # noqa: S608
        _check(ctx, _partition(ctx, table), found)


def _check_load(job: Any, ctx: Any) -> None:
    """Refuse a load of Parquet files by what is in them, since a job's rows are stored file by file."""
    partition = _partition(ctx, Table(job.project_id, job.dataset_id, job.table_id))
    if partition and job.source_format == "PARQUET" and job.source_uris:
        paths = [executor._resolve_uri(uri, ctx) for uri in job.source_uris]
        _check(ctx, partition, "read_parquet(?)", paths)


def _partition(ctx: Any, table: Table) -> str:
    """Return what tells a row's partition, in DuckDB's SQL; nothing where the table has none."""
    described = ctx.catalog.get_table(*table)
    by = described and described.time_partitioning
    return f"DATE_TRUNC('{by.type}', \"{by.field}\")" if by and by.field else ""


def _check(ctx: Any, partition: str, rows: str, *values: Any) -> None:
    sql = f"SELECT COUNT(DISTINCT {partition}) FROM {rows}"  # noqa: S608
    (count,) = ctx.engine.execute(sql, list(values) or None).fetchone()
    if count > MOST:
        raise InvalidQueryError(
            f"Too many partitions produced by query, allowed {MOST}, query produces at least {count} partitions",
            location="query",
        )
