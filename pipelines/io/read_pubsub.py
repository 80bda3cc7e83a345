"""Readers of live events from Pub/Sub: the runner's own, and one for runners that have none worth using."""

import logging
import queue
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from functools import partial
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
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.message import Message

from pipelines.core.batches import EventBatch
from pipelines.io.in_hand import InHand
from pipelines.io.subscriber import subscriber
from schemas.raw_event import RawEvent

LARGEST_BATCH = 1_000
"""Events that are normalized and stored together at most."""
LARGEST_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of bodies at which a batch takes no further event: their rows take several times as much."""
LONGEST_WAIT = 0.05
"""Seconds that the first event of a batch waits for others."""
_SHARE = LARGEST_BATCH_BYTES // LARGEST_BATCH
_IDLE_SECONDS = 0.5
_BUFFERED_MESSAGES = 4_000
_BUFFERED_BYTES = 64 * 1024 * 1024
_LONGEST_RUN_BATCHES = 500
_GIVEN_BACK_TOGETHER = 1_000
_GIVING_BACK_SECONDS = 10.0

_log = logging.getLogger(__name__)

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
    confirmed. The read ends by itself after some hundred batches, since Beam's local runner keeps tens of
    KB of each bundle until its pipeline ends: run the pipeline again, and it goes on with what has been
    pulled; after the last run, call `stop_pulling`.
    """

    def __init__(self, subscriptions: Sequence[str], in_hand: Path | None = None) -> None:
        """Pull from `projects/…/subscriptions/…`, each one source's raw events.

        In a folder `in_hand` is noted what is worked on: a message on which the process dies is tried alone
        then, and at last set aside.
        """
        super().__init__()
        self._source = _Subscriptions(tuple(subscriptions), in_hand)

    def expand(self, pbegin: Any) -> Any:
        """Return batches of raw events."""
        batches = pbegin | ReadFromUnboundedSource(self._source, poll_interval=0, max_records_per_bundle=1)
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

    def __init__(self, names: tuple[str, ...], in_hand: Path | None) -> None:
        self._names = names
        self._in_hand = in_hand

    def split(self, desired_num_splits: int, options: Any = None) -> Iterable["_Subscriptions"]:
        """Do not split: Pub/Sub itself shares messages out between readers."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> "_Reader":
        """Start to pull, or go on where an earlier reader ended; what that did not acknowledge comes again."""
        if self._names not in _pulls:
            _pulls[self._names] = _Pull(self._names, self._in_hand)
        return _Reader(self._names, _pulls[self._names])

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        """Return the coder of marks."""
        return coders.PickleCoder()


class _Pull:
    """Messages of subscriptions, pulled in the background for one reader after the other."""

    def __init__(self, names: tuple[str, ...], in_hand: Path | None = None) -> None:
        self.id = uuid.uuid4().hex
        self.batch = 0
        """The last one that was taken."""
        self._client = subscriber()
        self._arrived: queue.SimpleQueue[tuple[str, Message]] = queue.SimpleQueue()
        self._set_apart: deque[tuple[str, Message]] = deque()
        self._unacknowledged: dict[int, list[Message]] = {}
        self._in_hand = InHand(in_hand) if in_hand is not None else None
        limits = pubsub_v1.types.FlowControl(
            max_messages=_BUFFERED_MESSAGES // len(names), max_bytes=_BUFFERED_BYTES // len(names)
        )
        self._streams = [
            self._client.subscribe(
                name,
                callback=partial(self._arrive, name),
                flow_control=limits,
                await_callbacks_on_shutdown=True,
            )
            for name in names
        ]

    def _arrive(self, name: str, message: Message) -> None:
        self._arrived.put((name, message))

    def take(self) -> list[Message]:
        """Return the next batch; an empty one when nothing has arrived for a moment.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses to let a subscription be pulled.
        """
        for stream in self._streams:
            if stream.done():
                stream.result()
        messages = [self._set_apart.popleft()[1]] if self._set_apart else self._gather()
        if messages:
            self.batch += 1
            self._unacknowledged[self.batch] = messages
            self._note()
        return messages

    def is_fatal(self, messages: Sequence[Message]) -> bool:
        """Return whether processes have died on what was taken."""
        return self._in_hand is not None and any(self._in_hand.is_fatal(each.message_id) for each in messages)

    def _gather(self) -> list[Message]:
        messages: list[Message] = []
        size = 0
        deadline = time.monotonic() + _IDLE_SECONDS
        while len(messages) < LARGEST_BATCH and size < LARGEST_BATCH_BYTES:
            try:
                name, message = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if self._in_hand is not None and self._in_hand.is_suspect(message.message_id):
                if not messages:
                    return [message]
                self._set_apart.append((name, message))
                continue
            if not messages:
                deadline = time.monotonic() + LONGEST_WAIT
            messages.append(message)
            size += len(message.data)
        return messages

    def _note(self) -> None:
        if self._in_hand is not None:
            self._in_hand.take(each.message_id for held in self._unacknowledged.values() for each in held)

    def acknowledge(self, batch: int) -> None:
        """Tell Pub/Sub that all batches up to this one are stored."""
        for number in [n for n in self._unacknowledged if n <= batch]:
            stored = self._unacknowledged.pop(number)
            for message in stored:
                message.ack()
            if self._in_hand is not None:
                self._in_hand.acquit(each.message_id for each in stored)
        self._note()

    def close(self) -> None:
        """Stop pulling, wait until acknowledgements are sent, and give back what was not taken."""
        for stream in self._streams:
            stream.cancel()
        for stream in self._streams:
            try:
                stream.result()
            except GoogleAPICallError as error:
                # `take` has raised it, or nothing is to be taken any more; the other streams end properly.
                _log.warning("pulling had ended already: %s", error)
        self._give_back()
        self._client.close()
        if self._in_hand is not None:
            self._in_hand.close()

    def _give_back(self) -> None:
        """Let messages come again at once, to whoever pulls; else that would take until their deadline."""
        # Not by `nack`: before a stream has ended it would bring them back, and after that it sends nothing.
        left: defaultdict[str, list[str]] = defaultdict(list)
        while not self._arrived.empty():
            self._set_apart.append(self._arrived.get())
        for name, message in self._set_apart:
            left[name].append(message.ack_id)
        for name, ids in left.items():
            for start in range(0, len(ids), _GIVEN_BACK_TOGETHER):
                some = ids[start : start + _GIVEN_BACK_TOGETHER]
                try:
                    self._client.modify_ack_deadline(
                        subscription=name, ack_ids=some, ack_deadline_seconds=0, timeout=_GIVING_BACK_SECONDS
                    )
                except (GoogleAPICallError, RetryError) as error:
                    _log.warning("%d messages of %s come again later: %s", len(some), name, error)


_pulls: dict[tuple[str, ...], _Pull] = {}
"""Of this process, by subscriptions."""


def stop_pulling() -> None:
    """Give back what this process has pulled and no pipeline has taken."""
    while _pulls:
        _, pull = _pulls.popitem()
        pull.close()


class _Reader(UnboundedReader):
    """Hands out batches of what is pulled."""

    def __init__(self, names: tuple[str, ...], pull: _Pull) -> None:
        self._names = names
        self._pull = pull
        self._last_batch = pull.batch + _LONGEST_RUN_BATCHES
        self._messages: list[Message] = []
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
        events = [RawEvent(m.data, dict(m.attributes)) for m in self._messages]
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
        if is_last and _pulls.get(self._names) is self._pull:
            _pulls.pop(self._names).close()
