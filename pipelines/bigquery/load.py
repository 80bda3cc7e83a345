"""Loads the Parquet files of a batch run into tables, in few load jobs."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems
from google.cloud import bigquery

from pipelines.bigquery import arrow
from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES
from schemas import loader

SUFFIX = ".parquet"
_LARGEST_UPLOAD = 64 * 1024 * 1024
_ROW_GROUP_BYTES = 16 * 1024 * 1024


def load(client: bigquery.Client, where: Target, output: str) -> dict[str, int]:
    """Load what `run` has written into empty tables of a target; return the rows of each.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses a file.
    """
    return {table: load_table(client, where, output, table) for table in TABLES}


def load_table(client: bigquery.Client, where: Target, output: str, table: str) -> int:
    """Load what `run` has written for one table; return its rows.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses a file.
    """
    fields = loader.tables()[table].resource["schema"]["fields"]
    columns = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    return load_files(client, where.table(table), columns, f"{output.rstrip('/')}/{table}", arrow.schema(table))


def load_files(
    client: bigquery.Client, table: str, columns: list[bigquery.SchemaField], folder: str, schema: pa.Schema
) -> int:
    """Load the Parquet files of a folder, all of one schema, into a table; return their rows.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses a file.
    """
    files = parquet_files(folder)
    parquet = bigquery.ParquetOptions()
    parquet.enable_list_inference = True
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        parquet_options=parquet,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        schema=columns,
    )
    if not files:
        return 0
    if folder.startswith("gs://"):
        return int(
            client.load_table_from_uri(f"{folder}/*{SUFFIX}", table, job_config=config).result().output_rows or 0
        )
    rows = 0
    for paths in _uploads(sorted((file.path, file.size_in_bytes) for file in files)):
        with tempfile.TemporaryFile() as file:
            rows += _join(paths, schema, file)
            client.load_table_from_file(file, table, rewind=True, job_config=config).result()
    return rows


def parquet_files(folder: str) -> list[FileMetadata]:
    """Return the Parquet files of a folder."""
    return list(FileSystems.match([f"{folder}/*{SUFFIX}"])[0].metadata_list)


def _uploads(files: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """Group files, so that a long range does not use up the day's load jobs of a table."""
    group: list[str] = []
    size = 0
    for path, bytes_ in files:
        if group and size + bytes_ > _LARGEST_UPLOAD:
            yield group
            group, size = [], 0
        group.append(path)
        size += bytes_
    if group:
        yield group


def _join(paths: Iterable[str], schema: pa.Schema, file: IO[bytes]) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, **arrow.PARQUET) as writer:
        for batches in _together(paths):
            table = pa.Table.from_batches(batches, schema)
            # One row group, since each of them costs whoever reads the file.
            writer.write_table(table, row_group_size=len(table))
            rows += len(table)
    return rows


def _together(paths: Iterable[str]) -> Iterator[list[pa.RecordBatch]]:
    """Yield the batches of files, so many at once as make a good row group."""
    group: list[pa.RecordBatch] = []
    size = 0
    for path in paths:
        with pq.ParquetFile(path) as part:
            for batch in part.iter_batches():
                group.append(batch)
                size += batch.nbytes
                if size >= _ROW_GROUP_BYTES:
                    yield group
                    group, size = [], 0
    if group:
        yield group
