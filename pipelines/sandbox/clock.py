"""The sandbox's time: the machine's, or one that moves only when it is told to, so that a run can be repeated."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time, in seconds since 1970."""

    def now(self) -> float:
        """Return the time."""
        ...


class MachineClock:
    """The machine's time."""

    def now(self) -> float:
        """Return the time."""
        return time.time()


class ManualClock:
    """A time that stands still until it is moved; threads may share it."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        with self._lock:
            self._now += seconds
