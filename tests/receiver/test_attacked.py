"""Strangers against a receiver: whatever they do, those who prove themselves are served, and memory is bounded."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from receiver_server import Server, serving
from receiver_support import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MIB = 1024 * 1024
CONNECTIONS = 64


@pytest.fixture
def server(environ, bus, tmp_path) -> Iterator[Server]:
    environ = environ | {
        "PARLEY_FACEBOOK_APP_SECRETS": "",
        "PARLEY_ALLOW_UNSIGNED": "facebook",
        "PARLEY_WORKERS": "1",
        "PARLEY_CONNECTIONS": str(CONNECTIONS),
        "PARLEY_BODY_BUDGET_BYTES": str(16 * MIB),
        "PARLEY_REQUESTS": "16",
    }
    with serving(environ, tmp_path / "log") as server:
        yield server


@pytest.fixture
def attack(server) -> Iterator["Attack"]:
    with contextlib.ExitStack() as stack:
        yield Attack(server, stack)


class Attack:
    def __init__(self, server: Server, stack: contextlib.ExitStack) -> None:
        self._server = server
        self._stack = stack

    def connect(self, said: bytes = b"") -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._server.port), timeout=30)
        self._stack.callback(sock.close)
        with contextlib.suppress(OSError):
            sock.sendall(said)
        return sock


def head(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def resident(server: Server) -> int:
    """Return the memory that the worker takes, in bytes."""
    (worker,) = server.workers()
    (line,) = (
        line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def assert_served(server: Server) -> None:
    assert {server.post(b"%d" % number) for number in range(10)} == {200}


def test_connections_that_say_nothing_keep_nobody_out(server, attack):
    for _ in range(4):
        for _ in range(CONNECTIONS):
            attack.connect()
        assert_served(server)


def test_headers_that_never_end_keep_nobody_out(server, attack):
    for _ in range(3 * CONNECTIONS):
        attack.connect(b"POST /facebook HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 1000)
    assert_served(server)


def test_idle_connections_give_way_to_new_ones(server, attack):
    for _ in range(3 * CONNECTIONS):
        sock = attack.connect(b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert_served(server)


def test_bodies_that_never_end_keep_nobody_out_and_their_memory_is_given_back(server, attack):
    assert_served(server)
    before = resident(server)
    # Sixteen are nearly whole, more than the budget together; the first have to give way.
    socks = [attack.connect(head("/facebook", 4 * MIB) + bytes(4 * MIB - 100)) for _ in range(16)]
    assert_served(server)
    assert resident(server) - before < 64 * MIB
    assert server.post(bytes(4 * MIB)) == 200

    refused = sum(sock.recv(12) == b"HTTP/1.1 503" for sock in socks[:8])
    assert refused == 8
    for sock in socks:
        sock.close()
    wait_until(lambda: resident(server) - before < 24 * MIB)


def test_small_bodies_that_never_end_keep_nobody_out(server, attack):
    socks = [attack.connect(head("/facebook", 1_000) + b"x") for _ in range(40)]
    assert_served(server)
    assert sum(sock.recv(12) == b"HTTP/1.1 503" for sock in socks[:20]) == 20


def test_a_body_for_nobody_is_refused_unread(server, attack):
    for path, status in {"/nowhere": b"404", "/__lbheartbeat__": b"405", "/facebook": b"413"}.items():
        sock = attack.connect(head(path, 4 * MIB + (path == "/facebook")))
        assert sock.recv(12) == b"HTTP/1.1 " + status


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (66_000, 431), (200_000, 431)])
def test_headers_may_be_as_long_as_the_documents_say(server, size, status):
    assert server.request("GET", "/__lbheartbeat__", **{"X-Long": "x" * size}).status == status


def test_a_header_that_would_be_kept_is_not_lost_where_it_is_no_ascii(server, attack, bus):
    refused = attack.connect(
        b"POST /facebook HTTP/1.1\r\nHost: x\r\nUser-Agent: caf\xc3\xa9\r\nContent-Length: 1\r\n\r\n1"
    )
    assert refused.recv(12) == b"HTTP/1.1 400"
    # What is not kept anyway keeps no event out.
    taken = attack.connect(
        b"POST /facebook HTTP/1.1\r\nHost: x\r\nX-City: K\xc3\xb6ln\r\nContent-Length: 1\r\n\r\n2"
    )
    assert taken.recv(12) == b"HTTP/1.1 200"
    assert [event.data for event in bus.published()] == [b"2"]
