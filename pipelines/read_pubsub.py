"""Readers of live events from Pub/Sub: the runner's own, and one for runners that have none worth using."""

import queue
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
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
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.message import Message

from pipelines.batches import EventBatch
from schemas.raw_event import RawEvent

LARGEST_BATCH = 1_000
"""Events that are normalized and stored together at most."""
LONGEST_WAIT = 0.05
"""Seconds that the first event of a batch waits for others."""
_IDLE_SECONDS = 0.5
_BUFFERED_MESSAGES = 4_000
_BUFFERED_BYTES = 64 * 1024 * 1024
_LONGEST_RUN_BATCHES = 5_000

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
                min_batch_size=1, max_batch_size=LARGEST_BATCH, target_batch_duration_secs=LONGEST_WAIT
            )
            | "Unwrap" >> beam.Map(_unwrap).with_output_types(EventBatch)
        )


class PullSubscriptions(beam.PTransform):
    """Reads subscriptions with Pub/Sub's own client, and acknowledges only what the runner has finished.

    Beam's local streaming runner acknowledges messages when it pulls them, ten at a time from one
    subscription after the other; runners outside of Google's have no source for Python at all. As
    an unbounded source each batch is a bundle, and Pub/Sub hears of it when the bundle's rows are
    confirmed. The read ends by itself after some thousand batches, since Beam's local runner keeps
    some memory of each bundle until its pipeline ends: run the pipeline again.
    """

    def __init__(self, subscriptions: Sequence[str]) -> None:
        """Pull from `projects/…/subscriptions/…`, each one source's raw events."""
        super().__init__()
        self._source = _Subscriptions(tuple(subscriptions))

    def expand(self, pbegin: Any) -> Any:
        """Return batches of raw events."""
        batches = pbegin | ReadFromUnboundedSource(self._source, poll_interval=0, max_records_per_bundle=1)
        batches.element_type = EventBatch
        return batches


def _unwrap(messages: Sequence[PubsubMessage]) -> EventBatch:
    return EventBatch([RawEvent(m.data, m.attributes or {}) for m in messages], origin="pubsub")


class _Acknowledge(CheckpointMark):
    """Names the batches whose messages Pub/Sub may forget."""

    def __init__(self, reader: str, batch: int) -> None:
        self.reader = reader
        self.batch = batch

    def finalize_checkpoint(self) -> None:
        """Acknowledge the batch, where the process that pulled it still lives; else it comes again."""
        reader = _readers.get(self.reader)
        if reader is not None:
            reader.acknowledge(self.batch)


class _Subscriptions(UnboundedSource):
    """All subscriptions as one source, so that one reader waits for whichever speaks first."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable["_Subscriptions"]:
        """Do not split: Pub/Sub itself shares messages out between readers."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_Reader":
        """Start to pull; what an earlier reader did not acknowledge comes again."""
        return _Reader(self._names)

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        """Return the coder of marks."""
        return coders.PickleCoder()


_readers: dict[str, "_Reader"] = {}


class _Reader(UnboundedReader):
    """Pulls in the background and hands out batches."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._id = uuid.uuid4().hex
        self._client = pubsub_v1.SubscriberClient()
        self._arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._unacknowledged: dict[int, list[Message]] = {}
        self._batch = 0
        self._messages: list[Message] = []
        self._ended = False
        limits = pubsub_v1.types.FlowControl(
            max_messages=_BUFFERED_MESSAGES // len(names), max_bytes=_BUFFERED_BYTES // len(names)
        )
        self._pulls = [
            self._client.subscribe(name, callback=self._arrived.put, flow_control=limits) for name in names
        ]
        _readers[self._id] = self

    def start(self) -> bool:
        """Wait for the first batch."""
        return self.advance()

    def advance(self) -> bool:
        """Collect the next batch; False when nothing arrived for a moment, or the reader has ended."""
        self._messages = []
        if stopping.is_set() or self._batch >= _LONGEST_RUN_BATCHES:
            self._ended = True
            return False
        self._raise_if_broken()
        deadline = time.monotonic() + _IDLE_SECONDS
        while len(self._messages) < LARGEST_BATCH:
            try:
                message = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if not self._messages:
                deadline = time.monotonic() + LONGEST_WAIT
            self._messages.append(message)
        if not self._messages:
            return False
        self._batch += 1
        self._unacknowledged[self._batch] = self._messages
        return True

    def get_current(self) -> EventBatch:
        """Return the batch."""
        events = [RawEvent(m.data, dict(m.attributes)) for m in self._messages]
        return EventBatch(events, origin="pubsub", index=self._batch)

    def get_current_timestamp(self) -> Timestamp:
        """Return now: nothing in the pipeline looks at event time, each row carries its own."""
        return Timestamp.now()

    def get_watermark(self) -> Timestamp:
        """Return now, or the end of time when the reader has ended."""
        return MAX_TIMESTAMP if self._ended else Timestamp.now()

    def get_checkpoint_mark(self) -> _Acknowledge:
        """Return a mark of all that has been handed out."""
        return _Acknowledge(self._id, self._batch)

    def acknowledge(self, batch: int) -> None:
        """Tell Pub/Sub that all batches up to this one are stored."""
        for number in [n for n in self._unacknowledged if n <= batch]:
            for message in self._unacknowledged.pop(number):
                message.ack()

    def close(self) -> None:
        """Stop pulling, wait until acknowledgements are sent, and give back what was not handed out."""
        for pull in self._pulls:
            pull.cancel()
        while not self._arrived.empty():
            self._arrived.get().nack()
        for pull in self._pulls:
            pull.result()
        self._client.close()
        _readers.pop(self._id, None)

    def _raise_if_broken(self) -> None:
        for pull in self._pulls:
            if pull.done():
                pull.result()
