"""When a run may be applied or rolled back. What is decided here is committed only if no run has moved since."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import staging, streamed
from pipelines.reprocess.runs import RefusedError, Run, Staging, State
from pipelines.reprocess.sql import partitions


def check_apply(client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], *, forced: bool) -> None:
    """Let a run be applied, or say why not; what a reason can outweigh comes last.

    Raises:
        RefusedError: it cannot or should not be applied.
    """
    place = Staging.of(live, run.run_id)
    if run.state not in {State.PLANNED, State.ROLLED_BACK}:
        raise RefusedError(
            f"run {run.run_id} is {run.state}: only one that is planned or rolled back can be applied"
        )
    _check_kept(client, run, place)
    if not staging.schema_is_current(client, place):
        raise RefusedError(f"the tables have changed since run {run.run_id} was planned: plan again")
    _check_streamed(client, live, run, runs)
    objections = list(_objections(client, live, run, runs))
    if objections and not forced:
        raise RefusedError("; ".join(objections) + ". Plan again, or give a reason with --force")


def check_roll_back(client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run]) -> None:
    """Let a run be rolled back, or say why not.

    Raises:
        RefusedError: it cannot be rolled back.
    """
    if run.state is not State.APPLIED:
        raise RefusedError(f"run {run.run_id} is {run.state}: only one that is applied can be rolled back")
    _check_kept(client, run, Staging.of(live, run.run_id))
    since = run.reached(State.APPLIED)
    for other in runs:
        applied = other.reached(State.APPLIED)
        later = other.state is State.APPLIED and applied is not None and since is not None and applied > since
        if later and other.run_id != run.run_id and _shared(client, live, run, other):
            raise RefusedError(
                f"run {other.run_id} was applied to the same events since: roll that one back first"
            )


def _check_streamed(client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run]) -> None:
    # Not for a rollback: it deletes rows that apply has inserted, and no others.
    reprocessed = staging.events(client, Staging.of(live, run.run_id))
    until = None if reprocessed is None else streamed.replaceable_from(client, live, run, runs, reprocessed)
    if until is not None:
        wait = math.ceil((until - dt.datetime.now(dt.UTC)) / dt.timedelta(minutes=1))
        buffered = streamed.buffered_for() // dt.timedelta(minutes=1)
        raise RefusedError(
            f"run {run.run_id} cannot be applied before {until + dt.timedelta(seconds=1):%Y-%m-%d %H:%M:%S} UTC, "
            f"{max(wait, 1)} min from now: live has just stored rows of its events, and BigQuery lets no "
            f"transaction replace those for {buffered} min. Apply it then, or plan again with an earlier --to"
        )


def _check_kept(client: bigquery.Client, run: Run, place: Staging) -> None:
    if not staging.exists(client, place):
        raise RefusedError(
            f"what run {run.run_id} kept is gone: BigQuery deletes it after {staging.KEPT_DAYS} days. Plan again"
        )


def _objections(client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run]) -> Iterator[str]:
    if run.damages:
        yield (
            f"the plan is incomplete: {len(run.damages)} places of the archive could not be read, "
            f"such as {run.damages[0].path} at offset {run.damages[0].offset}"
        )
    newest = _newest_generation(client, live, run)
    if newest > run.generation:
        yield f"rows of generation {newest} are there, and the run's are of generation {run.generation}"
    # Not when it was planned: by then another may have replaced what it was compared with.
    begun = run.history[0].at
    for other in runs:
        moved = max(
            (change.at for change in other.history if change.state in {State.APPLIED, State.ROLLED_BACK}),
            default=None,
        )
        since = other.run_id != run.run_id and moved is not None and moved > begun
        if since and _shared(client, live, run, other):
            yield f"run {other.run_id} was {other.state.replace('_', ' ')} for the same events since the plan"


def _newest_generation(client: bigquery.Client, live: Target, run: Run) -> int:
    place = Staging.of(live, run.run_id)
    reprocessed = staging.events(client, place)
    if reprocessed is None:
        return 0
    sql = (
        f"SELECT COALESCE(MAX(generation), 0) FROM `{live.table('events')}` "  # noqa: S608
        f"WHERE {partitions('events', reprocessed.first, reprocessed.last)} "
        f"AND event_id IN (SELECT event_id FROM `{place.made('events')}`)"
    )
    return int(next(iter(client.query_and_wait(sql)))[0])


def _shared(client: bigquery.Client, live: Target, run: Run, other: Run) -> bool:
    """Tell whether two runs have events in common; where what the other kept is gone, whether they may have."""
    if apart(run, other):
        return False
    mine, others = Staging.of(live, run.run_id), Staging.of(live, other.run_id)
    if not staging.exists(client, others):
        return True
    sql = (
        f"SELECT COUNT(*) FROM `{mine.made('events')}` WHERE event_id IN "  # noqa: S608
        f"(SELECT event_id FROM `{others.made('events')}`)"
    )
    return bool(next(iter(client.query_and_wait(sql)))[0])


def apart(run: Run, other: Run) -> bool:
    """Tell whether two runs cannot have events in common, by the times and sources that were asked for."""
    one, two = json.loads(run.selection), json.loads(other.selection)
    sources = [set(asked["sources"]) for asked in (one, two) if asked.get("sources")]
    if len(sources) == len((one, two)) and sources[0].isdisjoint(sources[1]):
        return True
    return _ends_before(one, two) or _ends_before(two, one)


def _ends_before(one: dict[str, Any], two: dict[str, Any]) -> bool:
    end, start = one.get("to"), two.get("from")
    return bool(end and start and dt.datetime.fromisoformat(end) <= dt.datetime.fromisoformat(start))
