"""When a run may be applied or rolled back.

What is decided here is committed only if nobody has moved since (`moves`), and if live has stored nothing since
that would change it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import extent, staging
from pipelines.reprocess.replacement import MOVED
from pipelines.reprocess.retold import TOLD
from pipelines.reprocess.runs import RefusedError, Run, Staging, State, made_at
from pipelines.reprocess.sql import Extent, counted, literal, moment, partitions
from pipelines.reprocess.staging import AFFECTED, CHANGES


def check_apply(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], *, forced: bool
) -> tuple[Extent | None, Sequence[str]]:
    """Let a run be applied, or say why not; what a reason can outweigh comes last.

    Returns where rows of its affected events lie, None where there are none; and the tables of which it moves rows
    to other partitions.

    Raises:
        RefusedError: it cannot or should not be applied.
    """
    if run.state not in {State.PLANNED, State.ROLLED_BACK}:
        raise RefusedError(
            f"run {run.run_id} is {run.state}: only one that is planned or rolled back can be applied"
        )
    _check_erasures(client, live, run)
    where = _kept(client, live, run)
    changed = Changed.read(client, live, run) if where else Changed()
    objections = list(_objections(client, live, run, runs, where, changed))
    if objections and not forced:
        raise RefusedError("; ".join(objections) + ". Plan again, or give a reason with --force")
    return where, changed.moved


def _check_erasures(client: bigquery.Client, live: Target, run: Run) -> None:
    """Let no run be applied that may hold rows of somebody who was erased since it began, whatever the reason."""
    sql = f"SELECT MAX(state_at) FROM `{live.table('erasures')}` WHERE state = 'applying'"  # noqa: S608
    try:
        last = next(iter(client.query_and_wait(sql)))[0]
    except NotFound:
        # Of an earlier version, until its next `parley tables deploy`.
        return
    # The id says when a run began to read, which for a nightly one is long before it was recorded.
    begun = made_at(run.run_id) or run.history[0].at
    if last is not None and begun <= last:
        raise RefusedError(
            f"somebody was erased since run {run.run_id} began, or something let go by its age: "
            "discard it and plan again"
        )


def _check_is_of_no_erasure(client: bigquery.Client, live: Target, run: Run) -> None:
    """Let no run be taken back by which somebody was erased, or something let go: it would come back.

    It keeps nothing, but where the erasure was interrupted.
    """
    reason = run.history[0].reason
    if not reason:
        return
    sql = (
        f"SELECT COUNT(*) FROM `{live.table('erasures')}` "  # noqa: S608
        f"WHERE IF(key_id = '', reason, CONCAT('erasure ', run_id)) = {literal(reason)}"
    )
    try:
        is_of_one = next(iter(client.query_and_wait(sql)))[0]
    except NotFound:
        # Of an earlier version, until its next `parley tables deploy`.
        return
    if is_of_one:
        raise RefusedError(f"run {run.run_id} has erased what it replaced ({reason}): that is final")


def check_roll_back(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run]
) -> tuple[Extent | None, dt.datetime, Sequence[str]]:
    """Let a run be rolled back, or say why not.

    Returns where rows of its affected events lie, when they were placed, and the tables of which the run has moved
    rows to other partitions.

    Raises:
        RefusedError: it cannot be rolled back.
    """
    placed = run.reached(State.APPLIED)
    if run.state is not State.APPLIED or placed is None:
        raise RefusedError(f"run {run.run_id} is {run.state}: only one that is applied can be rolled back")
    _check_is_of_no_erasure(client, live, run)
    where = _kept(client, live, run)
    if where is not None:
        chosen = f"{_affected(live, run, where)} AND stored.run_id != {literal(run.run_id)}"
        for (holder,) in client.query_and_wait(
            f"SELECT MAX(run_id) FROM ({counted(live, 'events', chosen)}) HAVING COUNT(*) > 0"  # noqa: S608
        ):
            known = holder if any(other.run_id == holder for other in runs) else f"{holder}, which is unknown,"
            raise RefusedError(f"run {known} was applied to the same events since: roll that one back first")
    return where, placed, Changed.read(client, live, run).moved if where else ()


def _kept(client: bigquery.Client, live: Target, run: Run) -> Extent | None:
    place = Staging.of(live, run.run_id)
    if not staging.exists(client, place):
        gone = f"what run {run.run_id} kept is gone: BigQuery deletes it after {staging.KEPT_DAYS} days"
        raise RefusedError(f"{gone}. {_instead(run)}")
    if not staging.schema_is_current(client, place):
        raise RefusedError(f"the tables have changed since run {run.run_id} was planned. {_instead(run)}")
    return extent.of_events(client, live, place.made("events"), place.made(AFFECTED))


def _instead(run: Run) -> str:
    """Return what there is to do where a run can neither be applied nor rolled back any more."""
    if run.state is not State.APPLIED:
        return "Plan again"
    return "It cannot be taken back: plan the same range with the code whose rows are wanted"


def _affected(live: Target, run: Run, where: Extent) -> str:
    events = Staging.of(live, run.run_id).made(AFFECTED)
    return f"{partitions('events', where, 'stored.')} AND stored.event_id IN (SELECT event_id FROM `{events}`)"  # noqa: S608


class Changed(msgspec.Struct, frozen=True):
    """What a run's changes come to; they are as they were when it was planned."""

    failing: int = 0
    """How many events have rows now and would have none."""
    moved: Sequence[str] = ()
    """Tables of which it moves rows to other partitions, among those that tell things several times."""

    @classmethod
    def read(cls, client: bigquery.Client, live: Target, run: Run) -> "Changed":
        """Sum up a run's table of changes."""

        def outcome(column: str) -> str:
            return f"JSON_VALUE({column}, '$.outcome')"

        failing = (
            "table_name = 'events' AND change = 'changed' "
            f"AND {outcome('before')} IN ('normalized', 'partial') AND {outcome('after')} = 'failed'"
        )
        moved = (f"COUNTIF(table_name = {literal(table)} AND {MOVED})" for table in TOLD)
        changes = Staging.of(live, run.run_id).made(CHANGES)
        sql = f"SELECT COUNT(DISTINCT IF({failing}, event_id, NULL)), {', '.join(moved)} FROM `{changes}`"  # noqa: S608
        events, *rows = next(iter(client.query_and_wait(sql))).values()
        return cls(events, [table for table, count in zip(TOLD, rows, strict=True) if count])


