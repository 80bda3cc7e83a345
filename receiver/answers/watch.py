"""Wakes those who wait for something new in a conversation, by one thread a process, while anybody waits."""

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

from receiver.answers.news import ENTRIES, Notice
from receiver.event_loop import Waiter, waiter

STALE_SECONDS: Final = 10.0
"""Who types is told so long ago that nobody needs to know."""
_TROUBLE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


class TooManyError(Exception):
    """So many wait already that one more would be in the way of others."""


class Listener:
    """One who waits for what is new in one conversation; to be closed."""

    def __init__(self, close: Callable[["Listener"], None], key: str, address: str) -> None:
        self.key = key
        self.address = address
        self._close = close
        self._lock = threading.Lock()
        self._notices: list[Notice] = []
        self._waiter: Waiter | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until there is something new; False where there is not in time."""
        with self._lock:
            if self._notices:
                return True
            wait = self._waiter = waiter()
        try:
            wait.wait(seconds)
        finally:
            with self._lock:
                self._waiter = None
        return bool(self._notices)

    def take(self) -> list[Notice]:
        """Return what is new since this was asked last."""
        with self._lock:
            notices, self._notices = self._notices, []
        return notices

    def wake(self, notice: Notice) -> None:
        """Let the one who waits know; may be called by any thread."""
        with self._lock:
            self._notices.append(notice)
            wait, self._waiter = self._waiter, None
        if wait is not None:
            wait.release()

    def close(self) -> None:
        """Wait no more; a second call does nothing."""
        self._close(self)


class Watch:
    """All who wait in this process."""

    def __init__(
        self,
        read: Callable[[], list[Notice]],
        look_seconds: float,
        *,
        most: int,
        most_of_conversation: int,
        most_of_address: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take how to read the news and how often, and how many may wait: in all, and of one each."""
        self._read = read
        self._look_seconds = look_seconds
        self._most = most
        self._most_of_conversation = most_of_conversation
        self._most_of_address = most_of_address
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._addresses: Counter[str] = Counter()
        self._thread: threading.Thread | None = None

    def listen(self, key: str, address: str) -> Listener:
        """Return a listener of a conversation.

        Raises:
            TooManyError: there are too many.
        """
        with self._lock:
            if (
                self._addresses.total() >= self._most
                or self._addresses[address] >= self._most_of_address
                or len(self._listeners.get(key, ())) >= self._most_of_conversation
            ):
                raise TooManyError
            listener = Listener(self._forget, key, address)
            self._listeners[key].append(listener)
            self._addresses[address] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
                self._thread.start()
        return listener

    def _forget(self, listener: Listener) -> None:
        with self._lock:
            listeners = self._listeners.get(listener.key, [])
            if listener not in listeners:
                return
            listeners.remove(listener)
            if not listeners:
                del self._listeners[listener.key]
            self._addresses[listener.address] -= 1
            if not self._addresses[listener.address]:
                del self._addresses[listener.address]

    def _run(self) -> None:
        known: set[str] = set()
        pause = self._look_seconds
        while True:
            try:
                known = self._look(known)
            except Exception as error:
                # A full disk, a bucket that does not answer: those who wait look by themselves now and then.
                if pause <= self._look_seconds:
                    _log.warning("what is new in conversations cannot be read: %s", error)
                pause = min(2 * max(pause, _TROUBLE_SECONDS), _LONGEST_PAUSE_SECONDS)
            else:
                pause = self._look_seconds
            with self._lock:
                if not self._listeners:
                    self._thread = None
                    return
            time.sleep(pause)

    def _look(self, known: set[str]) -> set[str]:
        """Wake those for whom there is something new; return what is known now."""
        notices = self._read()
        now = self._clock()
        for notice in notices:
            if notice.name in known or (notice.what not in ENTRIES and notice.at < now - STALE_SECONDS):
                continue
            with self._lock:
                listeners = list(self._listeners.get(notice.key, ()))
            for listener in listeners:
                listener.wake(notice)
        return {notice.name for notice in notices}
