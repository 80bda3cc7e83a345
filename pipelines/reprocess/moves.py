"""Moves: what changes which rows count, each in one transaction, and one after the other.

Every move updates the one row of the table `reprocessing_lock`. Of two at the same time BigQuery lets one commit;
and what a move was decided on is still so when it commits, or it fails. All else that a move does is to insert.
https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
"""

import datetime as dt
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import staging
from pipelines.reprocess.runs import RefusedError
from pipelines.reprocess.sql import literal, moment

MOVED: Final = "parley: things have moved"
"""What a transaction fails with that was decided on what is no longer so."""
# How BigQuery tells that another transaction changes the same table, or has just done so.
_CONFLICTS: Final = ("concurrent update", "due to concurrent")
_ATTEMPTS: Final = 5
_LONGEST_PAUSE: Final = 0.5
_PATIENCE_SECONDS: Final = 600.0
"""How long to wait for a move that is under way: the second is cancelled at once, however long the first takes.

https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency
"""
_LONGEST_WAIT: Final = 15.0
T = TypeVar("T")


class Lock(msgspec.Struct, frozen=True):
    """The lock as it was when a move was decided on."""

    moves: int
    at: dt.datetime
    """The moment of the move that is decided on: by BigQuery's clock, and after all others."""

    @classmethod
    def read(cls, client: bigquery.Client, live: Target) -> "Lock":
        """Read the lock, and put one there where none is."""
        table = live.table("reprocessing_lock")
        sql = f"SELECT SUM(moves), MAX(moved_at), CURRENT_TIMESTAMP() FROM `{table}`"  # noqa: S608
        moves, moved_at, now = next(iter(client.query_and_wait(sql))).values()
        if moves is None:
            # Two who do this at once make two rows, which do no harm: all are updated, and their sum counts.
            client.query_and_wait(
                f"INSERT INTO `{table}` (moves, moved_at) VALUES (0, TIMESTAMP '1970-01-01 00:00:00+00')"  # noqa: S608
            )
            return cls.read(client, live)
        return cls(moves, max(now, moved_at + dt.timedelta(microseconds=1)))


def commit(
    client: bigquery.Client, live: Target, lock: Lock, statements: Sequence[str], unless: Sequence[str] = ()
) -> None:
    """Run statements as one move, unless others have moved since, or one of some conditions holds.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: so it was, with `MOVED` as its message; or it failed.
    """
    table = live.table("reprocessing_lock")
    since = f"(SELECT SUM(moves) FROM `{table}`) != {lock.moves}"  # noqa: S608
    conditions = (since, " OR ".join(unless))
    script = [
        "BEGIN TRANSACTION",
        # The lock by itself, since what the other conditions read may be gone where somebody has moved.
        *(f"IF {each} THEN RAISE USING MESSAGE = {literal(MOVED)}; END IF" for each in conditions if each),
        f"UPDATE `{table}` SET moves = moves + 1, moved_at = {moment(lock.at)} WHERE TRUE",  # noqa: S608
        *statements,
        "COMMIT TRANSACTION",
    ]
    staging.wait_for(client.query(";\n".join(script) + ";"))


def until_unmoved(what: str, attempt: Callable[[], T]) -> T:
    """Decide and commit, and decide anew where somebody else has committed in between; return what that gave.

    While another move is under way it waits, for some minutes.

    Raises:
        RefusedError: that happened every time, or takes too long.
    """
    moved, cancelled, began = 0, 0, time.monotonic()
    while True:
        try:
            return attempt()
        except GoogleAPICallError as error:
            if MOVED in str(error):
                moved += 1
                pause = _LONGEST_PAUSE
            elif any(conflict in str(error) for conflict in _CONFLICTS):
                cancelled += 1
                pause = min(_LONGEST_WAIT, _LONGEST_PAUSE * 2.0 ** min(cancelled - 1, 32))
            else:
                raise
            waited = time.monotonic() - began
            if moved == _ATTEMPTS or waited > _PATIENCE_SECONDS:
                often = f"{moved + cancelled} times in a row, within {waited:.0f} s"
                raise RefusedError(
                    f"{what} is as it was: others have changed the same tables meanwhile, {often}. "
                    "Try again when they are done; `parley backfill list` shows what they do"
                ) from error
            time.sleep(random.uniform(0, pause))  # noqa: S311 - so that two do not meet again