def _objections(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], where: Extent | None, changed: Changed
) -> Iterator[str]:
    if run.damages:
        yield (
            f"the plan is incomplete: {len(run.damages)} places of the archive could not be read, "
            f"such as {run.damages[0].path} at offset {run.damages[0].offset}"
        )
    if where is None:
        return
    newest, moments = _ledger(client, live, run, where)
    if newest > run.generation:
        yield f"rows of generation {newest} are there, and the run's are of generation {run.generation}"
    if changed.failing:
        yield (
            f"{changed.failing} events that are normalized now would fail: "
            f"`parley backfill show {run.run_id}` says why, and "
            "the file of PARLEY_SOURCES_FILE may not be the one that live has"
        )
    yield from _moved_since(runs, moments)


def _ledger(client: bigquery.Client, live: Target, run: Run, where: Extent) -> tuple[int, Sequence[dt.datetime]]:
    """Return the newest generation of affected events, 0 where none counts; and when others have moved them."""
    # Not since it was planned: by then another may have replaced what it was compared with.
    begun = moment(run.history[0].at)
    events = Staging.of(live, run.run_id).made(AFFECTED)
    sql = (
        "SELECT DISTINCT generation, moved_at FROM ("  # noqa: S608
        f"SELECT generation, IF(placed_at > {begun}, placed_at, NULL) AS moved_at "
        f"FROM ({counted(live, 'events', _affected(live, run, where))}) UNION ALL "
        f"SELECT 0, decided_at FROM `{live.table('superseded')}` WHERE run_id IS NOT NULL "
        f"AND decided_at > {begun} AND event_id IN (SELECT event_id FROM `{events}`))"
    )
    found = [row.values() for row in client.query_and_wait(sql)]
    own = {change.at for change in run.history}
    moments = {at for _, at in found if at is not None} - own
    return max((generation for generation, _ in found), default=0), sorted(moments)


def _moved_since(runs: Sequence[Run], moments: Sequence[dt.datetime]) -> Iterator[str]:
    for at in moments:
        found = next(
            ((other, change) for other in runs for change in other.history if change.at == at), (None, None)
        )
        other, change = found
        if other is None or change is None:
            yield f"somebody has moved the same events since the plan, at {at}"
        else:
            yield f"run {other.run_id} was {change.state.replace('_', ' ')} for the same events since the plan"
