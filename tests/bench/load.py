"""A closed-loop load generator: some connections, each with one request at a time."""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


class Result(msgspec.Struct):
    """What a run has measured; times in milliseconds."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    requests: int
    errors: int


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0


@dataclass
class _Tally:
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[bytes] = field(default_factory=Counter)


def run(port: int, requests: Sequence[bytes], *, connections: int, seconds: float, warm_up: float = 1.0) -> Result:
    """Send whole HTTP requests in turn, and measure after a warm-up.

    Answers must come in one piece, as short ones do. A lost connection counts as an error.
    """
    selector = selectors.DefaultSelector()
    tally = _Tally()
    turn = 0

    def send(connection: _Connection) -> None:
        nonlocal turn
        connection.sent_at = time.perf_counter()
        connection.socket.sendall(requests[turn % len(requests)])
        turn += 1

    for _ in range(connections):
        connection = _Connection(socket.create_connection(("127.0.0.1", port)))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        send(connection)
    start = time.perf_counter() + warm_up
    end = start + seconds
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(end - now):
            connection = key.data
            answer = connection.socket.recv(65536)
            took = time.perf_counter() - connection.sent_at
            if connection.sent_at >= start:
                tally.latencies.append(took)
                tally.statuses[answer[9:12]] += 1
            if not answer:
                selector.unregister(connection.socket)
                continue
            send(connection)
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    return _result(tally, seconds)


def _result(tally: _Tally, seconds: float) -> Result:
    latencies = sorted(tally.latencies) or [0.0]
    count = len(tally.latencies)
    return Result(
        requests_per_second=count / seconds,
        p50_ms=1e3 * latencies[count // 2],
        p99_ms=1e3 * latencies[int(count * 0.99)],
        max_ms=1e3 * latencies[-1],
        requests=count,
        errors=count - tally.statuses[b"200"],
    )
