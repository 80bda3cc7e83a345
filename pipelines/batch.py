"""Runs the pipeline over the archive: into Parquet files, and these into tables."""

import logging
from pathlib import Path

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.archive import Selection, find_segments
from pipelines.bigquery.target import Target
from pipelines.normalize import build
from pipelines.read_archive import ReadArchive
from pipelines.rows import TABLES
from pipelines.stream import counted
from pipelines.write_parquet import SUFFIX, WriteParquet
from schemas import loader

_log = logging.getLogger(__name__)


class BatchResult(msgspec.Struct, frozen=True):
    """What a batch run did."""

    segments: int
    events: int
    damages: int
    """Places in the archive that could not be read; each is in the log, with file and offset."""


def run(archive: str, selection: Selection, output: str, options: PipelineOptions) -> BatchResult:
    """Normalize the selected events of an archive into `<output>/<table>/*.parquet`.

    Raises:
        FileNotFoundError: there is no archive.
    """
    segments = find_segments(archive, selection)
    if not segments:
        return BatchResult(0, 0, 0)
    pipeline = beam.Pipeline(options=options)
    build(pipeline, ReadArchive(segments, selection), WriteParquet(output))
    result = pipeline.run()
    result.wait_until_finish()
    return BatchResult(len(segments), counted(result, "events"), counted(result, "damages"))


def load(client: bigquery.Client, where: Target, output: str) -> dict[str, int]:
    """Load what `run` has written into empty tables of a target; return the rows of each.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses a file.
    """
    return {table: _load_table(client, where, output, table) for table in TABLES}


def _load_table(client: bigquery.Client, where: Target, output: str, table: str) -> int:
    parquet = bigquery.ParquetOptions()
    parquet.enable_list_inference = True
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        parquet_options=parquet,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        schema=[
            bigquery.SchemaField.from_api_repr(c) for c in loader.tables()[table].resource["schema"]["fields"]
        ],
    )
    if output.startswith("gs://"):
        job = client.load_table_from_uri(
            f"{output.rstrip('/')}/{table}/*{SUFFIX}", where.table(table), job_config=config
        )
        return int(job.result().output_rows or 0)
    rows = 0
    for path in sorted((Path(output) / table).glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            job = client.load_table_from_file(file, where.table(table), job_config=config)
        rows += int(job.result().output_rows or 0)
    return rows
