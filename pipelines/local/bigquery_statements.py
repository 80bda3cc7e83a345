"""What a statement changes."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlglot
import sqlglot.errors
from bqemulator.jobs import executor
from sqlglot import exp

_INSERTING = (exp.Insert, exp.Copy)


class Table(NamedTuple):
    """A table, by its full name."""

    project: str
    dataset: str
    name: str

    def __str__(self) -> str:
        """Write it as BigQuery does in what it refuses."""
        return f"{self.project}:{self.dataset}.{self.name}"


def changed_by(sql: str, project: str) -> Sequence[Table]:
    """Return the tables of which a statement changes or deletes rows; rows that it inserts change none.

    That is UPDATE, DELETE, MERGE and TRUNCATE; names without a project are of the given one.
    """
    tree = _parsed(sql)
    return () if tree is None or isinstance(tree, _INSERTING) else _targets(tree, project)


def written_by(sql: str, project: str) -> Sequence[Table]:
    """Return the tables of which a statement inserts, changes or deletes rows."""
    tree = _parsed(sql)
    return () if tree is None else _targets(tree, project)


def _parsed(sql: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return None


def _targets(tree: exp.Expr, project: str) -> Sequence[Table]:
    if not executor._is_dml(tree):
        return ()
    return [Table(*parts) for parts in executor._dml_target_tables(tree, project)]
