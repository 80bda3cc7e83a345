"""What is told in several partitions, and in which of them it is shown: the entries of the table `retold`."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, NamedTuple

from pipelines.bigquery.target import Target
from pipelines.reprocess.sql import Extent, counted, moment, partitions


class Told(NamedTuple):
    """How several events may tell one thing, and where it is shown then."""

    known_by: str
    date: str
    """The partition in which an event tells it."""
    shown: str
    """The aggregate that says in which of them it is shown."""
    unsaid: Mapping[str, str]
    """Further columns that the aggregate reads, and what an entry of `retold` says in their place."""


TOLD: Final = {
    "messages": Told("message_id", "sent_date", "MIN(sent_date)", {}),
    "metadata": Told(
        "metadata_id",
        "occurred_date",
        "IF(COUNTIF(occurred_at_from != 'received' "
        "OR key IN ('source.delivery_state', 'source.error', 'source.referral')) = 0, "
        "MAX(occurred_date), MIN(occurred_date))",
        {"occurred_at_from": "'received'", "key": "CAST(NULL AS STRING)"},
    ),
}
"""A thing is shown where it is told first, but metadata without a time of its own, which may have come back to a
value, where it is told last (see `metadata_as_told.sql`)."""


def retold(live: Target, entries: str) -> str:
    """Return the statement that says of ids in which partition they are shown, by a query of entries."""
    return f"INSERT INTO `{live.table('retold')}` (id, shown_date, decided_at)\n{entries}"


def told_anywhere(live: Target, table: str, ids: str, at: dt.datetime) -> str:
    """Return the query of entries that are missing of ids, those of a query, wherever they are told.

    It looks for them in all partitions, but only at ids.
    """
    known_by, date, shown, _ = TOLD[table]
    told = counted(live, table, f"stored.{known_by} IN (SELECT id FROM chosen)")  # noqa: S608
    return f"""
WITH
  chosen AS ({ids}),
  told AS (
    SELECT {known_by} AS id, IF(COUNT(DISTINCT {date}) > 1, {shown}, NULL) AS shown_date
    FROM ({told}) GROUP BY {known_by}
  )
SELECT id, told.shown_date, {moment(at)}
FROM chosen LEFT JOIN told USING (id) LEFT JOIN `{live.view("retold")}` AS known USING (id)
WHERE told.shown_date IS DISTINCT FROM known.shown_date"""  # noqa: S608


def told_within(live: Target, table: str, where: Extent, at: dt.datetime) -> str:
    """Return the query of entries that are missing of what is told in two partitions of an extent.

    It reads no other partition, and takes an entry's word for what it does not read: none is taken back, and what
    is shown elsewhere is told there.
    """
    known_by, date, shown, unsaid = TOLD[table]
    told = counted(live, table, partitions(table, where, "stored."))
    read = ", ".join((known_by, date, *unsaid))
    elsewhere = ", ".join(
        (f"id AS {known_by}", f"shown_date AS {date}", *(f"{unsaid[name]} AS {name}" for name in unsaid))
    )
    outside = f"shown_date NOT BETWEEN DATE '{where.first_date}' AND DATE '{where.last_date}'"
    return f"""
WITH
  known AS (SELECT id, shown_date FROM `{live.view("retold")}`),
  tellings AS (
    SELECT {read} FROM ({told})
    UNION ALL
    SELECT {elsewhere} FROM known WHERE {outside}
  ),
  told AS (
    SELECT {known_by} AS id, COUNT(DISTINCT {date}) AS days, {shown} AS shown_date
    FROM tellings GROUP BY {known_by}
  )
SELECT id, told.shown_date, {moment(at)}
FROM told LEFT JOIN known USING (id)
WHERE told.shown_date != known.shown_date OR known.id IS NULL AND told.days > 1"""  # noqa: S608
