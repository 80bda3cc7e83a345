"""Makes and fills the dataset of a run: the rows it made, those it will replace, and what differs."""

import hashlib
import time
from typing import Final

import msgspec
from apache_beam.io.filesystems import FileSystems
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipelines.bigquery.load import load_table
from pipelines.bigquery.target import drop_dataset
from pipelines.core.rows import TABLES
from pipelines.reprocess.runs import RefusedError, Staging
from pipelines.reprocess.steps import Steps
from schemas import loader

KEPT_DAYS: Final = 30
"""How long a run can be applied or rolled back; then BigQuery deletes what it kept."""
AFFECTED: Final = "affected"
"""The events of which any row is added, removed or changed: those that apply touches, and no others."""
CHANGES: Final = "changes"
"""Every row that was added, removed or changed, with its content before and after."""
TOTALS: Final = "totals"
"""Numbers of rows by table, source and day."""
LETTERS: Final = "letters"
"""Numbers of dead letters before and after, by source, stage and class."""

_DESCRIPTION: Final = "Rows of one reprocessing run; parley backfill list shows it. Deleted after 30 days."
_COLUMNS: Final = "parley-columns"
"""The label of a run's dataset that tells which columns its tables had when it was made."""
_SHORTEST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 2.0
_SHARE_OF_WAITING: Final = 0.1
"""How much longer than it takes we wait for a query at most, but for the shortest pause."""
SCHEMAS: Final = {
    AFFECTED: {"event_id": "STRING"},
    CHANGES: {
        "table_name": "STRING",
        "change": "STRING",
        "source": "STRING",
        "day": "DATE",
        "event_id": "STRING",
        "row_id": "STRING",
        "columns": "REPEATED STRING",
        "before": "STRING",
        "after": "STRING",
        "date_before": "DATE",
        "date_after": "DATE",
    },
    TOTALS: {
        "table_name": "STRING",
        "source": "STRING",
        "day": "DATE",
        "added": "INT64",
        "removed": "INT64",
        "changed": "INT64",
        "unchanged": "INT64",
    },
    LETTERS: {
        "moment": "STRING",
        "source": "STRING",
        "stage": "STRING",
        "error_class": "STRING",
        "letters": "INT64",
    },
}
"""Columns of the tables that hold a run's difference, each with its type, and REPEATED before it where it is."""


def create(client: bigquery.Client, staging: Staging, *, again: bool = False) -> None:
    """Create a run's dataset and its empty tables; `again` leaves those with rows that are there already."""
    dataset = bigquery.Dataset(staging.dataset)
    dataset.location = staging.target.location
    dataset.description = _DESCRIPTION
    dataset.default_table_expiration_ms = KEPT_DAYS * 86_400_000
    dataset.labels = {_COLUMNS: _fingerprint()}
    client.create_dataset(dataset, exists_ok=again)
    for spec in (loader.tables()[table] for table in TABLES):
        for name in (staging.made(spec.name), staging.before(spec.name)):
            _create_table(client, spec.name, name, again=again)
    for name, fields in SCHEMAS.items():
        if again:
            client.delete_table(staging.made(name), not_found_ok=True)
        client.create_table(bigquery.Table(staging.made(name), [_field(*field) for field in fields.items()]))


def _create_table(client: bigquery.Client, spec: str, name: str, *, again: bool = False) -> None:
    reference = bigquery.TableReference.from_string(name)
    resource = {**loader.tables()[spec].resource, "tableReference": reference.to_api_repr()}
    client.create_table(bigquery.Table.from_api_repr(resource), exists_ok=again)


