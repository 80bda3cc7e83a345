"""Pieces of SQL that several modules share: what a row is known by, what is compared, which partitions to read.

Everything is a literal, nothing a parameter: bqemulator knows none in scripts.
"""

import datetime as dt
from string import Template
from typing import Final, NamedTuple

from pipelines.bigquery.arrow import UNMADE
from pipelines.bigquery.target import Target
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
NOT_COMPARED: Final = UNMADE | {"generation", "traceback", "data", "first_date", "last_date"}
"""Columns that say when and by which code a row was made, not what it says: they differ in every row that is
made again (a traceback with every line of code that moves), and would hide what matters. And `data`, which
is the raw body itself: no code makes it; and what the ledger repeats of the rows, which are compared."""
_OF_SIGHTINGS: Final = frozenset(
    {
        "source_channel_id",
        "channel_display_name",
        "source_contact_id",
        "contact_display_name",
        "contact_phone_e164",
        "source_conversation_id",
    }
)
"""Columns of messages and metadata that are compared as sightings, whichever row tells those."""


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
    """Return the columns of a table that make two rows the same or different."""
    left_out = NOT_COMPARED if table in loader.SIGHTINGS else NOT_COMPARED | _OF_SIGHTINGS
    return [column.name for column in loader.tables()[table].columns if column.name not in left_out]


def moment(at: dt.datetime) -> str:
    """Return a time as a literal."""
    return f"TIMESTAMP '{at.isoformat()}'"


def counted(live: Target, table: str, condition: str, *, every: bool = False, seen: bool = False) -> str:
    """Return a query of a table's rows that count, of those for which a condition on `stored` holds.

    The condition is applied before anything else is done with the rows, which it would not be to the view. `every`
    and `seen` are as in `counted_rows`.
    """
    names = {"rows": f"{live.project}.{live.rows_dataset}", "views": f"{live.project}.{live.views_dataset}"}
    return Template(_uncommented(loader.counted_rows(table, condition, every=every, seen=seen))).substitute(names)


def seen(table: str, where: Target) -> str:
    """Return the query of all sightings of a kind that the tables of a target tell."""
    return Template(_uncommented(loader.views()[loader.SEEN + table])).substitute(
        rows=f"{where.project}.{where.rows_dataset}"
    )


def superseded(live: Target) -> str:
    """Return the condition that `stored`, a row of some table, does not count because of an entry of its event."""
    return (
        f"EXISTS (SELECT 1 FROM `{live.view('superseded')}` AS entry "  # noqa: S608
        f"WHERE entry.event_id = stored.event_id AND NOT {loader.COUNTS})"
    )


def _uncommented(sql: str) -> str:
    return "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))


class Extent(NamedTuple):
    """Where rows of some events lie."""

    first: dt.date
    """The first day on which such an event was received."""
    last: dt.date
    first_date: dt.date
    """The first partition that has a row of them."""
    last_date: dt.date


def partitions(table: str, extent: Extent, alias: str = "") -> str:
    """Return a condition that holds for every row of some events, and prunes partitions.

    Days are literals, since BigQuery prunes by nothing that it has to query first.
    https://cloud.google.com/bigquery/docs/querying-partitioned-tables
    """
    partition = loader.partition(table)
    name = f"{alias}`{partition}`"
    if partition == "received_at":
        return (
            f"{name} >= TIMESTAMP '{extent.first}' AND {name} < TIMESTAMP '{extent.last + dt.timedelta(days=1)}'"
        )
    return f"{name} BETWEEN DATE '{extent.first_date}' AND DATE '{extent.last_date}'"
