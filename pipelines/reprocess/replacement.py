"""The statements by which a run's rows take the place of current ones, and give it back: each of them an INSERT.

What is replaced stays where it is until `parley settle` deletes it; entries in `superseded` say that it does not
count.
https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
(why nothing is deleted here: BigQuery refuses that in a transaction for what live has just stored)
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pipelines.bigquery.arrow import PLACED_AT, RUN_ID
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess.retold import retold, told_anywhere
from pipelines.reprocess.runs import Run, Staging
from pipelines.reprocess.sql import Extent, columns, counted, literal, moment, partitions
from pipelines.reprocess.staging import AFFECTED, CHANGES

MOVED: Final = "date_before IS DISTINCT FROM date_after"
"""The condition that a run tells a row, one of its changes, in another partition than before."""
BEGINNING: Final = "TIMESTAMP '0001-01-01 00:00:00+00'"
ENTRY: Final = "event_id, decided_at, before, placed_before, oldest_generation, newest_generation, run_id"


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
