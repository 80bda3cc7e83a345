"""Spares bqemulator 1.4 looking through statements for what cannot be in them.

It parses each statement again for every kind of statement that it knows, and each script as a whole. It also
writes each query into its database, though what it found is kept in memory alone: nobody can ask for it later.
"""

import re
from collections.abc import Callable
from typing import Any

from bqemulator.api.routes import jobs
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.jobs import executor

from pipelines.local.bigquery_shapes import by_shape
from pipelines.local.bigquery_statements import written_by


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    kind = by_shape(executor.classify_statement_type)
    executor.classify_statement_type = jobs.classify_statement_type = kind
    creating, dropping = _only_with("CREATE"), _only_with("DROP")
    ddl_sync._detect_catalog_drop = dropping(ddl_sync._detect_catalog_drop, None)
    ddl_sync._detect_create_schema = creating(ddl_sync._detect_create_schema, None)
    ddl_sync._detect_plain_create_view = creating(ddl_sync._detect_plain_create_view, (None, None))
    ddl_sync._detect_plain_create_table = creating(ddl_sync._detect_plain_create_table, None)
    refuse, capture = executor._reject_dml_on_immutable, executor._capture_dml_snapshots

    def refuse_changes(project_id: str, bq_sql: str, ctx: Any) -> None:
        if written_by(bq_sql, project_id):
            refuse(project_id, bq_sql, ctx)

    async def capture_changes(project_id: str, bq_sql: str, ctx: Any) -> None:
        if written_by(bq_sql, project_id):
            await capture(project_id, bq_sql, ctx)

    executor._reject_dml_on_immutable = refuse_changes
    executor._capture_dml_snapshots = capture_changes
    write = DuckDBCatalogRepository._write_job

    def write_change(catalog: Any, job: Any) -> None:
        if job.statistics.get("query", {}).get("statementType") != "SELECT":
            write(catalog, job)

    DuckDBCatalogRepository._write_job = write_change


def _only_with(word: str) -> Callable[[Callable[..., Any], Any], Callable[..., Any]]:
    """Return what makes of a search one that finds nothing, at once, in statements without a word."""
    written = re.compile(rf"\b{word}\b", re.IGNORECASE)

    def quick(search: Callable[..., Any], nothing: Any) -> Callable[..., Any]:
        return lambda sql, *more: search(sql, *more) if written.search(sql) else nothing

    return quick
