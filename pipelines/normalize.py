"""The pipeline: raw events in, rows out. Streaming and batch differ in their reader and writer alone."""

import runpy
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import apache_beam as beam

import pipelines.io.batch_coder  # noqa: F401 - registers it
from pipelines.bigquery.suppressed import Suppressed
from pipelines.core.batches import EventBatch, NormalizedBatch
from pipelines.core.bounds import weights
from pipelines.core.dead_letter import dead_letter
from pipelines.core.rows import TABLE_OF, Row
from pipelines.core.suppression import Suppression
from pipelines.io.unread import Unread
from pipelines.sources import registry
from pipelines.sources.normalization import InvalidRawEventError, every_row, normalize, set_aside
from pipelines.sources.suppressing import normalize_suppressed
from schemas import tracing
from schemas.raw_event import RawEvent

PUBSUB: Final = "pubsub"
"""The origin of batches that are live: to read an archive again is no part of a webhook's trace."""
HEAVIEST_PART: Final = 64 * 1024 * 1024
"""Bytes of rows at which those of a batch go on without waiting for the rest."""
_LETTERS: Final = "dead_letters"
_unread: Final = Unread()
"""Of this process's live events: of an archive a run's own report tells."""


def build(
    pipeline: beam.Pipeline, reader: beam.PTransform, writer: beam.PTransform, suppressed: Suppressed | None = None
) -> Any:
    """Put the steps of the data's way into a pipeline; return what the writer returns.

    `suppressed` gives whom rows are not made of any more; without it, rows are made of everybody.
    """
    return (
        pipeline
        | "Read" >> reader  # EventBatch
        | "Normalize" >> beam.ParDo(NormalizeEvents(suppressed)).with_output_types(NormalizedBatch)
        | "Write" >> writer
    )


class NormalizeEvents(beam.DoFn):
    """Makes the rows of every raw event of a batch."""

    def __init__(self, suppressed: Suppressed | None = None) -> None:
        self._suppressed = suppressed
        # Read where the pipeline is launched: its workers do not have the file.
        self._sources = registry.install_configured()
        self._tracer: tracing.Tracer | None = None

    def setup(self) -> None:
        """Let the worker know the custom sources."""
        registry.install(self._sources)
        self._tracer = tracing.shared(tracing.PIPELINE)

    def process(self, batch: EventBatch) -> Iterator[NormalizedBatch]:
        """Return the batch with its rows by table, in parts where they are too many to be held together."""
        suppression = self._suppressed.current() if self._suppressed else None
        part = _Part(batch, 0, suppression)
        tracer = self._tracer if batch.origin == PUBSUB else None
        for event in batch.events:
            if tracer is None:
                part.add(event)
            else:
                with tracing.traced(tracer, "normalize", event):
                    part.add(event)
            if part.weight >= HEAVIEST_PART:
                yield _noted(part)
                part = _Part(batch, part.number + 1, suppression)
        if part.events or not part.number:
            yield _noted(part)


def _noted(part: "_Part") -> NormalizedBatch:
    made = part.normalized()
    if made.origin == PUBSUB:
        _unread.note(made.events, made.rows.get(_LETTERS, ()))
    return made


class _Part:
    """Events of a batch that go on together, and what they have made."""

    def __init__(self, batch: EventBatch, number: int, suppression: Suppression | None) -> None:
        self._batch = batch
        self._suppression = suppression
        self.number = number
        self.events: list[RawEvent] = []
        self.weight = 0
        self._made: defaultdict[type[Row], list[Row]] = defaultdict(list)

    def add(self, event: RawEvent) -> None:
        made = lay_aside(event) if self._batch.fatal else normalize_or_dead_letter(event, self._suppression)
        for row in made:
            self._made[type(row)].append(row)
        self.events.append(event)
        self.weight += weights(made, len(event.data))

    def normalized(self) -> NormalizedBatch:
        rows = {TABLE_OF[kind]: each for kind, each in self._made.items()}
        return NormalizedBatch(self.events, rows, self._batch.origin, self._batch.index, self.number, self.weight)


def normalize_or_dead_letter(event: RawEvent, suppression: Suppression | None = None) -> list[Row]:
    """Return an event's rows; for one that nothing could be traced to, a dead letter with today's date."""
    if suppression is None:
        return _or_dead_letter(normalize, event)
    return _or_dead_letter(lambda each: normalize_suppressed(each, suppression), event)


def every_row_or_dead_letter(event: RawEvent) -> list[Row]:
    """Return what `normalize_or_dead_letter` does, and a row for every sighting: for who looks for people."""
    return _or_dead_letter(every_row, event)


def lay_aside(event: RawEvent) -> list[Row]:
    """Return what is stored of an event on which a process has died: nothing that comes of reading it."""
    return _or_dead_letter(set_aside, event)


def _or_dead_letter(make: Callable[[RawEvent], list[Row]], event: RawEvent) -> list[Row]:
    try:
        return make(event)
    except InvalidRawEventError as error:
        now = time.time_ns() // 1_000
        return [dead_letter(event, now, "event", "", error, data=event.data)]


if __name__ == "__main__":
    # By name, since what starts a job builds on this module.
    runpy.run_module("pipelines.launch", run_name="__main__")
