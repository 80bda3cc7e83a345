"""Puts a run's rows in the place of the current ones, takes them out again, or throws them away.

Each is one multi-statement transaction over all tables, together with the row that records it: whoever
is interrupted, anywhere, leaves it either done or not begun, and can say the same again.
https://cloud.google.com/bigquery/docs/transactions
"""

from collections.abc import Callable
from typing import Final

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from pipelines.bigquery.arrow import PROCESSED_AT
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.reprocess import guards, staging
from pipelines.reprocess.runs import RefusedError, Run, Runs, Staging, State
from pipelines.reprocess.sql import columns, literal, partitions
from pipelines.reprocess.staging import Range
from pipelines.reprocess.steps import Steps

_MOVED: Final = "parley: the runs have changed"
# How BigQuery tells that another transaction changed the same table first.
_CONFLICTS: Final = (_MOVED, "concurrent update", "due to concurrent")
_ATTEMPTS: Final = 5


def apply(
    client: bigquery.Client,
    live: Target,
    name: str,
    actor: str,
    *,
    force: bool = False,
    reason: str | None = None,
    steps: Steps | None = None,
) -> Run:
    """Replace the current rows of a run's events by those that the run made; nothing where that is done.

    `force` goes on where a reason can outweigh an objection of `guards`; then there must be a reason.

    Raises:
        ValueError: forced without a reason.
        RefusedError: the run, or what happened since it was planned, does not allow it.
        UnknownRunError: there is no such run.
    """
    if force and not reason:
        raise ValueError("to force needs a reason")
    steps = steps or Steps()

    def attempt(run: Run, runs: Runs) -> None:
        if run.state is State.APPLIED:
            return
        place = Staging.of(live, run.run_id)
        guards.check_apply(client, live, run, runs.all(), forced=force)
        reprocessed = staging.events(client, place)
        steps.reached("checked")
        moves = [] if reprocessed is None else _replace(live, place, reprocessed)
        _commit(client, live, runs, [*moves, runs.insertion(run, State.APPLIED, actor, reason)])

    run = _until_unmoved(client, live, name, attempt)
    steps.reached("applied")
    return run


def roll_back(
    client: bigquery.Client,
    live: Target,
    name: str,
    actor: str,
    *,
    reason: str | None = None,
    steps: Steps | None = None,
) -> Run:
    """Take out exactly the rows that a run put in, and put back what it replaced; nothing where that is done.

    Rows that live has stored since, of events that the run knew from the archive, stay.

    Raises:
        RefusedError: the run is not applied, or another was applied to the same events since.
        UnknownRunError: there is no such run.
    """
    steps = steps or Steps()

    def attempt(run: Run, runs: Runs) -> None:
        if run.state is State.ROLLED_BACK:
            return
        place = Staging.of(live, run.run_id)
        guards.check_roll_back(client, live, run, runs.all())
        reprocessed = staging.events(client, place)
        steps.reached("checked")
        moves = [] if reprocessed is None else _restore(live, place, reprocessed)
        _commit(client, live, runs, [*moves, runs.insertion(run, State.ROLLED_BACK, actor, reason)])

    run = _until_unmoved(client, live, name, attempt)
    steps.reached("rolled back")
    return run


def discard(
    client: bigquery.Client,
    live: Target,
    name: str,
    actor: str,
    *,
    reason: str | None = None,
    steps: Steps | None = None,
) -> Run:
    """Throw away what a run keeps; it cannot be applied after that.

    Raises:
        RefusedError: the run is applied.
        UnknownRunError: there is no such run.
    """
    steps = steps or Steps()

    def attempt(run: Run, runs: Runs) -> None:
        if run.state is State.APPLIED:
            raise RefusedError(
                f"run {run.run_id} is applied, and what it keeps is needed to roll it back; "
                f"BigQuery deletes that after {staging.KEPT_DAYS} days"
            )
        if run.state is not State.DISCARDED:
            _commit(client, live, runs, [runs.insertion(run, State.DISCARDED, actor, reason)])

    run = _until_unmoved(client, live, name, attempt)
    steps.reached("discarded")
    staging.drop(client, Staging.of(live, run.run_id))
    steps.reached("dropped")
    return run


def _until_unmoved(client: bigquery.Client, live: Target, name: str, attempt: Callable[[Run, Runs], None]) -> Run:
    """Decide and commit, and decide anew where somebody else has committed in between."""
    runs = Runs(client, live)
    run_id = runs.get(name).run_id
    for left in reversed(range(_ATTEMPTS)):
        try:
            attempt(runs.get(run_id), runs)
            break
        except GoogleAPICallError as error:
            if not any(conflict in str(error) for conflict in _CONFLICTS):
                raise
            if not left:
                raise RefusedError(
                    f"run {run_id} is as it was: others have changed the same tables meanwhile, {_ATTEMPTS} times "
                    "in a row. Try again when they are done; `parley backfill list` shows what they do"
                ) from error
    return runs.get(run_id)


def _commit(client: bigquery.Client, live: Target, runs: Runs, statements: list[str]) -> None:
    decided_on = runs.decided_on
    changed = (
        f"(SELECT COUNT(*) FROM `{live.table('runs')}` WHERE state NOT IN ('planning', 'planned')) != {decided_on}"  # noqa: S608
    )
    script = [
        "BEGIN TRANSACTION",
        f"IF {changed} THEN RAISE USING MESSAGE = {literal(_MOVED)}; END IF",
        *statements,
        "COMMIT TRANSACTION",
    ]
    staging.wait_for(client.query(";\n".join(script) + ";"))


def _replace(live: Target, place: Staging, reprocessed: Range) -> list[str]:
    statements = []
    for table in TABLES:
        names, current, before = ", ".join(columns(table)), live.table(table), place.before(table)
        of_events = f"event_id IN (SELECT event_id FROM `{place.made('events')}`)"  # noqa: S608
        replaced = f"{partitions(table, reprocessed.first, reprocessed.last)} AND {of_events}"
        statements += [
            f"DELETE FROM `{before}` WHERE TRUE",  # noqa: S608
            f"INSERT INTO `{before}` ({names}) SELECT {names} FROM `{current}` WHERE {replaced}",  # noqa: S608
            f"DELETE FROM `{current}` WHERE {replaced}",  # noqa: S608
            f"INSERT INTO `{current}` ({names}) SELECT {names} FROM `{place.made(table)}` WHERE {of_events}",  # noqa: S608
        ]
    return statements


def _restore(live: Target, place: Staging, reprocessed: Range) -> list[str]:
    statements = []
    for table in TABLES:
        names, current = ", ".join(columns(table)), live.table(table)
        # When a row was made tells by whom: the run's are its own, not those that live has stored since.
        own = (
            f"EXISTS (SELECT 1 FROM `{place.made(table)}` AS made "  # noqa: S608
            f"WHERE made.event_id = present.event_id AND made.{PROCESSED_AT} = present.{PROCESSED_AT})"
        )
        pruned = partitions(table, reprocessed.first, reprocessed.last, "present.")
        statements += [
            f"DELETE FROM `{current}` AS present WHERE {pruned} AND {own}",  # noqa: S608
            f"INSERT INTO `{current}` ({names}) SELECT {names} FROM `{place.before(table)}`",  # noqa: S608
        ]
    return statements
