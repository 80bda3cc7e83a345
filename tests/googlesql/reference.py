"""Queries of tables and views in GoogleSQL's reference implementation, and whether the local BigQuery agrees."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from google.cloud import bigquery

from schemas import loader
from tests.googlesql import values
from tests.googlesql.engine import Catalog, Engine
from tests.googlesql.judge import ROWS, VIEWS, canonical, rendered
from tests.googlesql.published import as_executable

Rows = Iterable[Mapping[str, Any]]

_VIEW = re.compile(rf"`{VIEWS}\.(\w+)`")
_TABLE = re.compile(rf"`{ROWS}\.(\w+)`")
_WITH = re.compile(r"\s*WITH\b")
_LEADING_COMMENTS = re.compile(r"(?:\s*--[^\n]*\n)*\s*")
_ORDERED = re.compile(r"\bORDER BY\b[^()]*(?:\([^()]*\)[^()]*)*$")


class Answer(NamedTuple):
    """What a query gave: the types of its columns as SQL writes them, and its rows in their order."""

    types: dict[str, str]
    rows: list[dict[str, Any]]


class Reference:
    """The tables and views of a target, as long as nobody writes to the tables."""

    def __init__(self, engine: Engine, read: Callable[[str], Rows]) -> None:
        """Know where the rows are: `read` returns those of a table, with all its columns."""
        self._engine = engine
        self._read = read
        self._columns = {
            name: {column.name: values.typed(column.type, column.mode) for column in spec.columns}
            for name, spec in loader.tables().items()
        }
        self._data: dict[str, Any] = {}
        self._catalogs: dict[frozenset[str], Catalog] = {}

    def query(self, sql: str, parameters: Mapping[str, tuple[str, Any]] | None = None) -> Answer:
        """Return what a query of tables and views gives; parameters have a BigQuery type and a value.

        Raises:
            RefusedError: GoogleSQL does not take it, or it fails.
        """
        text = as_executable(with_views(canonical(sql)))
        typed = {name: (values.typed(kind), value) for name, (kind, value) in (parameters or {}).items()}
        columns, data = self._catalog(frozenset(_TABLE.findall(text))).evaluate(
            text, {name: (kind, values.encoded(value, kind)) for name, (kind, value) in typed.items()}
        )
        types = {name: values.spelled(kind) for name, kind in columns.items()}
        return Answer(types, list(values.rows(columns, data)))

    def _catalog(self, names: frozenset[str]) -> Catalog:
        if names not in self._catalogs:
            for name in names - self._data.keys():
                columns = self._columns[name]
                rows = ([row[column] for column in columns] for row in self._read(name))
                self._data[name] = values.table(columns, rows)
            self._catalogs[names] = self._engine.register(
                {f"{ROWS}.{name}": self._columns[name] for name in names},
                {f"{ROWS}.{name}": self._data[name] for name in names},
            )
        return self._catalogs[names]


def with_views(sql: str) -> str:
    """Return a query that brings the views that it reads, and those that they read."""
    text = _LEADING_COMMENTS.sub("", sql, count=1)
    views: dict[str, str] = {}

    def visit(part: str) -> str:
        for name in dict.fromkeys(_VIEW.findall(part)):
            if name not in views:
                views[name] = visit(rendered(loader.views()[name]))
                views[name] = views.pop(name)  # Behind those that it reads.
        return _VIEW.sub(r"`view \1`", part)

    body = visit(text)
    if not views:
        return body
    brought = ",\n".join(f"`view {name}` AS (\n{view}\n)" for name, view in views.items())
    own = _WITH.match(body)
    return f"WITH {brought}{',' if own else ''}\n{body[own.end() :] if own else body}"


def disagreement(answer: Answer, rows: Sequence[Mapping[str, Any]], schema: Sequence[bigquery.SchemaField]) -> str:
    """Return how the local BigQuery's rows differ from the reference implementation's; empty where they do not."""
    types = {
        field.name: values.spelled(values.typed(field.field_type, field.mode, field.fields)) for field in schema
    }
    if types != answer.types:
        return f"columns are {types}, not {answer.types}"
    ours, theirs = (Counter(map(_comparable, each)) for each in (rows, answer.rows))
    lines = [f"  {sign} {row}" for sign, few in (("-", theirs - ours), ("+", ours - theirs)) for row in few]
    return "\n".join(sorted(lines)[:20])


def out_of_order(sql: str, answer: Answer, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the same rows of a query with an order come in another one."""
    return bool(_ORDERED.search(sql)) and [*map(_comparable, rows)] != [*map(_comparable, answer.rows)]


def _comparable(row: Mapping[str, Any]) -> str:
    return repr(dict(row))


def parameters_of(config: bigquery.QueryJobConfig | None) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield the parameters of a query by name, each with its type."""
    for parameter in config.query_parameters if config else ():
        yield parameter.name, (parameter.type_, parameter.value)
