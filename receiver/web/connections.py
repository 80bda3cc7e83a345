"""Closes connections that keep others out: that say nothing, never end a request, never take an answer, or idle.

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
from collections.abc import Callable, Container, Iterator
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
FAREWELL_SECONDS: Final = 1.0
"""How long the answer has to go out to whom nobody listens any more: all may be slow."""
TAKE_SECONDS: Final = 30.0
"""How long a client may take nothing of what was sent to it: the server keeps the rest of an answer for it."""
LEAVING_TAKE_SECONDS: Final = 2.0
"""The same once we were told to end: the server waits for each answer until it was taken."""
GRACE_SECONDS: Final = 1.0
"""How long who has just come does not give way to those that idle, though it has not been answered yet."""
BORN_SECONDS: Final = 0.1
"""For how long a connection is so new that its request may be on its way: it gives way after those that idle."""
ASKING_GRACE_SECONDS: Final = 5.0
"""How long who has begun a request does not: where all is slow, it may be on its way through."""
KEPT: Final = 0.25
"""Which part is kept for those that have proven themselves and idle: they give way last."""
BUSY_SHARE: Final = 0.25
"""Which part of the time may be spent in looking at connections, however many there are."""
_DESCRIPTORS: Final = "/proc/self/fd"
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_TCP_INFO_BYTES: Final = 136
_NEWER_TCP_INFO_BYTES: Final = 148
_COUNTS: Final = struct.Struct("=QQ")
_NUMBER: Final = struct.Struct("=L")
_UNCONFIRMED_AT: Final = 24
"""Where the number of packets is that were sent and not confirmed yet."""
_UNSENT_AT: Final = 144
"""Where the bytes are that wait to be sent, since Linux 4.6."""
_QUIET_AT: Final = 52
"""Where the milliseconds are since something came, at first since it was opened."""
_COUNTS_AT: Final = 120
"""Where in `struct tcp_info` the bytes are that we sent and the other side has confirmed, and those received."""

_log = logging.getLogger(__name__)


class Traffic(NamedTuple):
    """What went over a connection so far, in bytes."""

    sent: int
    received: int
    quiet: float
    """For how many seconds nothing has come."""
    is_owed: bool
    """Whether the other side has not taken yet all that was sent to it."""


class _Waiting(NamedTuple):
    """A connection without a request."""

    since: float
    traffic: Traffic
    asks: bool
    """Whether it has to say something soon: it has never been answered, or has begun a request."""


class _Owed(NamedTuple):
    """A connection whose other side has to take what was sent to it."""

    since: float
    """When it has last taken something of it."""
    sent: int


class _Found(NamedTuple):
    """A connection of the server."""

    descriptor: int
    traffic: Traffic


class Connections:
    """The connections of this process's server."""

    def __init__(self, most: int, header_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how many there may be, and how long a request's headers may take."""
        self.busy: set[str] = set()
        """Addresses, as granian writes them, whose requests are being answered."""
        self._proven: set[str] = set()
        self._most = most
        self._header_seconds = header_seconds
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._ports: set[int] = set()
        """Where the server listens, or did until it began to end."""
        self._condemned: dict[str, float] = {}
        self._owed: dict[str, _Owed] = {}
        self._take_seconds = TAKE_SECONDS
        self._looks = Path(_DESCRIPTORS).is_dir() and hasattr(socket, "TCP_INFO")

    def start(self) -> None:
        """Look after connections in the background, where the system tells about them."""
        if self._looks:
            threading.Thread(target=self._run, name="connections", daemon=True).start()

    def condemn(self, client: str) -> None:
        """Let a connection that was just answered be closed soon: what it still sends, nobody wants."""
        self._condemned[client] = self._clock()

    def leave(self) -> None:
        """Wait for nobody who does not take what was sent to them: the server is about to end."""
        if self._looks:
            # Where the server listens cannot be seen once it ends.
            list(_connections((), self._ports))
        self._take_seconds = LEAVING_TAKE_SECONDS

    def prove(self, client: str) -> None:
        """Note that a request was taken whose sender has proven itself."""
        if self._looks:
            self._proven.add(client)

    def _run(self) -> None:
        scanned = self._clock()
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                many = _count() > MANY * self._most
                if many or self._condemned or self._clock() - scanned >= SCAN_SECONDS:
                    scanned = self._clock()
                    self.scan()
                    # The interpreter runs one thread at a time: those who are served need it, too.
                    time.sleep((self._clock() - scanned) * (1 / BUSY_SHARE - 1))
            except Exception:
                _log.exception("connections could not be looked after")

    def scan(self) -> None:
        """Look at every connection, and close those whose time is over or that have to give way."""
        proven = set(self._proven)
        found = dict(_connections(self._waiting, self._ports))
        now = self._clock()
        waiting = {
            client: self._waits(client, each.traffic, now)
            for client, each in found.items()
            if client not in self.busy
        }
        self._waiting = waiting
        # Who was noted meanwhile may have come after the look.
        self._proven -= proven - found.keys()
        self._owed = {
            client: self._owes(client, each.traffic, now) for client, each in found.items() if each.traffic.is_owed
        }
        # Also of those whose answer lasts.
        untaken = {client for client, each in self._owed.items() if now - each.since > self._take_seconds}
        over = [*untaken, *(client for client in waiting.keys() - untaken if self._is_over(client, now))]
        if len(found) > MANY * self._most:
            excess = len(waiting.keys() - set(over)) - int(LEFT * self._most)
            over += self._in_order(waiting.keys() - set(over), now)[: max(0, excess)]
        for client in over:
            _close(client, found[client].descriptor)
        self._condemned = {client: at for client, at in self._condemned.items() if client in found}

    def _waits(self, client: str, traffic: Traffic, now: float) -> _Waiting:
        """Return since when a connection waits, and for what."""
        before = self._waiting.get(client)
        if traffic.sent <= 0:
            if before is not None and traffic.received == before.traffic.received:
                return before
            # Who came just now must not give way to those who came between the same two looks before.
            return _Waiting(before.since if before else now - traffic.quiet, traffic, asks=True)
        if before is None or traffic.sent != before.traffic.sent:
            # It has been answered since.
            return _Waiting(now - traffic.quiet, traffic, asks=False)
        if traffic.received != before.traffic.received and not before.asks:
            return _Waiting(now, traffic, asks=True)
        return before

    def _owes(self, client: str, traffic: Traffic, now: float) -> _Owed:
        """Return since when the other side has taken nothing."""
        before = self._owed.get(client)
        return before if before and before.sent == traffic.sent else _Owed(now, traffic.sent)

    def _is_over(self, client: str, now: float) -> bool:
        condemned = self._condemned.get(client)
        if condemned is not None and now - condemned > FAREWELL_SECONDS:
            return True
        waits = self._waiting[client]
        return waits.asks and now - waits.since > self._header_seconds

    def _in_order(self, clients: set[str], now: float) -> list[str]:
        """Return connections in the order in which they give way to others."""
        proven = sorted(
            (client for client in clients & self._proven if not self._waiting[client].asks),
            key=lambda client: self._waiting[client].since,
            reverse=True,
        )
        kept = set(proven[: int(KEPT * self._most)])
        return sorted(clients, key=lambda client: (client in kept, _patience(self._waiting[client], now)))


def _patience(waits: _Waiting, now: float) -> tuple[int, float]:
    """Sort by who gives way first.

    Who has had time to ask; then who came a while ago and said nothing; then who idles longest; then who came this
    moment; then who has just begun to ask.
    """
    if not waits.asks:
        return 2, waits.since
    said_something, age = waits.traffic.received > 0, now - waits.since
    if age > (ASKING_GRACE_SECONDS if said_something else GRACE_SECONDS):
        return 0, waits.since
    if said_something:
        return 4, waits.since
    return (3 if age <= BORN_SECONDS else 1), waits.since


def _connections(known: Container[str], ports: set[int]) -> Iterator[tuple[str, _Found]]:
    """Yield the server's connections of this process by the other side's address.

    `known` are those of the last look; to `ports` come those at which the server listens. Each connection costs a
    few system calls, and no descriptor of our own: there may be thousands, ten times a second.
    """
    unknown = []
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - a path for each would cost more than the rest
        descriptor = int(name)
        try:
            each = socket.SocketType(fileno=descriptor)
        except OSError:
            # No socket, or closed meanwhile.
            continue
        try:
            client = _client(each)
            if client in known:
                yield client, _Found(descriptor, _traffic(each))
            elif client:
                unknown.append((_port(each), client, _Found(descriptor, _traffic(each))))
            elif _listens(each):
                ports.add(_port(each))
        except OSError:
            continue
        finally:
            # It belongs to the server.
            each.detach()
    yield from ((client, found) for port, client, found in unknown if port in ports)


def _count() -> int:
    # Since Linux 6.2 the folder's size is their number; before, it is nothing.
    return os.stat(_DESCRIPTORS).st_size or len(os.listdir(_DESCRIPTORS))  # noqa: PTH116, PTH208 - it is asked often


def _close(client: str, descriptor: int) -> None:
    """Close a connection, where the descriptor is still its own."""
    # Of our own, so that it stays this socket's whatever becomes of the other.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as each:
        if _client(each) == client:
            each.shutdown(socket.SHUT_RDWR)


def _listens(each: socket.SocketType) -> bool:
    return each.family in _INTERNET and bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _port(each: socket.SocketType) -> int:
    return int(each.getsockname()[1])


def _client(each: socket.SocketType) -> str:
    """Return the other side's address as granian writes it; empty where there is none, or none of the internet."""
    if each.family not in _INTERNET:
        return ""
    try:
        host, port = each.getpeername()[:2]
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _traffic(each: socket.SocketType) -> Traffic:
    told = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _NEWER_TCP_INFO_BYTES)
    if len(told) < _TCP_INFO_BYTES:
        return Traffic(0, 0, 0.0, is_owed=False)
    sent, received = _COUNTS.unpack_from(told, _COUNTS_AT)
    (quiet,) = _NUMBER.unpack_from(told, _QUIET_AT)
    (unconfirmed,) = _NUMBER.unpack_from(told, _UNCONFIRMED_AT)
    (unsent,) = _NUMBER.unpack_from(told, _UNSENT_AT) if len(told) >= _NEWER_TCP_INFO_BYTES else (0,)
    return Traffic(sent, received, quiet / 1_000, is_owed=bool(unconfirmed or unsent))
