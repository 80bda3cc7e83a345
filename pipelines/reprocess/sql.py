"""Pieces of SQL that several modules share: what a row is known by, what is compared, which partitions to read.

Everything is a literal, nothing a parameter: bqemulator knows none in scripts.
"""

import datetime as dt
from typing import Final

from pipelines.bigquery.arrow import PROCESSED_AT
from pipelines.core.times import PARTITION_DAYS_BEFORE
from schemas import loader

IDENTITY: Final = {
    "events": "event_id",
    "messages": "message_id",
    "conversations": "conversation_id",
    "contacts": "contact_id",
    "channels": "channel_id",
    "metadata": "metadata_id",
    "aliases": "alias_id",
    "dead_letters": "pointer",
}
"""The column by which, within one raw event, a row of before and a row of after are the same row."""
NOT_COMPARED: Final = frozenset({PROCESSED_AT, "generation", "traceback", "data"})
"""Columns that say when and by which code a row was made, not what it says: they differ in every row that is
made again (a traceback with every line of code that moves), and would hide what matters. And `data`, which
is the raw body itself: no code makes it."""


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


def not_compared(table: str) -> list[str]:
    """Return the columns of a table in which a row that is made again may differ and yet be the same."""
    return [column.name for column in loader.tables()[table].columns if column.name in NOT_COMPARED]


def compared(table: str) -> list[str]:
    """Return the columns of a table that make two rows the same or different."""
    return [column.name for column in loader.tables()[table].columns if column.name not in NOT_COMPARED]


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
