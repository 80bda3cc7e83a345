"""The pipeline: raw events in, rows out. Streaming and batch differ in their reader and writer alone."""

import runpy
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

import pipelines.io.batch_coder  # noqa: F401 - registers it
from pipelines.core.batches import EventBatch, NormalizedBatch
from pipelines.core.dead_letter import dead_letter
from pipelines.core.rows import TABLE_OF, Row
from pipelines.sources import registry
from pipelines.sources.normalization import InvalidRawEventError, normalize
from schemas.raw_event import RawEvent


def build(pipeline: beam.Pipeline, reader: beam.PTransform, writer: beam.PTransform) -> Any:
    """Put the steps of the data's way into a pipeline; return what the writer returns."""
    return (
        pipeline
        | "Read" >> reader  # EventBatch
        | "Normalize" >> beam.ParDo(NormalizeEvents()).with_output_types(NormalizedBatch)
        | "Write" >> writer
    )


class NormalizeEvents(beam.DoFn):
    """Makes the rows of every raw event of a batch."""

    def __init__(self) -> None:
        # Read where the pipeline is launched: its workers do not have the file.
        self._sources = registry.install_configured()

    def setup(self) -> None:
        """Let the worker know the custom sources."""
        registry.install(self._sources)

    def process(self, batch: EventBatch) -> Iterator[NormalizedBatch]:
        """Return the batch with its rows by table."""
        made: defaultdict[type[Row], list[Row]] = defaultdict(list)
        for event in batch.events:
            for row in normalize_or_dead_letter(event):
                made[type(row)].append(row)
        rows = {TABLE_OF[kind]: each for kind, each in made.items()}
        yield NormalizedBatch(batch.events, rows, batch.origin, batch.index)


def normalize_or_dead_letter(event: RawEvent) -> list[Row]:
    """Return an event's rows; for one that nothing could be traced to, a dead letter with today's date."""
    try:
        return normalize(event)
    except InvalidRawEventError as error:
        now = time.time_ns() // 1_000
        return [dead_letter(event, now, "event", "", error)]


if __name__ == "__main__":
    # By name, since what starts a job builds on this module.
    runpy.run_module("pipelines.launch", run_name="__main__")
