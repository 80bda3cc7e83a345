"""What a statement changes."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import sqlglot
import sqlglot.errors
from bqemulator.jobs import executor
from sqlglot import exp

from pipelines.local.bigquery_shapes import shape

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
    is_inserting, targets = _change(sql, project)
    return () if is_inserting else targets


def written_by(sql: str, project: str) -> Sequence[Table]:
    """Return the tables of which a statement inserts, changes or deletes rows."""
    return _change(sql, project)[1]


def _change(sql: str, project: str) -> tuple[bool, Sequence[Table]]:
    of = shape(sql)
    is_inserting, targets = _change_of_shape(of.sql, project)
    return is_inserting, [target._replace(dataset=of.filled(target.dataset)) for target in targets]


@functools.lru_cache(maxsize=4_096)
def _change_of_shape(sql: str, project: str) -> tuple[bool, Sequence[Table]]:
    """Return whether a statement only inserts, and the tables that it writes to."""
    try:
        tree = sqlglot.parse_one(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return False, ()
    if not executor._is_dml(tree):
        return False, ()
    targets = [Table(*parts) for parts in executor._dml_target_tables(tree, project)]
    return isinstance(tree, _INSERTING), targets
