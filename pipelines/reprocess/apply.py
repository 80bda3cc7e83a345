"""Puts a run's rows in the place of the current ones, takes them out again, or throws them away.

Each is one move: one multi-statement transaction over all tables, together with the row that records it. Whoever
is interrupted, anywhere, leaves it either done or not begun, and can say the same again.
"""

from collections.abc import Callable, Sequence

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import extent, folder, guards, moves, previewing, replacement, staging
from pipelines.reprocess.moves import Lock
from pipelines.reprocess.runs import Change, RefusedError, Run, Runs, Staging, State, find
from pipelines.reprocess.staging import AFFECTED
from pipelines.reprocess.steps import Steps

Attempt = Callable[[Run, Sequence[Run], Lock], Run]
"""Decides about a run, with all that there are as the lock says, and moves it; returns what it is then."""


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

    def attempt(run: Run, runs: Sequence[Run], lock: Lock) -> Run:
        if run.state is State.APPLIED:
            return run
        place = Staging.of(live, run.run_id)
        where, moved = guards.check_apply(client, live, run, runs, forced=force)
        steps.reached("checked")
        statements: list[str] = []
        unless: list[str] = []
        if where is not None:
            again = run.reached(State.APPLIED) is not None
            statements += replacement.placing(live, run, where, lock.at, moved, again=again)
            unless.append(extent.grown(live, place.made(AFFECTED), where))
            if not force:
                unless.append(replacement.newer(live, run, where))
        return _record(client, live, lock, run, Change(State.APPLIED, lock.at, actor, reason), statements, unless)

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

    def attempt(run: Run, runs: Sequence[Run], lock: Lock) -> Run:
        if run.state is State.ROLLED_BACK:
            return run
        where, placed, moved = guards.check_roll_back(client, live, run, runs)
        steps.reached("checked")
        statements: list[str] = []
        unless: list[str] = []
        if where is not None:
            statements += replacement.restoring(live, run, where, placed, lock.at, moved)
            unless.append(extent.grown(live, Staging.of(live, run.run_id).made(AFFECTED), where))
        done = Change(State.ROLLED_BACK, lock.at, actor, reason)
        return _record(client, live, lock, run, done, statements, unless)

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

    def attempt(run: Run, runs: Sequence[Run], lock: Lock) -> Run:
        if run.state is State.APPLIED:
            raise RefusedError(
                f"run {run.run_id} is applied, and what it keeps is needed to roll it back; "
                f"BigQuery deletes that after {staging.KEPT_DAYS} days"
            )
        if run.state is State.DISCARDED:
            return run
        return _record(client, live, lock, run, Change(State.DISCARDED, lock.at, actor, reason))

    run = _until_unmoved(client, live, name, attempt)
    steps.reached("discarded")
    previewing.drop(client, live, run.run_id)
    staging.drop(client, Staging.of(live, run.run_id))
    folder.drop(run.run_id)
    steps.reached("dropped")
    return run


def _record(
    client: bigquery.Client,
    live: Target,
    lock: Lock,
    run: Run,
    change: Change,
    statements: Sequence[str] = (),
    unless: Sequence[str] = (),
) -> Run:
    """Commit a run's coming into a state with what it takes, and return the run in that state."""
    recorded = Runs(client, live).insertion(run, change.state, change.actor, change.reason, change.at)
    moves.commit(client, live, lock, [*statements, recorded], unless)
    return msgspec.structs.replace(run, history=(*run.history, change))


def _until_unmoved(client: bigquery.Client, live: Target, name: str, attempt: Attempt) -> Run:
    runs = Runs(client, live)
    # Whichever is the latest when we begin, however often it takes.
    known_as = [name]

    def once() -> Run:
        # The lock first: what is read after it is as the lock says, or the transaction fails.
        lock = Lock.read(client, live)
        every = runs.all()
        run = find(every, known_as[-1])
        known_as.append(run.run_id)
        return attempt(run, every, lock)

    return moves.until_unmoved(f"run {name}", once)
