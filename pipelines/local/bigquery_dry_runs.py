"""A dry run runs nothing: bqemulator 1.4 runs what it does not know to be destructive, whole scripts among it.

Nor does it know that a union, or a query in parentheses, is a SELECT, as BigQuery's `statementType` says.

https://cloud.google.com/bigquery/docs/running-queries#dry-run
"""

from collections.abc import Awaitable, Callable
from typing import Any

from bqemulator.api.routes import jobs
from bqemulator.jobs import executor
from sqlglot import exp

DryRun = Callable[..., Awaitable[dict[str, Any]]]


def apply() -> None:
    """Repair bqemulator in this process; to be called before its server is made."""
    jobs._dry_run_response = _reading_only(jobs._dry_run_response)
    executor._classify_parsed_tree = _queries_too(executor._classify_parsed_tree)


def _queries_too(classify: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda tree: classify(tree) or ("SELECT" if isinstance(tree, exp.Query) else "")


def _reading_only(answer: DryRun) -> DryRun:
    """Let a single SELECT through, which tells its columns by being run; of all else, tell only what it is."""

    async def dry_run(*, bq_sql: str, **rest: Any) -> dict[str, Any]:
        kind = _kind(bq_sql)
        if kind in {"SELECT", *jobs._DESTRUCTIVE_STATEMENT_TYPES}:
            return await answer(bq_sql=bq_sql, **rest)
        body = await answer(bq_sql="", **rest)
        return {**body, "statementType": kind}

    return dry_run


def _kind(sql: str) -> str:
    """Return BigQuery's `statementType` of SQL; what cannot be parsed is a SELECT, and fails like one."""
    statements = executor._parse_script_or_raise(sql).statements
    if len(statements) != 1 or not isinstance(statements[0], executor.SqlStmt):
        return "SCRIPT"
    return executor.classify_statement_type(sql) or "SELECT"
