"""Datasets that show what a run would make true, before it is applied: of views, and a table of what is retold.

They have the names of an installation with a prefix of its own, so that every query and page runs against them:
its tables are views of the rows of all but the affected events, and of the run's rows for these; its views
are the same as everywhere.
"""

import datetime as dt
import itertools
from string import Template

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.deploy import in_dependency_order
from pipelines.bigquery.target import Target, drop_dataset
from pipelines.core.rows import TABLES
from pipelines.reprocess import staging
from pipelines.reprocess.replacement import moved_ids
from pipelines.reprocess.retold import TOLD
from pipelines.reprocess.runs import RefusedError, Run, Staging, State
from pipelines.reprocess.sql import columns, literal
from pipelines.reprocess.staging import AFFECTED, CHANGES
from schemas import loader

_DESCRIPTION = "What a reprocessing run would make true; parley backfill preview has made it."
_PART = 12


def prefix(live: Target, run_id: str) -> str:
    """Return what the names of a run's preview begin with: `PARLEY_DATASET_PREFIX` for whoever looks at it."""
    return f"{live.views_dataset}_preview_{run_id.replace('-', '')[-_PART:]}_"


def target(live: Target, run_id: str) -> Target:
    """Return the datasets of a run's preview."""
    return Target.prefixed(live.project, prefix(live, run_id), live.location)


def make(client: bigquery.Client, live: Target, run: Run) -> Target:
    """Make the preview of a run, or make it anew; return its datasets.

    Raises:
        RefusedError: the run is not one that could be applied, or what it kept is gone.
    """
    place = Staging.of(live, run.run_id)
    if run.state not in {State.PLANNED, State.ROLLED_BACK}:
        raise RefusedError(f"run {run.run_id} is {run.state}: only one that can be applied has a preview")
    if not staging.exists(client, place) or not staging.schema_is_current(client, place):
        raise RefusedError(f"what run {run.run_id} kept is gone, or of another version: plan again")
    drop(client, live, run.run_id)
    shown = target(live, run.run_id)
    for name in (shown.rows_dataset, shown.views_dataset):
        dataset = bigquery.Dataset(f"{shown.project}.{name}")
        dataset.location = shown.location
        dataset.description = _DESCRIPTION
        dataset.default_table_expiration_ms = staging.KEPT_DAYS * 86_400_000
        client.create_dataset(dataset)
    made = [name for name in loader.tables() if name != "retold"]
    for table in made:
        _create(client, shown.table(table), _rows(live, place, run, table))
    ordered = in_dependency_order(loader.views())
    for view in filter(_is_counted, ordered):
        _create(client, shown.view(view), _view(shown, view))
    # Found by what counts, which takes nothing of it. Few rows, so that no view has to find them again.
    retold = _retold(client, live, place, run)
    staging.wait_for(client.query(f"CREATE TABLE `{shown.table('retold')}` AS {retold}"))
    for view in itertools.filterfalse(_is_counted, ordered):
        _create(client, shown.view(view), _view(shown, view))
    return shown


def _is_counted(view: str) -> bool:
    return view.startswith((loader.COUNTED, loader.SEEN)) or view == "superseded"


def _view(shown: Target, view: str) -> str:
    names = {"rows": f"{shown.project}.{shown.rows_dataset}", "views": f"{shown.project}.{shown.views_dataset}"}
    return Template(loader.views()[view]).substitute(names)


class Messages(msgspec.Struct, frozen=True):
    """How many messages the view `messages` has of a source and a day, and would have."""

    source: str
    day: dt.date
    before: int
    after: int


