"""Conversations that wait for their turn, each attended to by one thread at a time."""

import heapq
import itertools
import threading
import time


class Turns:
    """Conversations by the time at which there may be something to do; its methods may be called by any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._numbers = itertools.count()
        self._closed = False

    def nudge(self, conversation: str, seconds: float = 0.0) -> None:
        """Let a conversation have its turn in so many seconds, or sooner where it waits for that already."""
        with self._changed:
            if conversation in self._busy:
                self._again.add(conversation)
            else:
                self._put(conversation, time.monotonic() + seconds)

    def nudge_all(self) -> None:
        """Let all that wait have their turn now, and all that have theirs another."""
        with self._changed:
            self._again |= self._busy
            now = time.monotonic()
            for conversation in list(self._due):
                self._put(conversation, now)

    def take(self) -> str | None:
        """Wait for the next conversation whose turn it is; None when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                    heapq.heappop(self._heap)
                if self._heap and self._heap[0][0] <= now:
                    _, _, conversation = heapq.heappop(self._heap)
                    del self._due[conversation]
                    self._busy.add(conversation)
                    return conversation
                self._changed.wait(self._heap[0][0] - now if self._heap else None)
        return None

    def give_back(self, conversation: str, seconds: float | None) -> None:
        """End a turn; the next one comes in so many seconds, or where one was asked for meanwhile."""
        with self._changed:
            self._busy.discard(conversation)
            if conversation in self._again:
                self._again.discard(conversation)
                seconds = 0.0
            if seconds is not None:
                self._put(conversation, time.monotonic() + seconds)

    def knows(self, conversation: str) -> bool:
        """Return whether a conversation has its turn or waits for it."""
        with self._changed:
            return conversation in self._busy or conversation in self._due

    def close(self) -> None:
        """Let everybody who waits go on, with nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, conversation: str, due: float) -> None:
        if due < self._due.get(conversation, float("inf")):
            self._due[conversation] = due
            heapq.heappush(self._heap, (due, next(self._numbers), conversation))
            self._changed.notify()
