"""Queries of tables and views in GoogleSQL's reference implementation, and whether the local BigQuery agrees."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from google.cloud import bigquery
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeProto
from zetasql.wasi._pb2.zetasql.public.value_pb2 import ValueProto

from schemas import loader
from tests.googlesql import counting, values
from tests.googlesql.engine import Columns, Engine
from tests.googlesql.judge import ROWS, VIEWS, canonical, rendered
from tests.googlesql.published import as_executable

Rows = Iterable[Mapping[str, Any]]

_RELATION = re.compile(rf"`((?:{ROWS}|{VIEWS})\.\w+)`")
_WITH = re.compile(r"\s*WITH\b")
_LEADING_COMMENTS = re.compile(r"(?:\s*--[^\n]*\n)*\s*")
_ORDERED = re.compile(r"\bORDER BY\b[^()]*(?:\([^()]*\)[^()]*)*$")


class Answer(NamedTuple):
    """What a query gave: the types of its columns as SQL writes them, and its rows in their order."""

    types: dict[str, str]
    rows: list[dict[str, Any]]


class Relation(NamedTuple):
    """The content of a table or view."""

    columns: Columns
    rows: ValueProto
    """An ARRAY of STRUCT."""


class Reference:
    """The tables and views of a target, as long as nobody writes to the tables."""

    def __init__(self, engine: Engine, read: Callable[[str], Rows]) -> None:
        """Know where the rows are: `read` returns those of a table, with all its columns."""
        self._engine = engine
        self._read = read
        self._relations: dict[str, Relation] = {}

    def query(self, sql: str, parameters: Mapping[str, tuple[str, Any]] | None = None) -> Answer:
        """Return what a query of tables and views gives; parameters have a BigQuery type and a value.

        Raises:
            RefusedError: GoogleSQL does not take it, or it fails.
        """
        text = canonical(sql)
        kinds = {name: values.typed(kind) for name, (kind, _) in (parameters or {}).items()}
        given = {name: values.encoded(value, kinds[name]) for name, (_, value) in (parameters or {}).items()}
        columns, rows = self._evaluated(text, kinds, given)
        counting.count(counting.EXECUTED, text)
        counting.count(counting.VIEWS, *(name for name in self._relations if name.startswith(f"{VIEWS}.")))
        types = {name: values.spelled(kind) for name, kind in columns.items()}
        return Answer(types, [values.decoded(columns, row) for row in rows])

    def _evaluated(
        self, sql: str, kinds: Mapping[str, TypeProto], given: Mapping[str, ValueProto]
    ) -> tuple[Columns, Sequence[ValueProto]]:
        """Evaluate a query to which whatever it reads is a parameter.

        GoogleSQL takes a second to analyze what views come to, and little to evaluate it. So each view is prepared
        once for all rows that it is ever asked of, which tables of a catalog do not allow.
        """
        names = sorted(set(_RELATION.findall(sql)))
        read = {f"relation_{number}": self._relation(name) for number, name in enumerate(names)}
        text = _with(dict(zip(names, read, strict=True)), as_executable(sql))
        of_relations = {parameter: values.array_of(relation.columns) for parameter, relation in read.items()}
        prepared = self._engine.prepare(text, {**of_relations, **kinds})
        rows = prepared.evaluate({**{name: relation.rows for name, relation in read.items()}, **given})
        return prepared.columns, rows

    def _relation(self, full_name: str) -> Relation:
        if full_name not in self._relations:
            name = full_name.rpartition(".")[2]
            if full_name.startswith(f"{VIEWS}."):
                columns, rows = self._evaluated(rendered(loader.views()[name]), {}, {})
            else:
                spec = loader.tables()[name]
                columns = {column.name: values.typed(column.type, column.mode) for column in spec.columns}
                rows = [values.row(columns, each) for each in self._read(name)]
            self._relations[full_name] = Relation(columns, values.array(rows))
        return self._relations[full_name]


def _with(parameters: Mapping[str, str], sql: str) -> str:
    """Return a query in which parameters are the relations that it reads."""
    body = _LEADING_COMMENTS.sub("", sql, count=1)
    if not parameters:
        return body
    brought = ", ".join(f"`{name}` AS (SELECT * FROM UNNEST(@{each}))" for name, each in parameters.items())
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
