"""Which events the archive has, as a table: what the ledger is held against."""

import time
from collections.abc import Iterator
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.core.batches import EventBatch
from pipelines.io.archive_damages import damages_folder
from pipelines.io.archive_segments import Selection, find_groups
from pipelines.io.options import ParleyOptions
from pipelines.io.read_archive import ReadArchive
from pipelines.io.write_parquet import file_name, make_folder
from schemas.raw_event import InvalidRawEventError, RawEvent

TABLE: Final = "archived"
SCHEMA: Final = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("received_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""All null where an event is too broken for a ledger row."""


def write(archive: str, selection: Selection, output: str, options: PipelineOptions) -> None:
    """Write which selected events an archive has into `<output>/archived/*.parquet`.

    Raises:
        FileNotFoundError: there is no archive.
    """
    groups = find_groups(archive, selection)
    if not groups:
        return
    pipeline = beam.Pipeline(options=options)
    keys = options.view_as(ParleyOptions).keys()
    read = ReadArchive(groups, selection, damages=damages_folder(output), keys=keys)
    _ = pipeline | "Read" >> read | "Write" >> beam.ParDo(_Write(output.rstrip("/")))
    pipeline.run().wait_until_finish()


class _Write(beam.DoFn):
    def __init__(self, output: str) -> None:
        self._folder = f"{output}/{TABLE}"

    def process(self, batch: EventBatch) -> Iterator[None]:
        make_folder(self._folder)
        path = f"{self._folder}/{file_name(batch.origin, batch.index)}"
        table = pa.Table.from_pylist([_described(event) for event in batch.events], SCHEMA)
        temporary = f"{path}.{time.time_ns()}.tmp"
        with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            pq.write_table(table, file, compression="zstd")
        FileSystems.rename([temporary], [path])
        yield from ()


def _described(event: RawEvent) -> dict[str, Any]:
    try:
        return {"event_id": event.event_id, "source": event.source, "received_at": event.received_at}
    except InvalidRawEventError:
        return {"event_id": None, "source": None, "received_at": None}
