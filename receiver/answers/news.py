"""What is new, of all conversations: names that every receiver looks at, and that are gone after two minutes.

To look at one folder costs the same for any number of visitors who wait.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from receiver.replies.store import Store

KEPT_SECONDS: Final = 120.0
_TIDY_SECONDS: Final = 30.0
_PARTS: Final = 4
_log = logging.getLogger(__name__)

What = Literal["entry", "answer", "typing_on", "typing_off"]
"""`answer`: an entry by which whoever typed has done so; any other is an `entry`."""

ENTRIES: Final = frozenset({"entry", "answer"})


class Notice(NamedTuple):
    """That there is something new in a conversation."""

    name: str
    at: float
    """Seconds since 1970, by the clock of who tells it."""
    key: str
    what: str


class News:
    """The notices; methods may be called by several threads, and raise what the store raises."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._tidied = 0.0
        self._lock = threading.Lock()

    def tell(self, key: str, what: What) -> None:
        """Let all receivers know of something new in a conversation."""
        now = self._clock()
        self._store.create(f"news/{int(now * 1000):013d}-{key}-{what}-{secrets.token_hex(4)}", b"")
        with self._lock:
            if now - self._tidied < _TIDY_SECONDS:
                return
            self._tidied = now
        self._tidy(now)

    def read(self) -> list[Notice]:
        """Return what was told lately, the oldest first."""
        notices = []
        for name in self._store.names("news/"):
            parts = name.split("-")
            if len(parts) == _PARTS and parts[0].isdecimal():
                notices.append(Notice(name, int(parts[0]) / 1000, parts[1], parts[2]))
        return notices

    def _tidy(self, now: float) -> None:
        for notice in self.read():
            if notice.at < now - KEPT_SECONDS:
                self._store.remove(f"news/{notice.name}")
