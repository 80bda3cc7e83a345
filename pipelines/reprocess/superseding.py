"""What counts wrongly though nobody applied it: events that two versions stored, and what two partitions tell.

Both are found in what was received lately, and said by inserting into `superseded` and `retold`.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess import extent, moves
from pipelines.reprocess.moves import Lock
from pipelines.reprocess.replacement import BEGINNING, ENTRY
from pipelines.reprocess.retold import TOLD, retold, told_anywhere, told_within
from pipelines.reprocess.sql import Extent, counted, moment, partitions

Statement = Callable[[dt.datetime], str]

LOOKS_BACK: Final = dt.timedelta(days=8)
"""How long before a range an event may have been received and stored within it: Pub/Sub keeps it for a week."""


def older_generations(client: bigquery.Client, live: Target, start: dt.datetime, end: dt.datetime) -> int:
    """Let only the newest generation count of each event of a range of receipt; return of how many it did not.

    Raises:
        RefusedError: others move all the time.
    """
    where = _extent(client, live, start, end)
    rows = " UNION ALL ".join(
        f"SELECT event_id, generation FROM ({each})"  # noqa: S608
        for each in (counted(live, table, _received(table, where, start, end), every=True) for table in TABLES)
    )
    found = (
        f"SELECT event_id, MAX(generation) AS newest FROM ({rows}) WHERE event_id IS NOT NULL "  # noqa: S608
        "GROUP BY event_id HAVING MIN(generation) < MAX(generation)"
    )

    def statement(at: dt.datetime) -> str:
        # What was decided before stays: only older generations are out.
        return (
            f"INSERT INTO `{live.table('superseded')}` ({ENTRY}) "  # noqa: S608
            f"SELECT event_id, {moment(at)}, COALESCE(known.before, {BEGINNING}), "
            f"COALESCE(known.placed_before, {BEGINNING}), found.newest, "
            "COALESCE(known.newest_generation, 0), NULL "
            f"FROM ({found}) AS found LEFT JOIN `{live.view('superseded')}` AS known USING (event_id)"
        )

    count = int(next(iter(client.query_and_wait(f"SELECT COUNT(*) FROM ({found})")))[0])  # noqa: S608
    if count:
        _move(client, live, [statement])
    return count


def retold_lately(
    client: bigquery.Client, live: Target, start: dt.datetime, end: dt.datetime, *, anywhere: bool = False
) -> int:
    """Say in which partition what was received in a range is shown; return for how many ids that is new.

    It is looked for in the partitions in which the range tells something; `anywhere` looks in all others as well,
    which finds what was told long before and costs with the archive.

    Raises:
        RefusedError: others move all the time.
    """
    where = _extent(client, live, start, end)
    statements: list[Statement] = []
    count = 0
    for table, told in TOLD.items():
        chosen = counted(live, table, _received(table, where, start, end))
        ids = f"SELECT DISTINCT {told.known_by} AS id FROM ({chosen})"  # noqa: S608

        def entries(at: dt.datetime, table: str = table, ids: str = ids) -> str:
            return told_anywhere(live, table, ids, at) if anywhere else told_within(live, table, where, at)

        def statement(at: dt.datetime, entries: Statement = entries) -> str:
            return retold(live, entries(at))

        found = int(next(iter(client.query_and_wait(f"SELECT COUNT(*) FROM ({entries(start)})")))[0])  # noqa: S608
        count += found
        statements += [statement] if found else []
    if statements:
        _move(client, live, statements)
    return count


def _move(client: bigquery.Client, live: Target, statements: Sequence[Statement]) -> None:
    def attempt() -> None:
        lock = Lock.read(client, live)
        moves.commit(client, live, lock, [statement(lock.at) for statement in statements])

    moves.until_unmoved("what counts", attempt)


def _received(table: str, where: Extent, start: dt.datetime, end: dt.datetime) -> str:
    return (
        f"{partitions(table, where, 'stored.')} "
        f"AND stored.received_at >= {moment(start)} AND stored.received_at < {moment(end)}"
    )


def _extent(client: bigquery.Client, live: Target, start: dt.datetime, end: dt.datetime) -> Extent:
    """Return where rows of what was received in a range lie, by the ledger."""
    first, last = start.date(), (end - dt.timedelta(microseconds=1)).date()
    sql = (
        f"SELECT {extent.earliest()}, {extent.latest()} FROM `{live.table('events')}` "  # noqa: S608
        f"WHERE received_at >= {moment(start)} AND received_at < {moment(end)}"
    )
    dates = [date for date in next(iter(client.query_and_wait(sql))).values() if date is not None]
    dates += [first - dt.timedelta(days=extent.DAYS_BEFORE), last + dt.timedelta(days=1)]
    return Extent(first, last, min(dates), max(dates))
