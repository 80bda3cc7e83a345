"""When a run may be applied or rolled back.

What is decided here is committed only if nobody has moved since (`moves`), and if live has stored nothing since
that would change it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.reprocess import extent, staging
from pipelines.reprocess.runs import RefusedError, Run, Staging, State
from pipelines.reprocess.sql import Extent, counted, literal, moment, partitions
from pipelines.reprocess.staging import AFFECTED, CHANGES


def check_apply(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], *, forced: bool
) -> Extent | None:
    """Let a run be applied and return where rows of its affected events lie, or say why not.

    What a reason can outweigh comes last.

    Raises:
        RefusedError: it cannot or should not be applied.
    """
    if run.state not in {State.PLANNED, State.ROLLED_BACK}:
        raise RefusedError(
            f"run {run.run_id} is {run.state}: only one that is planned or rolled back can be applied"
        )
    where = _kept(client, live, run)
    objections = list(_objections(client, live, run, runs, where))
    if objections and not forced:
        raise RefusedError("; ".join(objections) + ". Plan again, or give a reason with --force")
    return where


def check_roll_back(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run]
) -> tuple[Extent | None, dt.datetime]:
    """Let a run be rolled back; return where rows of its affected events lie, and when they were placed.

    Raises:
        RefusedError: it cannot be rolled back.
    """
    placed = run.reached(State.APPLIED)
    if run.state is not State.APPLIED or placed is None:
        raise RefusedError(f"run {run.run_id} is {run.state}: only one that is applied can be rolled back")
    where = _kept(client, live, run)
    if where is not None:
        chosen = f"{_affected(live, run, where)} AND stored.run_id != {literal(run.run_id)}"
        for (holder,) in client.query_and_wait(
            f"SELECT MAX(run_id) FROM ({counted(live, 'events', chosen)}) HAVING COUNT(*) > 0"  # noqa: S608
        ):
            known = holder if any(other.run_id == holder for other in runs) else f"{holder}, which is unknown,"
            raise RefusedError(f"run {known} was applied to the same events since: roll that one back first")
    return where, placed


def _kept(client: bigquery.Client, live: Target, run: Run) -> Extent | None:
    place = Staging.of(live, run.run_id)
    if not staging.exists(client, place):
        raise RefusedError(
            f"what run {run.run_id} kept is gone: BigQuery deletes it after {staging.KEPT_DAYS} days. Plan again"
        )
    if not staging.schema_is_current(client, place):
        raise RefusedError(f"the tables have changed since run {run.run_id} was planned: plan again")
    return extent.of_events(client, live, place.made("events"), place.made(AFFECTED))


def _affected(live: Target, run: Run, where: Extent) -> str:
    events = Staging.of(live, run.run_id).made(AFFECTED)
    return f"{partitions('events', where, 'stored.')} AND stored.event_id IN (SELECT event_id FROM `{events}`)"  # noqa: S608


def _objections(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], where: Extent | None
) -> Iterator[str]:
    if run.damages:
        yield (
            f"the plan is incomplete: {len(run.damages)} places of the archive could not be read, "
            f"such as {run.damages[0].path} at offset {run.damages[0].offset}"
        )
    if where is None:
        return
    if newest := _newest_generation(client, live, run, where):
        yield f"rows of generation {newest} are there, and the run's are of generation {run.generation}"
    if failing := _failing(client, live, run):
        yield (
            f"{failing} events that are normalized now would fail: `parley backfill show {run.run_id}` says why. "
            "Is the file of PARLEY_SOURCES_FILE the one that live has?"
        )
    yield from _moved_since(client, live, run, runs, where)


def _newest_generation(client: bigquery.Client, live: Target, run: Run, where: Extent) -> int | None:
    chosen = f"{_affected(live, run, where)} AND stored.generation > {run.generation}"
    sql = f"SELECT MAX(generation) FROM ({counted(live, 'events', chosen)})"  # noqa: S608
    newest: int | None = next(iter(client.query_and_wait(sql)))[0]
    return newest


def _failing(client: bigquery.Client, live: Target, run: Run) -> int:
    """Return how many events have rows now and would have none."""
    changes = Staging.of(live, run.run_id).made(CHANGES)

    def outcome(column: str) -> str:
        return f"JSON_VALUE({column}, '$.outcome')"

    sql = (
        f"SELECT COUNT(DISTINCT event_id) FROM `{changes}` WHERE table_name = 'events' AND change = 'changed' "  # noqa: S608
        f"AND {outcome('before')} IN ('normalized', 'partial') AND {outcome('after')} = 'failed'"
    )
    return int(next(iter(client.query_and_wait(sql)))[0])


def _moved_since(
    client: bigquery.Client, live: Target, run: Run, runs: Sequence[Run], where: Extent
) -> Iterator[str]:
    # Not when it was planned: by then another may have replaced what it was compared with.
    begun = run.history[0].at
    own = ", ".join(moment(change.at) for change in run.history)
    chosen = f"{_affected(live, run, where)} AND stored.placed_at > {moment(begun)}"
    events = Staging.of(live, run.run_id).made(AFFECTED)
    sql = (
        "SELECT DISTINCT moved_at FROM ("  # noqa: S608
        f"SELECT placed_at AS moved_at FROM ({counted(live, 'events', chosen)}) UNION ALL "
        f"SELECT decided_at FROM `{live.table('superseded')}` WHERE run_id IS NOT NULL "
        f"AND decided_at > {moment(begun)} AND event_id IN (SELECT event_id FROM `{events}`)) "
        f"WHERE moved_at NOT IN ({own}) ORDER BY moved_at"
    )
    for (at,) in client.query_and_wait(sql):
        found = next(
            ((other, change) for other in runs for change in other.history if change.at == at), (None, None)
        )
        other, change = found
        if other is None or change is None:
            yield f"somebody has moved the same events since the plan, at {at}"
        else:
            yield f"run {other.run_id} was {change.state.replace('_', ' ')} for the same events since the plan"
