"""What one subscription has not yet acknowledged, and who holds it until when."""

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipelines.local.pubsub.errors import invalid, not_found

ENTRY_OVERHEAD = 320
"""Bytes that a kept message costs beside its own: 205 measured while it waits, 310 while it is held."""
MAX_RESPONSE_BYTES = 4_000_000
"""Of the messages in one answer: the official clients take no more than 4 MiB from an emulator.

A single larger message is answered alone.
"""


@dataclass(slots=True)
class Stream:
    """One streaming pull: its flow control and what it holds."""

    ack_deadline: int
    max_messages: int
    max_bytes: int
    messages: int = 0
    bytes: int = 0
    closed: bool = False

    def room(self) -> tuple[int, int]:
        """Return how many more messages and bytes the client takes (0 = no limit asked)."""
        messages = self.max_messages - self.messages if self.max_messages > 0 else 1000
        size = self.max_bytes - self.bytes if self.max_bytes > 0 else MAX_RESPONSE_BYTES
        return min(messages, 1000), min(size, MAX_RESPONSE_BYTES)


@dataclass(slots=True, eq=False)
class Entry:
    """One message in one backlog."""

    id: int
    data: bytes
    attempt: int = 0
    expires: float | None = None
    stream: Stream | None = None


class Backlog:
    """The unacknowledged messages of one subscription.

    Every method needs the lock of `changed`, which all backlogs of a broker share.
    """

    def __init__(self, subscription: str, changed: threading.Condition) -> None:
        self.subscription = subscription
        self.changed = changed
        self.deleted = False
        self.pulled_at = self.delivered_at = -math.inf
        self.size = 0
        self._entries: dict[int, Entry] = {}
        self._ready: deque[Entry] = deque()
        self._leases: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def leased(self) -> int:
        """How many messages a subscriber holds at this moment."""
        return sum(entry.expires is not None for entry in self._entries.values())

    def busy(self, seconds: float, since: float) -> bool:
        """Return whether a pull is due here or has left its reader with work.

        Due where messages wait and somebody pulled within the last `seconds`; with work where a pull was
        answered with messages after the monotonic time `since`.
        """
        due = self._ready and time.monotonic() - self.pulled_at < seconds
        return bool(due) or self.delivered_at > since

    def add(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Keep messages (entry id, bytes) and wake who waits."""
        for id_, data in messages:
            entry = self._entries[id_] = Entry(id_, data)
            self._ready.append(entry)
            self.size += len(data) + ENTRY_OVERHEAD
        self.changed.notify_all()

    def receive(
        self,
        lease: Callable[[], tuple[int, int, int]],
        remaining: Callable[[], float | None],
        interrupted: Callable[[], bool],
        stream: Stream | None = None,
    ) -> list[tuple[str, bytes]]:
        """Wait for messages and lease them; answer (ack id, bytes) of each.

        Args:
            lease: says the most messages, the most bytes and the ack deadline in seconds.
            remaining: says how many seconds to go on waiting where there are none; None for ever.
            interrupted: says that the caller wants none any more.
            stream: who holds them, where that is a stream.
        """
        while True:
            if self.deleted:
                raise not_found(self.subscription)
            if interrupted():
                return []
            if taken := self._take(*lease(), stream):
                return taken
            seconds = remaining()
            if seconds is not None and seconds <= 0:
                return []
            self.changed.wait(self._until_expiry(seconds))

    def acknowledge(self, ack_ids: Iterable[str]) -> list[int]:
        """Forget messages; answer the entry ids of those that were still kept.

        A late one, after its ack deadline, counts too: the message was processed.
        """
        entries = [self._entries.pop(id_, None) for id_, _ in _parse(ack_ids)]
        acknowledged = [entry for entry in entries if entry]
        for entry in acknowledged:
            self._release(entry)
            self.size -= len(entry.data) + ENTRY_OVERHEAD
            entry.data = b""
            entry.attempt = -1
        return [entry.id for entry in acknowledged]

    def extend(self, ack_ids: Iterable[str], seconds: int) -> None:
        """Move the ack deadlines to `seconds` from now; 0 gives the messages back at once."""
        for id_, attempt in _parse(ack_ids):
            entry = self._entries.get(id_)
            if entry is None or entry.expires is None or entry.attempt != attempt:
                continue
            if seconds:
                self._lease(entry, time.monotonic() + seconds)
            else:
                self._requeue(entry)
        self.changed.notify_all()

    def _take(self, messages: int, size: int, seconds: int, stream: Stream | None) -> list[tuple[str, bytes]]:
        now = time.monotonic()
        self._expire(now)
        taken: list[tuple[str, bytes]] = []
        while self._ready and messages > 0 and size > 0:
            entry = self._ready[0]
            if entry.attempt >= 0 and len(entry.data) > size and taken:
                break
            self._ready.popleft()
            if entry.attempt < 0:
                continue
            entry.attempt += 1
            self._lease(entry, now + seconds)
            if stream:
                entry.stream = stream
                stream.messages += 1
                stream.bytes += len(entry.data)
            taken.append((f"{entry.id}-{entry.attempt}", entry.data))
            messages -= 1
            size -= len(entry.data)
        return taken

    def _lease(self, entry: Entry, expires: float) -> None:
        entry.expires = expires
        if len(self._leases) > 2 * len(self._entries) + 1000:
            # Acknowledged leases stay in the heap until their time; without this they would pile up.
            self._leases = [(e.expires, e.id) for e in self._entries.values() if e.expires]
            heapq.heapify(self._leases)
        heapq.heappush(self._leases, (expires, entry.id))

    def _expire(self, now: float) -> None:
        while self._leases and self._leases[0][0] <= now:
            expires, id_ = heapq.heappop(self._leases)
            entry = self._entries.get(id_)
            if entry and entry.expires == expires:
                self._requeue(entry)

    def _until_expiry(self, remaining: float | None) -> float | None:
        if not self._leases:
            return remaining
        expiry = max(0.0, self._leases[0][0] - time.monotonic())
        return expiry if remaining is None else min(expiry, remaining)

    def _requeue(self, entry: Entry) -> None:
        self._release(entry)
        self._ready.append(entry)

    def _release(self, entry: Entry) -> None:
        entry.expires = None
        if entry.stream:
            entry.stream.messages -= 1
            entry.stream.bytes -= len(entry.data)
            entry.stream = None
            self.changed.notify_all()


def _parse(ack_ids: Iterable[str]) -> list[tuple[int, int]]:
    parsed = []
    for ack_id in ack_ids:
        id_, _, attempt = ack_id.partition("-")
        if not (id_.isdecimal() and attempt.isdecimal()):
            raise invalid(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
        parsed.append((int(id_), int(attempt)))
    return parsed
