"""The reader of batch runs: segments of the archive, the small ones in groups, each a unit of work."""

import logging
from collections.abc import Iterator, Sequence, Set
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.core.batches import EventBatch
from pipelines.io.archive_damages import Damage, describe, write_damages
from pipelines.io.archive_keys import ArchiveKeys, from_environment
from pipelines.io.archive_segments import Group, Selection, read_segment
from pipelines.io.archive_share import Segments, Share
from schemas.raw_event import EVENT_ID, RawEvent

LARGEST_BATCH_EVENTS = 20_000
LARGEST_BATCH_BYTES = 32 * 1024 * 1024
METRICS = "parley.archive"

_log = logging.getLogger(__name__)


class ReadArchive(beam.PTransform):
    """Reads the selected events of segments; no event is shuffled, so that those of a group stay together."""

    def __init__(
        self,
        groups: Sequence[Group] | Share,
        selection: Selection,
        already_stored: Set[str] = frozenset(),
        damages: str | None = None,
        keys: ArchiveKeys | None = None,
    ) -> None:
        """Read the groups' selected events, except those whose ids are stored already.

        What cannot be read is logged, and also written into the folder `damages`, where one is given. `keys` open
        sealed events; by default the environment's go along.
        """
        super().__init__()
        self._groups = groups
        self._read = _Read(selection, frozenset(already_stored), damages, keys or from_environment())

    def expand(self, pbegin: Any) -> Any:
        """Return batches of raw events."""
        return (
            pbegin
            | "Segments" >> Segments(self._groups)
            | "Events" >> beam.ParDo(self._read).with_output_types(EventBatch)
        )


class _Read(beam.DoFn):
    def __init__(
        self, selection: Selection, already_stored: Set[str], damages: str | None, keys: ArchiveKeys
    ) -> None:
        self._selection = selection
        self._already_stored = already_stored
        self._damages = damages
        self._keys = keys
        self._events = Metrics.counter(METRICS, "events")
        self._damaged = Metrics.counter(METRICS, "damages")

    def process(self, group: Group) -> Iterator[EventBatch]:
        for index, events in enumerate(_batches(self._selected(group))):
            self._events.inc(len(events))
            yield EventBatch(events, group.origin, index)

    def _selected(self, group: Group) -> Iterator[RawEvent]:
        for segment in group.segments:
            damages: list[Damage] = []
            yield from self._selected_of(segment, damages)
            if damages:
                self._note(segment, damages)

    def _note(self, segment: str, damages: list[Damage]) -> None:
        self._damaged.inc(len(damages))
        _log.error("the archive is damaged:\n%s", describe(damages))
        if self._damages is not None:
            write_damages(self._damages, segment, damages)

    def _selected_of(self, segment: str, damages: list[Damage]) -> Iterator[RawEvent]:
        events = read_segment(segment, damages, self._keys)
        if self._selection != Selection():
            events = filter(self._selection.has, events)
        if self._already_stored:
            events = (event for event in events if event.attributes.get(EVENT_ID) not in self._already_stored)
        return events


def _batches(events: Iterator[RawEvent]) -> Iterator[list[RawEvent]]:
    batch: list[RawEvent] = []
    size = 0
    for event in events:
        batch.append(event)
        size += len(event.data)
        if len(batch) >= LARGEST_BATCH_EVENTS or size >= LARGEST_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
