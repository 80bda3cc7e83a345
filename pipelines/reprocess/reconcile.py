"""Holds the archive against the ledger and the ledger against the rows: the proof that nothing was lost.

received = normalized + partial + ignored + failed, for every source and day; and of every event as many
rows and dead letters are there as its ledger row says.
"""

import contextlib
import datetime as dt
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery import load
from pipelines.bigquery.arrow import UNMADE
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import Damage, damages_folder, read_damages
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import archived, extent
from pipelines.reprocess.progress import watched
from pipelines.reprocess.sql import Extent, counted, literal, moment, partitions
from pipelines.reprocess.staging import wait_for
from pipelines.reprocess.steps import Steps
from schemas import loader

COLUMNS: Final = [
    bigquery.SchemaField("event_id", "STRING"),
    bigquery.SchemaField("source", "STRING"),
    bigquery.SchemaField("received_at", "TIMESTAMP"),
]
"""Of the table that holds what the archive has, for the time of a comparison."""
_EXPIRES_MS: Final = 86_400_000
_ENDPOINT: Final = (
    "CASE WHEN source = 'instagram' THEN 'facebook' "
    "WHEN STARTS_WITH(source, 'twilio.') THEN 'twilio' ELSE source END"
)
"""The endpoint that took what became a row: a row's source is the finer one."""


class Day(msgspec.Struct, frozen=True):
    """Events of one source and day of receipt."""

    source: str
    day: dt.date
    archived: int
    normalized: int
    partial: int
    ignored: int
    failed: int
    missing: int
    """In the archive, not in the ledger."""
    not_archived: int
    """In the ledger, not in the archive."""
    incomplete: int
    """With other numbers of rows or dead letters than the ledger says: too few, or those of two versions."""
    stray: int
    """With rows, but neither the archive nor the ledger knows them."""


class Reconciliation(msgspec.Struct, frozen=True):
    """What a comparison of archive, ledger and rows has found."""

    days: Sequence[Day]
    missing: Sequence[str]
    """Ids of events that the archive has and the ledger lacks."""
    not_archived: Sequence[str]
    incomplete: Sequence[str]
    stray: Sequence[str]
    """Ids of events that have rows, and are in neither."""
    broken: int
    """Archived requests without a usable id, source or time, which no ledger row can tell of."""
    damages: Sequence[Damage]

    @property
    def agrees(self) -> bool:
        """Whether archive, ledger and rows tell the same."""
        return not (self.missing or self.not_archived or self.incomplete or self.stray)


def reconcile(
    client: bigquery.Client,
    where: Target,
    archive: str,
    selection: Selection,
    options: PipelineOptions,
    *,
    files: str | None = None,
    steps: Steps | None = None,
) -> Reconciliation:
    """Compare archive, ledger and rows of a range of times of receipt; nothing that anybody reads changes.

    Raises:
        FileNotFoundError: there is no archive.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    steps = steps or Steps()
    with tempfile.TemporaryDirectory(prefix="parley-") as folder, _dataset(client, where) as place:
        output = f"{files.rstrip('/')}/{uuid.uuid4().hex}" if files else folder
        with watched(archive, selection, f"{output}/{archived.TABLE}", "reading", steps):
            archived.write(archive, selection, output, options)
        damages = read_damages(damages_folder(output))
        table = place.table(archived.TABLE)
        client.create_table(bigquery.Table(table, COLUMNS))
        load.load_files(client, table, COLUMNS, f"{output}/{archived.TABLE}", archived.SCHEMA)
        wait_for(client.query(_check_sql(where, place, selection, _extent(client, where, place, selection))))
        return _read(client, place, damages)


@contextlib.contextmanager
def _dataset(client: bigquery.Client, where: Target) -> Iterator[Target]:
    """Make a dataset for the time of the comparison; BigQuery deletes its tables if we cannot."""
    place = msgspec.structs.replace(where, rows_dataset=f"{where.views_dataset}_reconcile_{uuid.uuid4().hex}")
    dataset = bigquery.Dataset(f"{place.project}.{place.rows_dataset}")
    dataset.location = where.location
    dataset.default_table_expiration_ms = _EXPIRES_MS
    client.create_dataset(dataset)
    try:
        yield place
    finally:
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def _ledger(where: Target, selection: Selection) -> str:
    return (
        "SELECT event_id, source, received_at, outcome, `rows`, first_date, last_date, dead_letters "  # noqa: S608
        f"FROM `{where.view('counted_events')}` "
        f"WHERE {_received(selection)} AND {_of_sources(selection, 'source')} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY generation DESC, processed_at) = 1"
    )


def _received(selection: Selection, alias: str = "") -> str:
    conditions = ["TRUE"]
    if selection.start:
        conditions.append(f"{alias}received_at >= {moment(selection.start)}")
    if selection.end:
        conditions.append(f"{alias}received_at < {moment(selection.end)}")
    return " AND ".join(conditions)


def _of_sources(selection: Selection, column: str) -> str:
    return f"{column} IN ({', '.join(map(literal, selection.sources))})" if selection.sources else "TRUE"


def _extent(client: bigquery.Client, where: Target, place: Target, selection: Selection) -> Extent:
    """Return where the rows are: literals, by which BigQuery prunes."""
    archive = f"SELECT received_at FROM `{place.table(archived.TABLE)}`"  # noqa: S608
    ledger = f"SELECT received_at, `rows`, first_date, last_date FROM ({_ledger(where, selection)})"  # noqa: S608
    sql = (
        f"SELECT MIN(DATE(received_at)), MAX(DATE(received_at)), {extent.earliest()}, {extent.latest()} "  # noqa: S608
        f"FROM ({ledger} UNION ALL SELECT received_at, 0, NULL, NULL FROM ({archive}))"
    )
    first, last, *dates = next(iter(client.query_and_wait(sql))).values()
    today = dt.datetime.now(dt.UTC).date()
    first, last = first or today, last or today
    # And where rows of what neither of them knows may be.
    dates += [first - dt.timedelta(days=extent.DAYS_BEFORE), last + dt.timedelta(days=1)]
    known = [date for date in dates if date is not None]
    return Extent(first, last, min(known), max(known))


def _found(where: Target, table: str, selection: Selection, rows: Extent) -> str:
    """Return a query of which rows there are, each once: an event that was stored twice has its rows twice.

    Their content need not be read: where it lies in the event tells which it is.
    """
    dropped = {*UNMADE, "traceback", "data", "content"}
    told = ", ".join(f"`{c.name}`" for c in loader.tables()[table].columns if c.name not in dropped)
    chosen = f"{partitions(table, rows, 'stored.')} AND {_received(selection, 'stored.')}"
    return (
        "SELECT event_id, source, received_at FROM (SELECT DISTINCT event_id, source, received_at, "  # noqa: S608
        f"TO_JSON_STRING(told) AS told FROM (SELECT {told} FROM ({counted(where, table, chosen)})) AS told)"
    )


def _check_sql(where: Target, place: Target, selection: Selection, rows: Extent) -> str:
    found = (_found(where, table, selection, rows) for table in TABLES if table not in {"events", "dead_letters"})
    return f"""
