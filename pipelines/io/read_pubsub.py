"""Readers of live events from Pub/Sub: the runner's own, and one for runners that have none worth using."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from pipelines.core.batches import EventBatch
from pipelines.io.pull import LARGEST_BATCH, LARGEST_BATCH_BYTES, LONGEST_WAIT, Pull
from pipelines.io.streaming_pull import Pulled
from schemas.raw_event import RawEvent

_SHARE = LARGEST_BATCH_BYTES // LARGEST_BATCH
_LONGEST_RUN_BATCHES = 500
_CLUSTER_POLL_SECONDS = 1
"""Flink keeps something of each time that a reader was asked, for as long as the job runs (docs/runners.md)."""

stopping = threading.Event()
"""Set to end every `PullSubscriptions` of this process once what it has pulled is stored."""


class ReadSubscriptions(beam.PTransform):
    """Reads subscriptions with the runner's own Pub/Sub source, as Dataflow has it."""

    def __init__(self, subscriptions: Sequence[str]) -> None:
        """Read from `projects/…/subscriptions/…`, each one source's raw events."""
        super().__init__()
        self._subscriptions = tuple(subscriptions)

    def expand(self, pbegin: Any) -> Any:
        """Return batches of raw events."""
        messages = [
            pbegin
            | f"Read {name.rsplit('/', 1)[-1]}" >> beam.io.ReadFromPubSub(subscription=name, with_attributes=True)
            for name in self._subscriptions
        ]
        return (
            messages
            | beam.Flatten()
            | beam.BatchElements(
                min_batch_size=_SHARE,
                max_batch_size=LARGEST_BATCH_BYTES,
                target_batch_duration_secs=LONGEST_WAIT,
                element_size_fn=_size,
            )
            | "Unwrap" >> beam.Map(_unwrap).with_output_types(EventBatch)
        )


class PullSubscriptions(beam.PTransform):
    """Reads subscriptions with Pub/Sub's own client, and acknowledges only what the runner has finished.

    Beam's local streaming runner acknowledges messages when it pulls them, ten at a time from one
    subscription after the other; runners outside of Google's have no source for Python at all. As
    an unbounded source each batch is a bundle, and Pub/Sub hears of it when the bundle's rows are
    confirmed and the runner has made sure that the bundle is not repeated: Flink does with its next checkpoint.

    In this process the read ends by itself after some hundred batches, since Beam's local runner keeps tens of
    KB of each bundle until its pipeline ends: run the pipeline again, and it goes on with what has been
    pulled; after the last run, call `stop_pulling`. With `readers` it does not end.
    """

    def __init__(self, subscriptions: Sequence[str], in_hand: Path | None = None, readers: int = 0) -> None:
        """Pull from `projects/…/subscriptions/…`, each one source's raw events.

        In a folder `in_hand` is noted what is worked on: a message on which the process dies is tried
        among few then, alone when it dies again, and at last set aside. On a cluster so many `readers` share the
        messages out among them.
        """
        super().__init__()
        self._source = _Subscriptions(tuple(subscriptions), in_hand, readers)
        self._poll_interval = _CLUSTER_POLL_SECONDS if readers else 0

    def expand(self, pbegin: Any) -> Any:
        """Return batches of raw events."""
        batches = pbegin | ReadFromUnboundedSource(self._source, self._poll_interval, max_records_per_bundle=1)
        batches.element_type = EventBatch
        return batches


def _size(message: PubsubMessage) -> int:
    """Return which part of a batch a message takes up, by its bytes or by its number."""
    return max(len(message.data or b""), _SHARE)


def _unwrap(messages: Sequence[PubsubMessage]) -> EventBatch:
    return EventBatch([RawEvent(m.data, m.attributes or {}) for m in messages], origin="pubsub")