def load(client: bigquery.Client, staging: Staging, output: str, steps: Steps, *, again: bool = False) -> None:
    """Load the files of a batch run into a run's dataset; `again` leaves tables that hold all of them already.

    Raises:
        RefusedError: BigQuery goes on with what somebody began who was killed.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    for done, table in enumerate(TABLES):
        steps.progress("loading", done, len(TABLES), "tables")
        note = f"{output.rstrip('/')}/loaded/{table}"
        held = _files(output, table)
        if again:
            # Other files may have as many rows: a segment that has grown since is made again.
            noted = _noted(note)
            if noted is not None and noted.files == held and noted.rows == _rows(client, staging, table):
                continue
            client.delete_table(staging.made(table), not_found_ok=True)
            _create_table(client, table, staging.made(table))
        rows = load_table(client, staging.target, output, table)
        if again and rows != _rows(client, staging, table):
            raise RefusedError("BigQuery still loads what was begun before: try again in a minute")
        with FileSystems.create(note, mime_type="text/plain") as file:
            file.write(msgspec.json.encode(_Loaded(rows, held)))
    steps.progress("loading", len(TABLES), len(TABLES), "tables")


class _Loaded(msgspec.Struct, frozen=True):
    """What a table was loaded from."""

    rows: int
    files: list[tuple[str, int, float]]
    """Name, bytes and when each was written, in seconds."""


def _files(output: str, table: str) -> list[tuple[str, int, float]]:
    found = FileSystems.match([f"{output.rstrip('/')}/{table}/*"])[0].metadata_list
    return sorted((file.path, file.size_in_bytes, float(file.last_updated_in_seconds)) for file in found)


def _noted(path: str) -> _Loaded | None:
    """Return what was noted of a load; None where it did not end."""
    if not FileSystems.exists(path):
        return None
    with FileSystems.open(path) as file:
        try:
            return msgspec.json.decode(file.read(), type=_Loaded)
        except msgspec.DecodeError:
            # Killed while it was written.
            return None


def _rows(client: bigquery.Client, staging: Staging, table: str) -> int:
    sql = f"SELECT COUNT(*) FROM `{staging.made(table)}`"  # noqa: S608
    return int(next(iter(client.query_and_wait(sql)))[0])


def exists(client: bigquery.Client, staging: Staging) -> bool:
    """Tell whether a run still has what it kept."""
    try:
        client.get_table(staging.made("events"))
    except NotFound:
        return False
    return True


def schema_is_current(client: bigquery.Client, staging: Staging) -> bool:
    """Tell whether the run's tables are what this version would make."""
    if client.get_dataset(staging.dataset).labels.get(_COLUMNS) == _fingerprint():
        return True
    # Made by a version that had other columns, or left no label.
    made = {table.table_id for table in client.list_tables(staging.dataset)}
    return made >= {*SCHEMAS, *TABLES} and all(
        {field.name for field in client.get_table(staging.made(table)).schema}
        == {column.name for column in loader.tables()[table].columns}
        for table in TABLES
    )


def _fingerprint() -> str:
    """Return what changes with the columns of any table of a run."""
    named = {table: sorted(column.name for column in loader.tables()[table].columns) for table in TABLES}
    return hashlib.sha256(msgspec.json.encode((named, SCHEMAS))).hexdigest()[:32]


def drop(client: bigquery.Client, staging: Staging) -> None:
    """Delete all that a run kept; nothing where that has been done."""
    drop_dataset(client, staging.dataset)


def events(client: bigquery.Client, staging: Staging) -> int:
    """Return of how many events a run made rows."""
    sql = f"SELECT COUNT(DISTINCT event_id) FROM `{staging.made('events')}`"  # noqa: S608
    return int(next(iter(client.query_and_wait(sql)))[0])


def affected(client: bigquery.Client, staging: Staging) -> int:
    """Return of how many events a run would change rows."""
    sql = f"SELECT COUNT(*) FROM `{staging.made(AFFECTED)}`"  # noqa: S608
    return int(next(iter(client.query_and_wait(sql)))[0])


def wait_for(job: bigquery.QueryJob) -> None:
    """Wait for a query however long it takes, without one request that a proxy would cut.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: the query failed.
    """
    began = time.monotonic()
    while not job.done():
        waited = time.monotonic() - began
        time.sleep(min(max(waited * _SHARE_OF_WAITING, _SHORTEST_PAUSE), _LONGEST_PAUSE))
    job.result()


def _field(name: str, kind: str) -> bigquery.SchemaField:
    mode, _, element = kind.rpartition(" ")
    return bigquery.SchemaField(name, element, mode or "NULLABLE")