CREATE TABLE `{place.table("checked")}` AS
WITH
  archived AS (
    SELECT DISTINCT event_id, source, received_at FROM `{place.table(archived.TABLE)}` WHERE event_id IS NOT NULL
  ),
  ledger AS ({_ledger(where, selection)}),
  found AS (
    SELECT event_id, MAX({_ENDPOINT}) AS source, MIN(received_at) AS received_at, COUNT(*) AS found_rows
    FROM ({" UNION ALL ".join(found)})
    GROUP BY event_id
  ),
  letters AS (
    SELECT event_id, COUNT(*) AS found_letters FROM ({_found(where, "dead_letters", selection, rows)})
    WHERE event_id IS NOT NULL GROUP BY event_id
  ),
  known AS (
    SELECT
      COALESCE(archived.event_id, ledger.event_id) AS event_id,
      COALESCE(archived.source, ledger.source) AS source,
      COALESCE(archived.received_at, ledger.received_at) AS received_at,
      archived.event_id IS NOT NULL AS is_archived,
      ledger.outcome,
      ledger.`rows` AS expected_rows,
      ledger.dead_letters AS expected_letters
    FROM archived FULL OUTER JOIN ledger ON archived.event_id = ledger.event_id
  )
SELECT
  COALESCE(known.event_id, found.event_id) AS event_id,
  COALESCE(known.source, found.source) AS source,
  DATE(COALESCE(known.received_at, found.received_at)) AS day,
  COALESCE(known.is_archived, FALSE) AS is_archived,
  known.outcome AS outcome,
  known.event_id IS NULL AS is_stray,
  known.outcome IS NOT NULL AND (
    known.expected_rows != COALESCE(found.found_rows, 0)
    OR known.expected_letters != COALESCE(letters.found_letters, 0)
  ) AS is_incomplete
FROM known
FULL OUTER JOIN found ON found.event_id = known.event_id
LEFT JOIN letters ON letters.event_id = known.event_id
WHERE known.event_id IS NOT NULL OR {_of_sources(selection, "found.source")}
"""  # noqa: S608


def _read(client: bigquery.Client, place: Target, damages: Sequence[Damage]) -> Reconciliation:
    checked = f"`{place.table('checked')}`"
    outcomes = ", ".join(f"COUNTIF(outcome = '{name}')" for name in ("normalized", "partial", "ignored", "failed"))
    days = client.query_and_wait(
        f"SELECT source, day, COUNTIF(is_archived), {outcomes}, "  # noqa: S608
        f"COUNTIF(outcome IS NULL AND NOT is_stray), COUNTIF(NOT is_archived AND NOT is_stray), "
        f"COUNTIF(is_incomplete), COUNTIF(is_stray) FROM {checked} GROUP BY 1, 2 ORDER BY 1, 2"
    )

    def ids(condition: str) -> list[str]:
        sql = f"SELECT event_id FROM {checked} WHERE {condition} ORDER BY event_id"  # noqa: S608
        return [row[0] for row in client.query_and_wait(sql)]

    broken = f"SELECT COUNTIF(event_id IS NULL) FROM `{place.table(archived.TABLE)}`"  # noqa: S608
    return Reconciliation(
        [Day(*row.values()) for row in days],
        missing=ids("outcome IS NULL AND NOT is_stray"),
        not_archived=ids("NOT is_archived AND NOT is_stray"),
        incomplete=ids("is_incomplete"),
        stray=ids("is_stray"),
        broken=next(iter(client.query_and_wait(broken)))[0],
        damages=damages,
    )
