"""The statements by which a run's rows take the place of current ones, and give it back: each of them an INSERT.

What is replaced stays where it is until `parley settle` deletes it; entries in `superseded` say that it does not
count.
https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
(why nothing is deleted here: BigQuery refuses that in a transaction for what live has just stored)
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pipelines.bigquery.arrow import PLACED_AT, RUN_ID
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess.runs import Run, Staging
from pipelines.reprocess.sql import Extent, columns, counted, literal, moment, partitions
from pipelines.reprocess.staging import AFFECTED, CHANGES

MOVED: Final = "date_before IS DISTINCT FROM date_after"
"""The condition that a run tells a row, one of its changes, in another partition than before."""
BEGINNING: Final = "TIMESTAMP '0001-01-01 00:00:00+00'"
ENTRY: Final = "event_id, decided_at, before, placed_before, oldest_generation, newest_generation, run_id"


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
        "IF(COUNTIF(occurred_at_from != 'received' OR key IN ('source.delivery_state', 'source.error')) = 0, "
        "MAX(occurred_date), MIN(occurred_date))",
        {"occurred_at_from": "'received'", "key": "CAST(NULL AS STRING)"},
    ),
}
"""A thing is shown where it is told first, but metadata without a time of its own, which may have come back to a
value, where it is told last (see `metadata_as_told.sql`)."""


def placing(
    live: Target, run: Run, extent: Extent, at: dt.datetime, moved: Sequence[str], *, again: bool
) -> Iterator[str]:
    """Yield what puts a run's rows in place; `again` where the run keeps what it has replaced once before.

    `moved` are the tables of which it moves rows to other partitions. Tables of which it made no row are left
    alone: each statement of a script is a job of BigQuery's, which takes its time however little there is to do.
    """
    place = Staging.of(live, run.run_id)
    for table in TABLES:
        names = ", ".join(columns(table))
        if again:
            yield f"DELETE FROM `{place.before(table)}` WHERE TRUE"  # noqa: S608
        current = counted(live, table, _chosen(place, table, extent))
        yield f"INSERT INTO `{place.before(table)}` ({names}) SELECT {names} FROM ({current})"  # noqa: S608
    yield (
        f"INSERT INTO `{live.table('superseded')}` ({ENTRY}) "  # noqa: S608
        f"SELECT event_id, {moment(at)}, {moment(at)}, {moment(at)}, {run.generation}, "
        f"GREATEST(MAX(generation), {run.generation}), {literal(run.run_id)} "
        f"FROM ({_stored(live, place, extent)}) GROUP BY event_id"
    )
    placed = {PLACED_AT: moment(at), RUN_ID: literal(run.run_id)}
    for table in filter(run.made, TABLES):
        yield _insertion(live, table, place.made(table), place, placed)
    yield from retelling(live, place, at, moved)


def restoring(
    live: Target, run: Run, extent: Extent, placed: dt.datetime, at: dt.datetime, moved: Sequence[str]
) -> Iterator[str]:
    """Yield what puts back the rows that a run has replaced when it was placed; `moved` is as in `placing`.

    Rows that live has made since count as they did. Of an event that had none, all rows of live count: the run
    knew it from the archive, and live may have stored it since.
    """
    place = Staging.of(live, run.run_id)
    image = " UNION ALL ".join(
        f"SELECT event_id, generation FROM `{place.before(table)}`"  # noqa: S608
        for table in TABLES
    )
    own = f"AND stored.{RUN_ID} IS DISTINCT FROM {literal(run.run_id)}"
    since = " UNION ALL ".join(
        f"SELECT event_id, generation FROM ({counted(live, table, f'{_chosen(place, table, extent)} {own}')})"  # noqa: S608
        for table in TABLES
    )
    yield f"""
INSERT INTO `{live.table("superseded")}` ({ENTRY})
WITH
  image AS (SELECT event_id, MIN(generation) AS oldest FROM ({image}) GROUP BY event_id),
  since AS (SELECT event_id, MAX(generation) AS newest FROM ({since}) GROUP BY event_id),
  stored AS (
    SELECT event_id, MAX(generation) AS newest FROM ({_stored(live, place, extent)}) GROUP BY event_id
  )
SELECT
  event_id,
  {moment(at)},
  IF(image.event_id IS NULL, {BEGINNING}, {moment(placed)}),
  {moment(at)},
  GREATEST(COALESCE(image.oldest, 0), COALESCE(since.newest, 0)),
  stored.newest,
  {literal(run.run_id)}
FROM stored LEFT JOIN image USING (event_id) LEFT JOIN since USING (event_id)"""  # noqa: S608
    for table in TABLES:
        yield _insertion(live, table, place.before(table), place, {PLACED_AT: moment(at)})
    yield from retelling(live, place, at, moved)


def retelling(live: Target, place: Staging, at: dt.datetime, moved: Sequence[str]) -> Iterator[str]:
    """Yield what tells anew in which partition messages and metadata are shown of which a run has moved some."""
    for table in moved:
        yield retold(live, told_anywhere(live, table, moved_ids(place, table), at))


def moved_ids(place: Staging, table: str) -> str:
    """Return a query of the ids of messages or metadata that a run tells in other partitions than before."""
    return (
        f"SELECT DISTINCT row_id AS id FROM `{place.made(CHANGES)}` "  # noqa: S608
        f"WHERE table_name = {literal(table)} AND {MOVED}"
    )


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


def newer(live: Target, run: Run, extent: Extent) -> str:
    """Return the condition that there are rows of the run's affected events of a newer generation."""
    place = Staging.of(live, run.run_id)
    chosen = f"{_chosen(place, 'events', extent)} AND stored.generation > {run.generation}"
    return f"EXISTS (SELECT event_id FROM ({counted(live, 'events', chosen)}))"  # noqa: S608


def _chosen(place: Staging, table: str, extent: Extent) -> str:
    return f"{partitions(table, extent, 'stored.')} AND {_affected(place, 'stored.')}"


def _affected(place: Staging, alias: str = "") -> str:
    return f"{alias}event_id IN (SELECT event_id FROM `{place.made(AFFECTED)}`)"  # noqa: S608


def _stored(live: Target, place: Staging, extent: Extent) -> str:
    """Return a query of the generations of all rows that are there, counted or not."""
    return " UNION ALL ".join(
        f"SELECT event_id, generation FROM `{live.table(table)}` "  # noqa: S608
        f"WHERE {partitions(table, extent)} AND {_affected(place)}"
        for table in TABLES
    )


def _insertion(live: Target, table: str, source: str, place: Staging, values: Mapping[str, str]) -> str:
    names = columns(table)
    told = ", ".join(values.get(name.strip("`"), name) for name in names)
    return (
        f"INSERT INTO `{live.table(table)}` ({', '.join(names)}) "  # noqa: S608
        f"SELECT {told} FROM `{source}` WHERE {_affected(place)}"
    )
