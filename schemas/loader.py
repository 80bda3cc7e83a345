"""Reads the tables and views of this folder: what BigQuery holds, described column by column."""

import json
from functools import cache
from importlib import resources
from string import Template
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


COUNTED = "counted_"
"""How the names of the views begin of which every other view is made: of each table the rows that count."""
SEEN = "seen_"
"""How the names of the views begin that give every sighting, whether it counts or not."""
SIGHTINGS = ("channels", "contacts", "conversations")
"""What is seen: sightings have rows of their own only where no message and no metadata tells them."""
_LEDGERS = frozenset({"events", "dead_letters"})
_NOT_COUNTED = frozenset(
    {
        "actor_names",
        "alias_decisions",
        "erasures",
        "rates",
        "reprocessing_lock",
        "resolved_contacts",
        "retold",
        "runs",
        "superseded",
        "suppressions",
    }
)


@cache
def views() -> dict[str, str]:
    """Return every view's SQL by name, those of rows that count (`counted.sql`) among them.

    `resolved.sql` makes one contact, and one conversation, of all that a person is: in `messages` and `metadata`;
    `rounds.sql` finds out who that is.

    `${rows}` and `${views}` stand for the datasets, as `string.Template` writes placeholders; the
    comment lines at the top are the view's description.
    """
    names = [name for name in tables() if name not in _NOT_COUNTED]
    counted = {f"{COUNTED}{name}": counted_rows(name, seen=name in SIGHTINGS) for name in names}
    return counted | {name: _with_parts(name, sql) for name, sql in _files("views", ".sql")}


def rounds() -> str:
    """Return the parts of a WITH that label each of `ends` (source, alias_id, contact_id, source_contact_id).

    In `round_6` all that aliases connect have the label of the one contact: a rank, its id, its source's id.
    """
    return _text("rounds.sql")


def partition(table: str) -> str:
    """Return the column by which a table is partitioned."""
    name: str = tables()[table].resource["timePartitioning"]["field"]
    return name


COUNTS = """(
      stored.generation >= entry.oldest_generation
      AND IF(
        stored.placed_at IS NULL,
        stored.processed_at >= entry.before OR stored.generation > entry.newest_generation,
        stored.placed_at >= entry.placed_before
      )
    )"""
"""The condition that a row, `stored`, counts in spite of the `entry` of its event in `superseded`."""


def counted_rows(table: str, condition: str = "TRUE", *, every: bool = False, seen: bool = False) -> str:
    """Return the query of a table's rows that count, of those for which a condition on `stored` holds.

    Of an event that was stored in several generations, only the newest of each partition counts; `every` gives the
    others as well. `seen` gives all `SIGHTINGS`, those that messages and metadata tell among them, and not only
    the rows that the table has. Placeholders are as in `views`.
    """
    spec, by = tables()[table], [partition(table)]
    stored = f"`${{views}}.{SEEN}{table}`" if seen else f"`${{rows}}.{table}`"
    columns = [f"stored.{column.name}" for column in spec.columns]
    if by == ["received_at"]:
        # A column of what is read, so that a filter on the day finds its way down as well.
        stored = f"(SELECT *, DATE(received_at) AS received_date FROM {stored})"  # noqa: S608
        by = ["received_date", "received_at"]
        columns.append("-- The day of received_at.\n  stored.received_date")
    # What is no event at all has no id.
    nameless = any(column.name == "event_id" and column.mode == "NULLABLE" for column in spec.columns)
    partitions = ", ".join(f"stored.{name}" for name in by)
    newest = f"stored.generation = MAX(stored.generation) OVER (PARTITION BY {partitions}, stored.event_id)"
    return (
        Template(_text("counted.sql"))
        .substitute(
            table=table,
            partition=" or ".join(by),
            columns=",\n  ".join(columns),
            stored=stored,
            condition=condition,
            counts=COUNTS,
            newest="" if every else f"stored.event_id IS NULL OR {newest}" if nameless else newest,
        )
        .removesuffix("QUALIFY \n")
    )


def _with_parts(view: str, sql: str) -> str:
    """Return a view's SQL with `resolved.sql` and `rounds.sql` in it, where it asks for them as placeholders."""
    # Not by Template, for which other placeholders, and `$$`, are still to come.
    parts = {"${resolved}": _text("resolved.sql").replace("${told}", f"{view}_as_told"), "${rounds}": rounds()}
    for placeholder, part in parts.items():
        sql = sql.replace(placeholder, part)
    return sql


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


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
