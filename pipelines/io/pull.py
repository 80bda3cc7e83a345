"""Messages of several subscriptions as batches, each acknowledged when it is stored."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from google.api_core.exceptions import GoogleAPICallError

from pipelines.io.in_hand import FEW, InHand
from pipelines.io.leases import Leases
from pipelines.io.streaming_pull import Pulled, StreamingPull
from pipelines.io.subscriber import subscriber

LARGEST_BATCH = 1_000
"""Events that are normalized and stored together at most."""
LARGEST_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of bodies at which a batch takes no further event: their rows take several times as much."""
LONGEST_WAIT = 0.05
"""Seconds that the first event of a batch waits for others."""
_IDLE_SECONDS = 0.5
_BUFFERED_MESSAGES = 4_000
_BUFFERED_BYTES = 64 * 1024 * 1024


class Pull:
    """Pulls in the background, for one reader after the other; other threads may acknowledge."""

    def __init__(self, names: tuple[str, ...], in_hand: Path | None = None, *, on_cluster: bool = False) -> None:
        """Pull `projects/…/subscriptions/…`; in the folder `in_hand` is noted what is worked on.

        On a cluster messages are held until the next checkpoint: as many of each subscription as otherwise of all,
        though no more bytes. And nobody waits long for a first one, in a thread that serves other readers too.
        """
        self.id = uuid.uuid4().hex
        self.batch = 0
        """The last one that was taken."""
        self.reader: object = None
        """The latest that takes from it."""
        self._client = subscriber()
        self._leases = Leases(self._client)
        self._changed = threading.Condition()
        self._arrived: deque[Pulled] = deque()
        self._arrived_bytes = 0
        self._closing = False
        self._set_apart: deque[Pulled] = deque()
        self._unacknowledged: dict[int, list[Pulled]] = {}
        self._in_hand = InHand(in_hand) if in_hand is not None else None
        self._idle_seconds = LONGEST_WAIT if on_cluster else _IDLE_SECONDS
        shares = 1 if on_cluster else len(names)
        most = _BUFFERED_MESSAGES // shares, _BUFFERED_BYTES // len(names)
        self._streams = [StreamingPull(self._client, name, self._arrive, *most) for name in names]

    def take(self) -> list[Pulled]:
        """Return the next batch; an empty one when nothing has arrived for a moment.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses to let a subscription be pulled, and
                what has come from the others is taken. To give it back with each start would use up the attempts
                that its dead-letter policy allows.
        """
        messages = self._suspects() or self._gather() or self._suspects()
        if not messages and (failure := self.failure()):
            raise failure
        if messages:
            with self._changed:
                self.batch += 1
                self._unacknowledged[self.batch] = messages
                self._note()
        return messages

    def failure(self) -> GoogleAPICallError | None:
        """Return why a subscription is not pulled any more."""
        return next((stream.failure for stream in self._streams if stream.failure), None)

    def is_fatal(self, messages: Sequence[Pulled]) -> bool:
        """Return whether processes have died on what was taken."""
        return self._in_hand is not None and any(
            self._in_hand.is_fatal(each.message.message_id) for each in messages
        )

    def acknowledge(self, batch: int) -> None:
        """Tell Pub/Sub that all batches up to this one are stored."""
        with self._changed:
            for number in [n for n in self._unacknowledged if n <= batch]:
                stored = self._unacknowledged.pop(number)
                self._leases.acknowledge(stored)
                if self._in_hand is not None:
                    self._in_hand.acquit(each.message.message_id for each in stored)
            self._note()

    def close(self) -> None:
        """Stop pulling, wait until acknowledgements are sent, and give back what is not stored."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for stream in self._streams:
            stream.close()
        self._leases.close()
        self._client.close()
        if self._in_hand is not None:
            self._in_hand.close()

    def _arrive(self, messages: Sequence[Pulled]) -> None:
        self._leases.hold(messages)
        with self._changed:
            self._arrived.extend(messages)
            self._arrived_bytes += sum(len(each.message.data) for each in messages)
            self._changed.notify_all()
            # A stream that was opened again has forgotten what it had delivered before.
            self._changed.wait_for(lambda: self._closing or self._has_room())

    def _gather(self) -> list[Pulled]:
        messages: list[Pulled] = []
        size = 0
        deadline = time.monotonic() + self._idle_seconds
        while len(messages) < LARGEST_BATCH and size < LARGEST_BATCH_BYTES:
            pulled = self._next(deadline)
            if pulled is None:
                break
            if not messages and not self._set_apart:
                deadline = time.monotonic() + LONGEST_WAIT
            if self._in_hand is not None and self._in_hand.is_suspect(pulled.message.message_id):
                self._set_apart.append(pulled)
                continue
            messages.append(pulled)
            size += len(pulled.message.data)
        return messages

    def _suspects(self) -> list[Pulled]:
        """Return the next of those that were set apart: one, or few that may be tried together."""
        few: list[Pulled] = []
        size = 0
        while self._set_apart and len(few) < FEW and size < LARGEST_BATCH_BYTES:
            assert self._in_hand is not None  # noqa: S101 - who set them apart?
            is_alone = self._in_hand.is_alone(self._set_apart[0].message.message_id)
            if few and is_alone:
                break
            few.append(self._set_apart.popleft())
            if is_alone:
                break
            size += len(few[-1].message.data)
        return few

    def _next(self, deadline: float) -> Pulled | None:
        """Return what has arrived first; None if that is nothing until a moment of the monotonic clock."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived, max(0.0, deadline - time.monotonic())):
                return None
            had_room = self._has_room()
            pulled = self._arrived.popleft()
            self._arrived_bytes -= len(pulled.message.data)
            if not had_room and self._has_room():
                self._changed.notify_all()
            return pulled

    def _has_room(self) -> bool:
        return len(self._arrived) < _BUFFERED_MESSAGES and self._arrived_bytes < _BUFFERED_BYTES

    def _note(self) -> None:
        if self._in_hand is not None:
            held = (each for batch in self._unacknowledged.values() for each in batch)
            self._in_hand.take(each.message.message_id for each in held)
