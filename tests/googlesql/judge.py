"""Whether GoogleSQL accepts a statement, over the tables and views of `schemas/`, in whatever datasets they are.

The local BigQuery translates to DuckDB and forgives what Google refuses.
"""

import re
from collections.abc import Iterable, Iterator
from string import Template
from typing import Any

from google.cloud import bigquery

from pipelines.bigquery.deploy import in_dependency_order
from pipelines.reprocess import staging
from schemas import loader
from tests.googlesql import counting, values
from tests.googlesql.engine import Analyzed, Catalog, Columns, Engine
from tests.googlesql.published import as_published

PROJECT = "parley-test"
ROWS = f"{PROJECT}.parley_rows"
VIEWS = f"{PROJECT}.parley"
RUN = f"{PROJECT}.parley_run"
"""By these names datasets are known here: of rows, of views, and of any run of reprocessing."""

_NAMES = re.compile(r"`[\w-]+\.(?P<dataset>\w+)\.(?P<name>\w+)`")
_LITERAL = re.compile(r"'[^'\n]*'")
_NUMBER = re.compile(r"\b[0-9a-f]{8,}\b|\d+")
_CREATED = re.compile(r"CREATE (?:OR REPLACE )?TABLE `(?P<name>[\w.-]+)`")
_IF = re.compile(r"IF (?P<condition>.*) THEN RAISE USING MESSAGE = '[^']*'; END IF", re.S)


def rendered(sql: str) -> str:
    """Return a view's SQL as it is deployed."""
    return Template(sql).substitute(rows=ROWS, views=VIEWS)


def canonical(sql: str) -> str:
    """Return a statement with the datasets' names of this module in the place of a target's."""

    def known(found: "re.Match[str]") -> str:
        dataset = found["dataset"]
        of = ROWS if dataset.endswith("parley_rows") else VIEWS if dataset.endswith("parley") else RUN
        return f"`{of}.{found['name']}`"

    return _NAMES.sub(known, sql)


def shape(sql: str) -> str:
    """Return what a statement has in common with those that differ only in times, counts and ids told as text.

    GoogleSQL takes all of them or none: it looks at the type of a literal.
    """
    return _LITERAL.sub(lambda literal: _NUMBER.sub("0", literal[0]), canonical(sql))


class Judge:
    """Analyzes statements."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tables: dict[str, Columns] = {}
        self._registered: dict[bool, Catalog] = {}
        self._accepted: dict[tuple[str, bool], Analyzed] = {}
        self.views: list[str] = []
        """The views that are known."""
        for name, spec in loader.tables().items():
            columns = {column.name: values.typed(column.type, column.mode) for column in spec.columns}
            self._tables |= dict.fromkeys((f"{ROWS}.{name}", f"{RUN}.{name}", f"{RUN}.before_{name}"), columns)
        for name, schema in staging.SCHEMAS.items():
            self._tables[f"{RUN}.{name}"] = {column: _typed(kind) for column, kind in schema.items()}

    def add_views(self) -> None:
        """Analyze every view after those that it reads.

        Raises:
            RefusedError: GoogleSQL does not take one.
        """
        names = in_dependency_order(loader.views())
        for name in names:
            self._tables[f"{VIEWS}.{name}"] = self.analyze(rendered(loader.views()[name])).columns
            self._registered.clear()
        self.views = names

    def analyze(self, sql: str, *, has_default_dataset: bool = False) -> Analyzed:
        """Return a statement as GoogleSQL resolves it; parameters have whatever type it infers.

        With a default dataset, the name of a view may stand alone.

        Raises:
            RefusedError: GoogleSQL does not take it; the message says where and why.
        """
        text = canonical(sql.strip())
        # What was accepted is accepted: tables are only added.
        if known := self._accepted.get((text, has_default_dataset)):
            return known
        analyzed = self._catalog(has_default_dataset).analyze(as_published(text))
        self._accepted[text, has_default_dataset] = analyzed
        counting.count(counting.ANALYZED, text)
        if (created := _CREATED.match(text)) and created["name"] not in self._tables:
            self._tables[created["name"]] = analyzed.columns
            self._registered.clear()
        return analyzed

    def know(self, name: str, columns: Iterable[bigquery.SchemaField]) -> None:
        """Know a run's table that no statement has made."""
        self._tables[f"{RUN}.{name}"] = {c.name: values.typed(c.field_type, c.mode, c.fields) for c in columns}
        self._registered.clear()

    def _catalog(self, has_default_dataset: bool) -> Catalog:
        if has_default_dataset not in self._registered:
            tables = dict(self._tables)
            if has_default_dataset:
                tables |= {name: self._tables[f"{VIEWS}.{name}"] for name in loader.views()}
            self._registered[has_default_dataset] = self._engine.register(tables)
        return self._registered[has_default_dataset]


def statements(script: str) -> Iterator[str]:
    """Yield the SQL statements of a script as BigQuery would run them, without what only steers the script.

    A condition (`IF … THEN`) is judged as a query.
    """
    for part in script.split(";\n"):
        text = part.strip().removesuffix(";").strip()
        if condition := _IF.fullmatch(text):
            yield f"SELECT {condition['condition']}"
        elif text:
            yield text


def _typed(kind: str) -> Any:
    repeated = kind.startswith("REPEATED ")
    return values.typed(kind.removeprefix("REPEATED "), "REPEATED" if repeated else "NULLABLE")
