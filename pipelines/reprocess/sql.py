"""Pieces of SQL that several modules share: what a row is known by, what is compared, which partitions to read.

Everything is a literal, nothing a parameter: bqemulator knows none in scripts.
"""

import datetime as dt
from collections.abc import Set
from typing import Final

from pipelines.bigquery.arrow import PROCESSED_AT
from pipelines.times import PARTITION_DAYS_BEFORE
from schemas import loader

IDENTITY: Final = {
    "events": "event_id",
    "messages": "message_id",
    "conversations": "conversation_id",
    "contacts": "contact_id",
    "channels": "channel_id",
    "metadata": "metadata_id",
    "dead_letters": "pointer",
}
"""The column by which, within one raw event, a row of before and a row of after are the same row."""
NOT_COMPARED: Final = frozenset({PROCESSED_AT, "generation", "traceback"})
"""Columns that say when and by which code a row was made, not what it says: they differ in every row that is
made again (a traceback with every line of code that moves), and would hide what matters."""

_ORDER: Final = ("pointer", "seen_at", "stage")


def literal(value: str | int | None) -> str:
    """Return a value as a GoogleSQL literal.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#string_and_bytes_literals
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def columns(table: str) -> list[str]:
    """Return all columns of a table, quoted."""
    return [f"`{column.name}`" for column in loader.tables()[table].columns]


def compared(table: str) -> list[str]:
    """Return the names of the columns that make two rows of a table the same or different."""
    return [c.name for c in loader.tables()[table].columns if c.name not in NOT_COMPARED]


def comparable(table: str, without: Set[str] = frozenset()) -> str:
    """Return the select list of the compared columns, in types that can be compared: arrays and bytes cannot."""
    items = []
    for column in loader.tables()[table].columns:
        if column.name in NOT_COMPARED or column.name in without:
            continue
        if column.mode == "REPEATED":
            items.append(f"TO_JSON_STRING(`{column.name}`) AS `{column.name}`")
        elif column.type == "BYTES":
            items.append(f"TO_HEX(MD5(`{column.name}`)) AS `{column.name}`")
        else:
            items.append(f"`{column.name}`")
    return ", ".join(items)


def order(table: str) -> str:
    """Return by what rows of the same identity are paired: where they stood, when seen, else anything."""
    names = compared(table)
    first = [name for name in _ORDER if name in names]
    return ", ".join(f"`{name}`" for name in [*first, *(n for n in names if n not in first)])


def partitions(table: str, first: dt.date, last: dt.date, alias: str = "") -> str:
    """Return a condition that holds for every row of events received on some days, and prunes partitions.

    Days are literals, since BigQuery prunes by nothing that it has to query first.
    https://cloud.google.com/bigquery/docs/querying-partitioned-tables
    """
    partition = loader.tables()[table].resource["timePartitioning"]["field"]
    name = f"{alias}`{partition}`"
    if partition == "received_at":
        return f"{name} >= TIMESTAMP '{first}' AND {name} < TIMESTAMP '{last + dt.timedelta(days=1)}'"
    # A partition's date lies up to this many days before the receipt, or an hour after it.
    start = first - dt.timedelta(days=PARTITION_DAYS_BEFORE)
    return f"{name} BETWEEN DATE '{start}' AND DATE '{last + dt.timedelta(days=1)}'"
