"""Tells the operator when a source can hardly be read any more, as after a change of its format."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from pipelines.core.rows import DeadLetter, Row
from schemas.raw_event import RawEvent

WINDOW_SECONDS: Final = 600.0
"""Over how long events are counted together, and the least time between two such lines of a source."""
MOST_LETTERS: Final = 10
"""Dead letters of a source that nobody is told of: single items fail at any time, and are kept."""
MOST_SHARE: Final = 0.01
"""Dead letters for each event, of which the same holds."""

_log = logging.getLogger(__name__)


class Unread:
    """Counts a process's events and dead letters by source; several threads may note theirs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._events: Counter[str] = Counter()
        self._letters: Counter[str] = Counter()
        self._told: set[str] = set()

    def note(self, events: Sequence[RawEvent], letters: Sequence[Row]) -> None:
        """Count events and the dead letters that were made of them, and log a warning where those are many."""
        with self._lock:
            if self._clock() - self._since >= WINDOW_SECONDS:
                self._since = self._clock()
                for counted in (self._events, self._letters, self._told):
                    counted.clear()
            self._events.update(event.attributes.get("source", "") for event in events)
            if not letters:
                return
            self._letters.update(row.source or "" for row in letters if isinstance(row, DeadLetter))
            for source, count in self._letters.items():
                known = self._events[source]
                if count > max(MOST_LETTERS, MOST_SHARE * known) and source not in self._told:
                    self._told.add(source)
                    _log.warning("much cannot be read: %d dead letters of %d events of %s", count, known, source)
