"""Queries of tables and views in GoogleSQL's reference implementation, and whether the local BigQuery agrees."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from google.cloud import bigquery

from schemas import loader
from tests.googlesql import counting, values
from tests.googlesql.engine import Catalog, Engine, Result
from tests.googlesql.judge import ROWS, VIEWS, canonical, rendered
from tests.googlesql.published import as_executable

Rows = Iterable[Mapping[str, Any]]

_VIEW = re.compile(rf"`{VIEWS}\.(\w+)`")
_RELATION = re.compile(rf"`((?:{ROWS}|{VIEWS})\.\w+)`")
_BROUGHT = re.compile(r"`view (\w+)` AS \(")
_WITH = re.compile(r"\s*WITH\b")
_LEADING_COMMENTS = re.compile(r"(?:\s*--[^\n]*\n)*\s*")
_ORDERED = re.compile(r"\bORDER BY\b[^()]*(?:\([^()]*\)[^()]*)*$")


class Answer(NamedTuple):
    """What a query gave: the types of its columns as SQL writes them, and its rows in their order."""

    types: dict[str, str]
    rows: list[dict[str, Any]]


class Reference:
    """The tables and views of a target, as long as nobody writes to the tables."""

    def __init__(self, engine: Engine, read: Callable[[str], Rows], *, keep_views: bool = False) -> None:
        """Know where the rows are: `read` returns those of a table, with all its columns.

        To keep what views give takes longer for one query, and less time for many.
        """
        self._engine = engine
        self._read = read
        self._keep_views = keep_views
        self._columns = {
            name: {column.name: values.typed(column.type, column.mode) for column in spec.columns}
            for name, spec in loader.tables().items()
        }
        self._contents: dict[str, Result] = {}
        self._catalogs: dict[frozenset[str], Catalog] = {}

    def query(self, sql: str, parameters: Mapping[str, tuple[str, Any]] | None = None) -> Answer:
        """Return what a query of tables and views gives; parameters have a BigQuery type and a value.

        Raises:
            RefusedError: GoogleSQL does not take it, or it fails.
        """
        text = as_executable(canonical(sql) if self._keep_views else with_views(canonical(sql)))
        typed = {name: (values.typed(kind), value) for name, (kind, value) in (parameters or {}).items()}
        columns, data = self._catalog(text).evaluate(
            text, {name: (kind, values.encoded(value, kind)) for name, (kind, value) in typed.items()}
        )
        counting.count(counting.EXECUTED, text)
        counting.count(counting.VIEWS, *_BROUGHT.findall(text), *_VIEW.findall(text))
        types = {name: values.spelled(kind) for name, kind in columns.items()}
        return Answer(types, list(values.rows(columns, data)))

    def _catalog(self, text: str) -> Catalog:
        """Return what a query reads."""
        names = frozenset(_RELATION.findall(text))
        if names not in self._catalogs:
            contents = {name: self._content(name) for name in names}
            columns = {name: columns for name, (columns, _) in contents.items()}
            self._catalogs[names] = self._engine.register(columns, {name: d for name, (_, d) in contents.items()})
        return self._catalogs[names]

    def _content(self, full_name: str) -> Result:
        if full_name not in self._contents:
            name = full_name.rpartition(".")[2]
            if full_name.startswith(f"{VIEWS}."):
                text = as_executable(rendered(loader.views()[name]))
                self._contents[full_name] = self._catalog(text).evaluate(text)
            else:
                columns = self._columns[name]
                rows = ([row[column] for column in columns] for row in self._read(name))
                self._contents[full_name] = Result(columns, values.table(columns, rows))
        return self._contents[full_name]


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
