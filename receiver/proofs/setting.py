"""Where and when requests are proven: what a proof needs to know beside the request."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from flask import Request

MILLISECONDS_FROM: Final = 10**11
"""Timestamps from here on are in milliseconds."""
_LONGEST_TIME: Final = 40


class Setting(NamedTuple):
    """What is the same for all requests."""

    public_urls: tuple[str, ...] = ()
    """By which the world reaches the receiver, for what signs the URL."""
    folder: Path = Path()
    """Where the sources file lies, and files that it names."""
    clock: Callable[[], float] = time.time
    """Gives seconds since 1970."""

    def is_recent(self, timestamp: str, tolerance_seconds: int) -> bool:
        """Say whether a time (s, ms, ISO 8601) lies within the tolerance, before or after now."""
        seconds = seconds_of(timestamp)
        return seconds is not None and abs(self.clock() - seconds) <= tolerance_seconds

    def urls(self, request: Request) -> Iterator[str]:
        """Yield the addresses to which a request may have been sent, with the query as it came."""
        query = request.query_string.decode("latin-1")
        for base in self.public_urls:
            yield f"{base}{request.path}?{query}" if query else base + request.path


def seconds_of(timestamp: str) -> float | None:
    """Return a time as seconds since 1970: of seconds, milliseconds, or ISO 8601 with a zone; else None."""
    if not timestamp.isascii() or len(timestamp) > _LONGEST_TIME:
        return None
    if timestamp.isdigit():
        number = int(timestamp)
        return number / 1000 if number >= MILLISECONDS_FROM else number
    try:
        moment = dt.datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