def messages(client: bigquery.Client, live: Target, run: Run) -> list[Messages]:
    """Return the counts of the days on which a run, of which there is a preview, changes them."""
    changes = Staging.of(live, run.run_id).made(CHANGES)
    days = " UNION DISTINCT ".join(
        f"SELECT {column} FROM `{changes}` WHERE table_name = 'messages' AND {column} IS NOT NULL"  # noqa: S608
        for column in ("date_before", "date_after")
    )

    def counts(where: Target) -> str:
        return (
            f"SELECT source, sent_date AS day, COUNT(*) AS n FROM `{where.view('messages')}` "  # noqa: S608
            f"WHERE sent_date IN ({days}) GROUP BY source, sent_date"
        )

    sql = (
        "SELECT source, day, COALESCE(now.n, 0) AS old_count, COALESCE(planned.n, 0) AS new_count "  # noqa: S608
        f"FROM ({counts(live)}) AS now "
        f"FULL OUTER JOIN ({counts(target(live, run.run_id))}) AS planned USING (source, day) "
        "WHERE COALESCE(now.n, 0) != COALESCE(planned.n, 0) ORDER BY day, source"
    )
    return [Messages(*row.values()) for row in client.query_and_wait(sql)]


def drop(client: bigquery.Client, live: Target, run_id: str) -> None:
    """Delete the preview of a run; nothing where there is none."""
    shown = target(live, run_id)
    for name in (shown.views_dataset, shown.rows_dataset):
        drop_dataset(client, f"{shown.project}.{name}")


def _create(client: bigquery.Client, name: str, sql: str) -> None:
    view = bigquery.Table(name)
    view.view_query = sql
    client.create_table(view)


def _rows(live: Target, place: Staging, run: Run, table: str) -> str:
    """Return the query of what a table would hold."""
    names = ", ".join(columns(table))
    affected = f"(SELECT event_id FROM `{place.made(AFFECTED)}`)"  # noqa: S608
    if table == "superseded":
        # What the run replaces is not there.
        return f"SELECT {names} FROM `{live.table(table)}` WHERE event_id NOT IN {affected}"  # noqa: S608
    if table not in TABLES:
        return f"SELECT {names} FROM `{live.table(table)}`"  # noqa: S608
    kept = ", ".join(f"stored.{name}" for name in columns(table))
    placed = ", ".join(
        f"{literal(run.run_id)} AS run_id" if name == "`run_id`" else f"made.{name}" for name in columns(table)
    )
    return (
        f"SELECT {kept} FROM `{live.table(table)}` AS stored "  # noqa: S608
        f"LEFT JOIN `{place.made(AFFECTED)}` AS gone ON gone.event_id = stored.event_id "
        "WHERE gone.event_id IS NULL "
        f"UNION ALL SELECT {placed} FROM `{place.made(table)}` AS made "
        f"INNER JOIN `{place.made(AFFECTED)}` AS chosen ON chosen.event_id = made.event_id"
    )


def _retold(client: bigquery.Client, live: Target, place: Staging, run: Run) -> str:
    """Return the query of what would be retold: known, but for what the run moves to or from a partition."""
    known = f"SELECT known.id, known.shown_date, known.decided_at FROM `{live.view('retold')}` AS known"  # noqa: S608
    shown = target(live, run.run_id)
    moved = {table: moved_ids(place, table) for table in TOLD}
    found = [
        table
        for table, ids in moved.items()
        if next(iter(client.query_and_wait(f"SELECT COUNT(*) FROM ({ids})")))[0]  # noqa: S608
    ]
    if not found:
        return known
    every = " UNION ALL ".join(moved[table] for table in found)
    others = f"{known} LEFT JOIN ({every}) AS moved ON moved.id = known.id WHERE moved.id IS NULL"
    again = []
    for table in found:
        known_by, date, first, _ = TOLD[table]
        again.append(
            f"SELECT {known_by}, {first}, CURRENT_TIMESTAMP() FROM `{shown.view(loader.COUNTED + table)}` AS told "  # noqa: S608
            f"INNER JOIN ({moved[table]}) AS moved ON moved.id = told.{known_by} "
            f"GROUP BY {known_by} HAVING COUNT(DISTINCT {date}) > 1"
        )
    return " UNION ALL ".join([others, *again])
