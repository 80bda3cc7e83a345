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
from pipelines.bigquery.arrow import PROCESSED_AT
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import Damage, damages_folder, read_damages
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import archived
from pipelines.reprocess.progress import watched
from pipelines.reprocess.sql import literal, partitions
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
    """With other numbers of rows or dead letters than the ledger says."""


class Reconciliation(msgspec.Struct, frozen=True):
    """What a comparison of archive, ledger and rows has found."""

    days: Sequence[Day]
    missing: Sequence[str]
    """Ids of events that the archive has and the ledger lacks."""
    not_archived: Sequence[str]
    incomplete: Sequence[str]
    broken: int
    """Archived requests without a usable id, source or time, which no ledger row can tell of."""
    damages: Sequence[Damage]

    @property
    def agrees(self) -> bool:
        """Whether archive, ledger and rows tell the same."""
        return not (self.missing or self.not_archived or self.incomplete)


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
        wait_for(client.query(_check_sql(where, place, selection, _days(client, where, place, selection))))
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
    conditions = ["TRUE"]
    if selection.start:
        conditions.append(f"received_at >= TIMESTAMP {literal(selection.start.isoformat())}")
    if selection.end:
        conditions.append(f"received_at < TIMESTAMP {literal(selection.end.isoformat())}")
    if selection.sources:
        conditions.append(f"source IN ({', '.join(map(literal, selection.sources))})")
    return (
        "SELECT event_id, source, received_at, outcome, `rows` AS expected_rows, "  # noqa: S608
        f"dead_letters AS expected_letters, generation FROM `{where.view('events')}` "
        f"WHERE {' AND '.join(conditions)}"
    )


def _days(client: bigquery.Client, where: Target, place: Target, selection: Selection) -> tuple[dt.date, dt.date]:
    """Return the first and last day of receipt: literals, by which BigQuery prunes."""
    sql = (
        "SELECT MIN(DATE(received_at)), MAX(DATE(received_at)) FROM "  # noqa: S608
        f"(SELECT received_at FROM `{place.table(archived.TABLE)}` "
        f"UNION ALL SELECT received_at FROM ({_ledger(where, selection)}))"
    )
    first, last = next(iter(client.query_and_wait(sql))).values()
    today = dt.datetime.now(dt.UTC).date()
    return first or today, last or today


def _check_sql(where: Target, place: Target, selection: Selection, days: tuple[dt.date, dt.date]) -> str:
    def distinct(table: str) -> str:
        # An event that was stored twice has its rows twice. Their content need not be read: where it lies in the
        # event tells which it is.
        dropped = [name for name in (PROCESSED_AT, "traceback", "data", "content") if name in _names(table)]
        return (
            "SELECT event_id, generation FROM (SELECT DISTINCT event_id, generation, TO_JSON_STRING(told) AS told "  # noqa: S608
            f"FROM (SELECT * EXCEPT ({', '.join(dropped)}) FROM `{where.table(table)}` "
            f"WHERE {partitions(table, *days)}) AS told)"
        )

    tables = [table for table in TABLES if table not in {"events", "dead_letters"}]
    return f"""
CREATE TABLE `{place.table("checked")}` AS
WITH
  archived AS (
    SELECT DISTINCT event_id, source, received_at FROM `{place.table(archived.TABLE)}` WHERE event_id IS NOT NULL
  ),
  ledger AS ({_ledger(where, selection)}),
  found AS (
    SELECT event_id, generation, COUNT(*) AS found_rows
    FROM ({" UNION ALL ".join(distinct(table) for table in tables)}) GROUP BY event_id, generation
  ),
  letters AS (
    SELECT event_id, generation, COUNT(*) AS found_letters FROM ({distinct("dead_letters")})
    GROUP BY event_id, generation
  )
SELECT
  COALESCE(archived.event_id, ledger.event_id) AS event_id,
  COALESCE(archived.source, ledger.source) AS source,
  DATE(COALESCE(archived.received_at, ledger.received_at)) AS day,
  archived.event_id IS NOT NULL AS is_archived,
  ledger.outcome AS outcome,
  ledger.outcome IS NOT NULL AND (
    ledger.expected_rows != COALESCE(found.found_rows, 0)
    OR ledger.expected_letters != COALESCE(letters.found_letters, 0)
  ) AS is_incomplete
FROM archived
FULL OUTER JOIN ledger ON archived.event_id = ledger.event_id
LEFT JOIN found ON found.event_id = ledger.event_id AND found.generation = ledger.generation
LEFT JOIN letters ON letters.event_id = ledger.event_id AND letters.generation = ledger.generation
"""  # noqa: S608


def _names(table: str) -> set[str]:
    return {column.name for column in loader.tables()[table].columns}


def _read(client: bigquery.Client, place: Target, damages: Sequence[Damage]) -> Reconciliation:
    checked = f"`{place.table('checked')}`"
    outcomes = ", ".join(f"COUNTIF(outcome = '{name}')" for name in ("normalized", "partial", "ignored", "failed"))
    days = client.query_and_wait(
        f"SELECT source, day, COUNTIF(is_archived), {outcomes}, COUNTIF(outcome IS NULL), "  # noqa: S608
        f"COUNTIF(NOT is_archived), COUNTIF(is_incomplete) FROM {checked} GROUP BY 1, 2 ORDER BY 1, 2"
    )

    def ids(condition: str) -> list[str]:
        sql = f"SELECT event_id FROM {checked} WHERE {condition} ORDER BY event_id"  # noqa: S608
        return [row[0] for row in client.query_and_wait(sql)]

    broken = f"SELECT COUNTIF(event_id IS NULL) FROM `{place.table(archived.TABLE)}`"  # noqa: S608
    return Reconciliation(
        [Day(*row.values()) for row in days],
        missing=ids("outcome IS NULL"),
        not_archived=ids("NOT is_archived"),
        incomplete=ids("is_incomplete"),
        broken=next(iter(client.query_and_wait(broken)))[0],
        damages=damages,
    )