class _Acknowledge(CheckpointMark):
    """Names the batches whose messages Pub/Sub may forget."""

    def __init__(self, pull: str, batch: int) -> None:
        self.pull = pull
        self.batch = batch

    def finalize_checkpoint(self) -> None:
        """Acknowledge the batch, where the process that pulled it still lives; else it comes again."""
        for pull in list(_pulls.values()):
            if pull.id == self.pull:
                pull.acknowledge(self.batch)


class _Subscriptions(UnboundedSource):
    """All subscriptions as one source, so that one reader waits for whichever speaks first."""

    def __init__(self, names: tuple[str, ...], in_hand: Path | None, readers: int = 0, number: int = 0) -> None:
        self._key = (names, number)
        self._in_hand = in_hand
        self._readers = readers

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable["_Subscriptions"]:
        """Return as many readers' sources as there are to be: Pub/Sub itself shares messages out among them."""
        names, _ = self._key
        return [_Subscriptions(names, self._in_hand, self._readers, n) for n in range(max(1, self._readers))]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_Reader":
        """Start to pull, or go on where an earlier reader ended; what that did not acknowledge comes again."""
        if self._readers and not _goes_on(_pulls.get(self._key), checkpoint_mark):
            _close(self._key)
        if self._key not in _pulls:
            names, _ = self._key
            _pulls[self._key] = Pull(names, self._in_hand, on_cluster=bool(self._readers))
        return _Reader(self._key, _pulls[self._key], endless=bool(self._readers))

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        """Return the coder of marks."""
        return coders.PickleCoder()


_Key = tuple[tuple[str, ...], int]
_pulls: dict[_Key, Pull] = {}
"""Of this process, by subscriptions and by the number of their reader."""


def stop_pulling() -> None:
    """Give back what this process has pulled and no pipeline has taken."""
    for key in list(_pulls):
        _close(key)


def _close(key: _Key) -> None:
    if pull := _pulls.pop(key, None):
        pull.close()


def _goes_on(pull: Pull | None, mark: CheckpointMark | None) -> bool:
    """Return whether all that was taken from a pull was worked on, as far as the runner has kept a mark of.

    Else a bundle has failed, here or with a worker that is gone, and its messages have to come again.
    """
    return pull is not None and isinstance(mark, _Acknowledge) and (mark.pull, mark.batch) == (pull.id, pull.batch)


class _Reader(UnboundedReader):
    """Hands out batches of what is pulled."""

    def __init__(self, key: _Key, pull: Pull, *, endless: bool) -> None:
        self._key = key
        self._pull = pull
        pull.reader = self
        self._last_batch = float("inf") if endless else pull.batch + _LONGEST_RUN_BATCHES
        self._messages: list[Pulled] = []
        self._ended = False

    def start(self) -> bool:
        """Wait for the first batch."""
        return self.advance()

    def advance(self) -> bool:
        """Collect the next batch; False when nothing arrived for a moment, or the reader has ended."""
        self._ended = stopping.is_set() or self._pull.batch >= self._last_batch
        self._messages = [] if self._ended else self._pull.take()
        return bool(self._messages)

    def get_current(self) -> EventBatch:
        """Return the batch."""
        events = [RawEvent(each.message.data, dict(each.message.attributes)) for each in self._messages]
        return EventBatch(events, "pubsub", self._pull.batch, fatal=self._pull.is_fatal(self._messages))

    def get_current_timestamp(self) -> Timestamp:
        """Return now: nothing in the pipeline looks at event time, each row carries its own."""
        return Timestamp.now()

    def get_watermark(self) -> Timestamp:
        """Return now, or the end of time when the reader has ended."""
        return MAX_TIMESTAMP if self._ended else Timestamp.now()

    def get_checkpoint_mark(self) -> _Acknowledge:
        """Return a mark of all that has been handed out."""
        return _Acknowledge(self._pull.id, self._pull.batch)

    def close(self) -> None:
        """Leave what is pulled to the next reader of this process, if one is to come."""
        is_last = not self._ended or stopping.is_set()
        # A runner may keep a reader that has been followed by another one.
        if is_last and self._pull.reader is self and _pulls.get(self._key) is self._pull:
            _close(self._key)
