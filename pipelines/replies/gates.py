"""When a channel may be called next: rates, what the provider has asked for, tokens that are no longer good."""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Final

from pipelines.replies.channels import Rate

FIRST_STOP_SECONDS: Final = 15.0
LAST_STOP_SECONDS: Final = 600.0
_MARGIN: Final = 0.01
"""Of a rate's time: the provider's clock may run otherwise than ours."""
_UNDER_WAY: Final = 0.05
"""How long to wait where all that a rate allows is under way, as a part of the rate's time."""
_REMEMBERED_SECONDS: Final = 10.0
"""Rates of up to so long hold across processes: whoever was here before may have used them up just now."""
_MOST_WINDOWS: Final = 50_000
Key = tuple[str, ...]


class Gates:
    """Lets calls through, or says how long to wait; its methods may be called by several threads.

    A call counts from when it was let through until the rate's time after its end: nobody but the provider knows
    when it has arrived between the two.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._windows: OrderedDict[Key, deque[float]] = OrderedDict()
        self._under_way: Counter[Key] = Counter()
        self._held: dict[Key, float] = {}
        self._stops: dict[Key, tuple[float, float]] = {}
        self._opened: Callable[[], None] | None = None

    def listen(self, opened: Callable[[], None]) -> None:
        """Have somebody told when a stopped channel may be called again: who was told to wait waits no longer."""
        self._opened = opened

    def wait(self, channel: Key, *rates: tuple[Key, Rate]) -> float:
        """Return 0 where a call may be made now, which must `end`, else the seconds until another try."""
        now = self._clock()
        with self._lock:
            if self._held.get(channel, 0.0) > now:
                return self._held[channel] - now
            for key, rate in rates:
                before = self._began + rate.seconds * (1 + _MARGIN) - now
                if before > 0 and rate.seconds <= _REMEMBERED_SECONDS:
                    return before
                window = self._window(key, rate, now)
                if len(window) + self._under_way[key] >= rate.most:
                    if not window:
                        return rate.seconds * _UNDER_WAY
                    return max(window[0] + rate.seconds * (1 + _MARGIN) - now, 0.001)
            if channel in self._stops:
                # One call finds out whether the token is good again; the others wait for what it brings.
                until, pause = self._stops[channel]
                if until > now:
                    return until - now
                self._stops[channel] = (now + pause, pause)
            self._under_way.update(key for key, _ in rates)
        return 0.0

    def end(self, *rates: tuple[Key, Rate]) -> None:
        """Hear that a call has ended that was let through, whatever came of it."""
        now = self._clock()
        with self._lock:
            for key, rate in rates:
                self._under_way[key] -= 1
                if not self._under_way[key]:
                    del self._under_way[key]
                self._window(key, rate, now).append(now)

    def count(self, key: Key, rate: Rate) -> None:
        """Count what the provider counts and we have not sent."""
        now = self._clock()
        with self._lock:
            self._window(key, rate, now).append(now)

    def hold(self, channel: Key, seconds: float) -> None:
        """Let nothing of a channel through for so long."""
        with self._lock:
            self._held[channel] = max(self._held.get(channel, 0.0), self._clock() + seconds)

    def stop(self, channel: Key) -> bool:
        """Let nothing of a channel through but a try once in a while; True where it was not stopped before."""
        with self._lock:
            known = self._stops.get(channel)
            pause = min(2 * known[1], LAST_STOP_SECONDS) if known else FIRST_STOP_SECONDS
            self._stops[channel] = (self._clock() + pause, pause)
        return known is None

    def go(self, channel: Key) -> bool:
        """Let a channel's calls through again; True where it was stopped."""
        with self._lock:
            stopped = self._stops.pop(channel, None) is not None
        if stopped:
            self._tell()
        return stopped

    def go_all(self) -> None:
        """Let one call of each stopped channel through at once: there are new tokens."""
        with self._lock:
            self._stops = dict.fromkeys(self._stops, (0.0, FIRST_STOP_SECONDS))
        self._tell()

    def stopped(self) -> list[Key]:
        """Return the channels that are stopped."""
        with self._lock:
            return sorted(self._stops)

    def _tell(self) -> None:
        if self._opened is not None:
            self._opened()

    def _window(self, key: Key, rate: Rate, now: float) -> deque[float]:
        window = self._windows.setdefault(key, deque())
        self._windows.move_to_end(key)
        while window and window[0] <= now - rate.seconds * (1 + _MARGIN):
            window.popleft()
        while len(self._windows) > _MOST_WINDOWS:
            self._windows.popitem(last=False)
        return window
