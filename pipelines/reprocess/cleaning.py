"""Deletes rows that no longer count, and then the entries that say so.

Partition by partition and each with a statement of its own, which BigQuery lets delete what a stream has stored
once it has left the write buffer. Whoever is interrupted leaves the rest to the next time: nothing that is read
changes.
https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
"""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from google.cloud import bigquery

from pipelines.bigquery import resolving
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess import extent, moves
from pipelines.reprocess.moves import Lock
from pipelines.reprocess.sql import Extent, moment, partitions, superseded
from pipelines.reprocess.staging import wait_for
from pipelines.reprocess.steps import Steps
from pipelines.reprocess.streamed import buffered_for
from schemas import loader

_RESTS: Final = (
    "decided_at < (SELECT MAX(later.decided_at) FROM `{table}` AS later WHERE later.{key} = entry.{key})"
)


def clean(client: bigquery.Client, live: Target, steps: Steps) -> int:
    """Delete what no longer counts and has left the write buffer, and entries that are needed no more.

    Return how many rows were deleted, entries aside.

    Raises:
        ConfigurationError: as `buffered_for`.
        RefusedError: others move all the time.
    """
    before = dt.datetime.now(dt.UTC) - buffered_for()
    deleted = 0
    where = _extent(client, live)
    if where is not None:
        for done, table in enumerate(TABLES):
            steps.progress("deleting", done, len(TABLES), "tables")
            for condition in list(_partitions(client, live, table, where, before)):
                deleted += _delete(client, live, table, condition, before)
        steps.progress("deleting", len(TABLES), len(TABLES), "tables")
    _forget(client, live, where, before)
    return deleted


def _extent(client: bigquery.Client, live: Target) -> Extent | None:
    """Return where rows of events that have entries lie, by the ledger and by all that is known of them."""
    entries = f"SELECT COUNT(*) FROM `{live.table('superseded')}`"  # noqa: S608
    if not next(iter(client.query_and_wait(entries)))[0]:
        # Most nights. To look for nothing, the whole ledger would be read.
        return None
    sql = (
        f"SELECT MIN(DATE(received_at)), MAX(DATE(received_at)), {extent.earliest()}, {extent.latest()} "  # noqa: S608
        f"FROM `{live.table('events')}` WHERE event_id IN (SELECT event_id FROM `{live.table('superseded')}`)"
    )
    first, last, *dates = next(iter(client.query_and_wait(sql))).values()
    if first is None:
        return None
    dates += [first - dt.timedelta(days=extent.DAYS_BEFORE), last + dt.timedelta(days=1)]
    known = [date for date in dates if date is not None]
    return Extent(first, last, min(known), max(known))


def _dead(live: Target, table: str, where: str, before: dt.datetime) -> str:
    """Return the condition on `stored` that a row counts no more and can be deleted."""
    return (
        f"{where} AND (stored.placed_at IS NOT NULL OR stored.processed_at < {moment(before)}) "
        f"AND {superseded(live)}"
    )


def _partitions(
    client: bigquery.Client, live: Target, table: str, where: Extent, before: dt.datetime
) -> Iterator[str]:
    """Yield a condition for each partition of a table in which there is something to delete."""
    day = f"DATE(stored.`{loader.partition(table)}`)"
    dead = _dead(live, table, partitions(table, where, "stored."), before)
    sql = f"SELECT DISTINCT {day} AS day FROM `{live.table(table)}` AS stored WHERE {dead} ORDER BY day"  # noqa: S608
    for (found,) in client.query_and_wait(sql):
        yield partitions(table, Extent(found, found, found, found), "stored.")


def _delete(client: bigquery.Client, live: Target, table: str, where: str, before: dt.datetime) -> int:
    job = client.query(
        f"DELETE FROM `{live.table(table)}` AS stored WHERE {_dead(live, table, where, before)}"  # noqa: S608
    )
    wait_for(job)
    return int(job.num_dml_affected_rows or 0)


def _forget(client: bigquery.Client, live: Target, where: Extent | None, before: dt.datetime) -> None:
    """Delete entries that a later one has replaced, and those that mean no row any more."""
    table = live.table("superseded")
    needed = "FALSE"
    if where is not None:
        rows = " UNION ALL ".join(
            f"SELECT stored.event_id FROM `{live.table(name)}` AS stored "  # noqa: S608
            f"WHERE {partitions(name, where, 'stored.')} AND {superseded(live)}"
            for name in TABLES
        )
        needed = f"entry.event_id IN ({rows})"
    late = f"entry.decided_at < {moment(before)}"
    # Where the latest is young, rows that live made before it may still come.
    young = (
        f"EXISTS (SELECT 1 FROM `{table}` AS latest WHERE latest.event_id = entry.event_id "  # noqa: S608
        f"AND latest.decided_at >= {moment(before)})"
    )
    old = _RESTS.format(table=table, key="event_id")
    twice = _RESTS.format(table=live.table("retold"), key="id")
    settled = f"entry.id NOT IN (SELECT id FROM `{live.view('retold')}`)"  # noqa: S608
    statements = [
        f"`{table}` AS entry WHERE {late} AND ({old} OR NOT {young} AND NOT ({needed}))",
        f"`{live.table('retold')}` AS entry WHERE {twice} OR {settled}",
    ]
    if resolving.is_there(client, live):
        table = live.table(resolving.TABLE)
        statements.append(
            f"`{table}` AS entry WHERE entry.resolved_contact_id = entry.contact_id OR decided_at < "  # noqa: S608
            f"(SELECT MAX(later.decided_at) FROM `{table}` AS later WHERE later.seen_date = entry.seen_date "
            "AND later.channel_id = entry.channel_id AND later.contact_id = entry.contact_id)"
        )
    for statement in statements:
        if next(iter(client.query_and_wait(f"SELECT COUNT(*) FROM {statement}")))[0]:  # noqa: S608
            _commit(client, live, f"DELETE FROM {statement}")  # noqa: S608


def _commit(client: bigquery.Client, live: Target, statement: str) -> None:
    moves.until_unmoved("what counts", lambda: moves.commit(client, live, Lock.read(client, live), [statement]))
