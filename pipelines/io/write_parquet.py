"""Writes normalized batches as Parquet files, one per table and batch, ready for load jobs."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.bigquery import arrow
from pipelines.bigquery.load import SUFFIX
from pipelines.core.batches import NormalizedBatch


class WrittenFile(msgspec.Struct, frozen=True):
    """A file of rows of one table."""

    table: str
    path: str
    rows: int


class WriteParquet(beam.PTransform):
    """Writes each batch's rows to `<folder>/<table>/<name>.parquet` and reports what it has written.

    The name is derived from where the batch was read, and a file appears whole or not at all: a
    bundle that is tried again overwrites what it had written.
    """

    def __init__(self, folder: str) -> None:
        """Write under a local folder or `gs://…`."""
        super().__init__()
        self._folder = folder.rstrip("/")

    def expand(self, batches: Any) -> Any:
        """Return a `WrittenFile` for every file."""
        return batches | beam.ParDo(_Write(self._folder))


def file_name(origin: str, index: int, part: int = 0) -> str:
    """Return the name of the files with the rows of (a part of) the batch of some number from some origin."""
    further = f"-{part}" if part else ""
    return f"{name_start(origin)}{index:06}{further}{SUFFIX}"


def name_start(origin: str) -> str:
    """Return how the names of all files begin with rows from some origin."""
    return f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}-"


class _Write(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, batch: NormalizedBatch) -> Iterator[WrittenFile]:
        processed_at = time.time_ns() // 1_000
        name = file_name(batch.origin, batch.index, batch.part)
        for table, rows in batch.rows.items():
            folder = f"{self._folder}/{table}"
            make_folder(folder)
            temporary, path = f"{folder}/{uuid.uuid4().hex}.tmp", f"{folder}/{name}"
            with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                arrow.write_parquet(table, [rows], file, processed_at)
            FileSystems.rename([temporary], [path])
            yield WrittenFile(table, path, len(rows))


def make_folder(folder: str) -> None:
    """Create a folder, unless somebody else has."""
    try:
        FileSystems.mkdirs(folder)
    except OSError:
        if not FileSystems.exists(folder):
            raise
