"""Reads the tables and views of this folder: what BigQuery holds, described column by column."""

import json
from functools import cache
from importlib import resources
from typing import Any

import msgspec


class Column(msgspec.Struct, frozen=True):
    """A column of a table."""

    name: str
    type: str
    """A GoogleSQL type: STRING, INT64, TIMESTAMP, DATE, BYTES."""
    mode: str
    """REQUIRED, NULLABLE or REPEATED."""
    description: str


class TableSpec(msgspec.Struct, frozen=True):
    """A table as `tables/<name>.json` describes it."""

    name: str
    description: str
    columns: tuple[Column, ...]
    resource: dict[str, Any]
    """The file's content: a BigQuery Table resource without its reference.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
    """


@cache
def tables() -> dict[str, TableSpec]:
    """Return every table by name."""
    return {name: _table(name, json.loads(text)) for name, text in _files("tables", ".json")}


@cache
def views() -> dict[str, str]:
    """Return every view's SQL by name.

    `${rows}` and `${views}` stand for the datasets, as `string.Template` writes placeholders; the
    comment lines at the top are the view's description.
    """
    return dict(_files("views", ".sql"))


def view_description(sql: str) -> str:
    """Return what the comment lines at the top of a view's SQL say, on one line."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


def _table(name: str, resource: dict[str, Any]) -> TableSpec:
    return TableSpec(
        name=name,
        description=resource["description"],
        columns=tuple(msgspec.convert(resource["schema"]["fields"], list[Column])),
        resource=resource,
    )


def _files(folder: str, suffix: str) -> list[tuple[str, str]]:
    entries = resources.files(__package__).joinpath(folder).iterdir()
    files = {entry.name.removesuffix(suffix): entry for entry in entries if entry.name.endswith(suffix)}
    return [(name, files[name].read_text("utf-8")) for name in sorted(files)]
