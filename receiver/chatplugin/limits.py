"""Rate limits in the memory of one process."""

import threading
import time
from collections.abc import Callable
from typing import Final

MAX_KEYS: Final = 100_000


class RateLimit:
    """Lets each key do so much a minute, a third of it at once.

    The generic cell rate algorithm: per key only the moment until which its past requests count
    (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). Memory is bounded: beyond
    `MAX_KEYS` the key that was refreshed longest ago is forgotten, which only lets it do more.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60.0 / per_minute
        self._tolerance = self._interval * (max(per_minute // 3, 1) - 1)
        self._clock = clock
        self._busy_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Count a request and return 0, or return after how many seconds it would be allowed."""
        now = self._clock()
        with self._lock:
            busy_until = max(self._busy_until.get(key, now), now)
            wait = busy_until - now - self._tolerance
            if wait > 0:
                return wait
            # Taken out first, so that the dictionary is in the order of the last use.
            self._busy_until.pop(key, None)
            if len(self._busy_until) >= MAX_KEYS:
                del self._busy_until[next(iter(self._busy_until))]
            self._busy_until[key] = busy_until + self._interval
            return 0.0
