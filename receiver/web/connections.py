"""Closes connections that keep others out: those that say nothing, begin a request and never end it, or idle.

Granian counts connections, and has one limit of time for the headers of a request and for the pause before it.
That must be as long as a load balancer keeps its connections, ten minutes; nobody needs as long for headers. So
we look after a worker's sockets ourselves, beside the way of the requests: what the kernel tells of a connection
(https://man7.org/linux/man-pages/man7/tcp.7.html, `TCP_INFO`) says whether it has ever asked or been answered.
"""

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

LOOK_SECONDS: Final = 0.1
"""How often descriptors are counted."""
SCAN_SECONDS: Final = 1.0
"""How often each connection is looked at, where they are not many."""
MANY: Final = 0.75
"""Which part of the connections may be taken until those that wait have to give way."""
LEFT: Final = 0.5
"""Which part may be taken by those that wait once they have given way."""
GRACE_SECONDS: Final = 1.0
"""How long who has just come does not give way to others, though it has not been answered yet."""
_DESCRIPTORS: Final = "/proc/self/fd"
_TCP_INFO_BYTES: Final = 136
_COUNTS: Final = struct.Struct("=QQ")
_COUNTS_AT: Final = 120
"""Where in `struct tcp_info` the bytes are that we sent and the other side has confirmed, and those received."""

_log = logging.getLogger(__name__)


class Traffic(NamedTuple):
    """What went over a connection so far, in bytes."""

    sent: int
    received: int


class _Waiting(NamedTuple):
    """A connection without a request."""

    since: float
    traffic: Traffic
    asks: bool
    """Whether it has to say something soon: it has never been answered, or has begun a request."""


class Connections:
    """The connections of this process's server."""

    def __init__(self, most: int, header_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how many there may be, and how long a request's headers may take."""
        self.busy: set[str] = set()
        """Addresses, as granian writes them, whose requests are being answered."""
        self._most = most
        self._header_seconds = header_seconds
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._condemned: dict[str, float] = {}

    def start(self) -> None:
        """Look after connections in the background, where the system tells about them."""
        if Path(_DESCRIPTORS).is_dir() and hasattr(socket, "TCP_INFO"):
            threading.Thread(target=self._run, name="connections", daemon=True).start()

    def condemn(self, client: str) -> None:
        """Let a connection be closed once its request is answered: what it still sends, nobody wants."""
        self._condemned[client] = self._clock()

    def _run(self) -> None:
        scanned = self._clock()
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                many = _count() > MANY * self._most
                if many or self._condemned or self._clock() - scanned >= SCAN_SECONDS:
                    self.scan()
                    scanned = self._clock()
            except Exception:
                _log.exception("connections could not be looked after")

    def scan(self) -> None:
        """Look at every connection, and close those whose time is over or that have to give way."""
        found = dict(_connections())
        try:
            now = self._clock()
            waiting = {
                client: self._waits(client, _traffic(each), now)
                for client, each in found.items()
                if client not in self.busy
            }
            self._waiting = waiting
            over = [client for client in waiting if self._is_over(client, now)]
            if len(found) > MANY * self._most:
                rest = sorted(waiting.keys() - set(over), key=lambda client: _patience(waiting[client], now))
                over += rest[: max(0, len(waiting) - len(over) - int(LEFT * self._most))]
            for client in over:
                with contextlib.suppress(OSError):
                    found[client].shutdown(socket.SHUT_RDWR)
            self._condemned = {client: at for client, at in self._condemned.items() if client in found}
        finally:
            for each in found.values():
                each.close()

    def _waits(self, client: str, traffic: Traffic, now: float) -> _Waiting:
        """Return since when a connection waits, and for what."""
        before = self._waiting.get(client)
        if traffic.sent <= 0:
            return before or _Waiting(now, traffic, asks=True)
        if before is None or traffic.sent != before.traffic.sent:
            # It has been answered since.
            return _Waiting(now, traffic, asks=False)
        if traffic.received != before.traffic.received and not before.asks:
            return _Waiting(now, traffic, asks=True)
        return before

    def _is_over(self, client: str, now: float) -> bool:
        condemned = self._condemned.get(client)
        if condemned is not None and now - condemned > LOOK_SECONDS:
            return True
        waits = self._waiting[client]
        return waits.asks and now - waits.since > self._header_seconds


def _patience(waits: _Waiting, now: float) -> tuple[int, float]:
    """Sort by who gives way first: who has had time to ask, then who idles longest, then whoever just came."""
    has_had_time = now - waits.since > GRACE_SECONDS
    return (0 if has_had_time else 2) if waits.asks else 1, waits.since


def _connections() -> Iterator[tuple[str, socket.socket]]:
    """Yield the server's connections of this process by the other side's address, each to be closed."""
    sockets = list(_sockets())
    ports = {_port(each) for each in sockets if _listens(each)}
    for each in sockets:
        client = _client(each) if not _listens(each) and _port(each) in ports else ""
        if client:
            yield client, each
        else:
            each.close()


def _count() -> int:
    with os.scandir(_DESCRIPTORS) as entries:
        return sum(1 for _ in entries)


def _sockets() -> Iterator[socket.socket]:
    with os.scandir(_DESCRIPTORS) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with contextlib.suppress(OSError):
            # A path object for each of thousands, every second, would cost more than the rest.
            if not os.readlink(f"{_DESCRIPTORS}/{name}").startswith("socket:"):  # noqa: PTH115
                continue
            # A descriptor of our own, so that it stays this socket's whatever becomes of the other.
            found = socket.socket(fileno=os.dup(int(name)))
            if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
                yield found
            else:
                found.close()


def _listens(each: socket.socket) -> bool:
    return bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _port(each: socket.socket) -> int:
    return int(each.getsockname()[1])


def _client(each: socket.socket) -> str:
    """Return the other side's address as granian writes it; empty where there is none any more."""
    try:
        host, port = each.getpeername()[:2]
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _traffic(each: socket.socket) -> Traffic:
    told = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(told) < _TCP_INFO_BYTES:
        return Traffic(0, 0)
    return Traffic(*_COUNTS.unpack_from(told, _COUNTS_AT))
