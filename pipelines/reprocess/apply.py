"""Puts a run's rows in the place of the current ones, takes them out again, or throws them away.

Each is one move: one multi-statement transaction over all tables, together with the row that records it. Whoever
is interrupted, anywhere, leaves it either done or not begun, and can say the same again.
"""

from collections.abc import Callable

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import extent, folder, guards, moves, previewing, replacement, staging
from pipelines.reprocess.moves import Lock
from pipelines.reprocess.runs import RefusedError, Run, Runs, Staging, State
from pipelines.reprocess.staging import AFFECTED
from pipelines.reprocess.steps import Steps

Attempt = Callable[[Run, Runs, Lock], None]


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
    """Let the rows that a run made count instead of the current ones, of the events in which they differ.

    Other events stay as they are, and a run that changes nothing writes nothing. `force` goes on where a reason
    can outweigh an objection of `guards`; then there must be a reason.

    Raises:
        ValueError: forced without a reason.
        RefusedError: the run, or what happened since it was planned, does not allow it.
        UnknownRunError: there is no such run.
    """
    if force and not reason:
        raise ValueError("to force needs a reason")
    steps = steps or Steps()

    def attempt(run: Run, runs: Runs, lock: Lock) -> None:
        if run.state is State.APPLIED:
            return
        place = Staging.of(live, run.run_id)
        where = guards.check_apply(client, live, run, runs.all(), forced=force)
        steps.reached("checked")
        statements: list[str] = []
        unless: list[str] = []
        if where is not None:
            again = run.reached(State.APPLIED) is not None
            statements += replacement.placing(live, run, where, lock.at, again=again)
            unless.append(extent.grown(live, place.made(AFFECTED), where))
            if not force:
                unless.append(replacement.newer(live, run, where))
        recorded = runs.insertion(run, State.APPLIED, actor, reason, lock.at)
        moves.commit(client, live, lock, [*statements, recorded], unless)

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
    """Let exactly the rows count again that a run has replaced; nothing where that is done.

    Rows that live has stored since, of events that the run knew from the archive, stay.

    Raises:
        RefusedError: the run is not applied, or another was applied to the same events since.
        UnknownRunError: there is no such run.
    """
    steps = steps or Steps()

    def attempt(run: Run, runs: Runs, lock: Lock) -> None:
        if run.state is State.ROLLED_BACK:
            return
        where, placed = guards.check_roll_back(client, live, run, runs.all())
        steps.reached("checked")
        statements: list[str] = []
        unless: list[str] = []
        if where is not None:
            statements += replacement.restoring(live, run, where, placed, lock.at)
            unless.append(extent.grown(live, Staging.of(live, run.run_id).made(AFFECTED), where))
        recorded = runs.insertion(run, State.ROLLED_BACK, actor, reason, lock.at)
        moves.commit(client, live, lock, [*statements, recorded], unless)

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

    def attempt(run: Run, runs: Runs, lock: Lock) -> None:
        if run.state is State.APPLIED:
            raise RefusedError(
                f"run {run.run_id} is applied, and what it keeps is needed to roll it back; "
                f"BigQuery deletes that after {staging.KEPT_DAYS} days"
            )
        if run.state is not State.DISCARDED:
            moves.commit(client, live, lock, [runs.insertion(run, State.DISCARDED, actor, reason, lock.at)])

    run = _until_unmoved(client, live, name, attempt)
    steps.reached("discarded")
    previewing.drop(client, live, run.run_id)
    staging.drop(client, Staging.of(live, run.run_id))
    folder.drop(run.run_id)
    steps.reached("dropped")
    return run


def _until_unmoved(client: bigquery.Client, live: Target, name: str, attempt: Attempt) -> Run:
    runs = Runs(client, live)
    run_id = runs.get(name).run_id

    def once() -> None:
        # The lock first: what is read after it is as the lock says, or the transaction fails.
        lock = Lock.read(client, live)
        attempt(runs.get(run_id), runs, lock)

    moves.until_unmoved(f"run {run_id}", once)
    return runs.get(run_id)
