"""The columns of a view: names, types and descriptions, as its SQL gives them.

A comment above a column of the outermost SELECT describes it; a column without one means what the column
of the same name means in the tables and views that the view reads.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from string import Template

from sqlglot import exp, parse_one
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from schemas import loader

DIALECT = "bigquery"

# A column begins a line; what goes on in further lines is indented deeper, or closes a bracket.
_COLUMN = re.compile(r"  (?!\)|END\b)\S")
_OUTERMOST = re.compile(r"^SELECT\n(.*?)^FROM ", re.DOTALL | re.MULTILINE)
_READS = re.compile(r"\$\{(rows|views)\}\.(\w+)")


class UndescribedColumnError(ValueError):
    """A view's column has no comment, and nothing that the view reads describes it."""


class ViewColumn(loader.Column, frozen=True):
    """A column of a view, its type written as GoogleSQL writes it, arrays and structs included."""


def parsed(sql: str, rows: str = "rows", views: str = "views") -> exp.Select:
    """Return the syntax tree of a view's SQL in datasets of these names.

    Raises:
        sqlglot.errors.ParseError: it is no GoogleSQL.
    """
    return parse_one(Template(sql).substitute(rows=rows, views=views), dialect=DIALECT, into=exp.Select)


def reads(sql: str) -> list[tuple[str, str]]:
    """Return which tables and views a view reads: each as (`rows` or `views`, name), once, in order."""
    return list(dict.fromkeys(_READS.findall(sql)))


@cache
def columns(view: str) -> tuple[ViewColumn, ...]:
    """Return the columns of a view, in its order.

    Raises:
        UndescribedColumnError: a column has no description.
        sqlglot.errors.SqlglotError: the SQL cannot be parsed, or names a column that there is not.
    """
    sql = loader.views()[view]
    sources = {(dataset, name): _source(dataset, name) for dataset, name in reads(sql)}
    tree = parsed(sql)
    comments = dict(zip(tree.named_selects, _comments(sql), strict=True))
    schema = {
        dataset: {
            name: {column.name: column.type for column in known.values()}
            for (where, name), known in sources.items()
            if where == dataset
        }
        for dataset, _ in sources
    }
    qualified = qualify(tree, schema=dict(schema), dialect=DIALECT, quote_identifiers=False)
    typed = annotate_types(qualified, schema=dict(schema), dialect=DIALECT)
    return tuple(
        ViewColumn(
            name=column.alias_or_name,
            type=column.type.sql(DIALECT) if column.type else "",
            mode="NULLABLE",
            description=comments[column.alias_or_name]
            or _inherited(view, column.alias_or_name, sources, comments),
        )
        for column in typed.selects
    )


def _source(dataset: str, name: str) -> Mapping[str, loader.Column]:
    if dataset == "views":
        return {column.name: column for column in columns(name)}
    return {
        column.name: ViewColumn(
            name=column.name,
            type=f"ARRAY<{column.type}>" if column.mode == "REPEATED" else column.type,
            mode=column.mode,
            description=column.description,
        )
        for column in loader.tables()[name].columns
    }


def _comments(sql: str) -> Iterator[str]:
    """Yield what stands above each column of the outermost SELECT; nothing stands above most.

    The parser would lose the comments of some expressions.
    """
    above: list[str] = []
    for line in _OUTERMOST.findall(sql)[-1].splitlines():
        if line.startswith("  --"):
            above.append(line.removeprefix("  --").strip())
        elif _COLUMN.match(line):
            yield " ".join(above)
            above.clear()


def _inherited(
    view: str, column: str, sources: Mapping[tuple[str, str], Mapping[str, loader.Column]], own: Iterable[str]
) -> str:
    """Return what a column means in whatever the view reads that is most like it."""
    alike = sorted(sources.values(), key=lambda known: len(known.keys() & set(own)), reverse=True)
    for known in alike:
        if column in known:
            return known[column].description
    raise UndescribedColumnError(f"views/{view}.sql: {column} has no comment")
