import asyncio
import contextlib
import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, request
from granian.rsgi import ProtocolClosed
from receiver_support import run_loop, wait_until

from receiver.config import Limits
from receiver.web.bodies import WHOLE_BYTES
from receiver.web.connections import Connections
from receiver.web.gateway import PROVEN, Gateway, environ

REQUESTS = {
    "a webhook": b"POST /facebook?a=1 HTTP/1.1\r\nHost: hooks.example.org\r\nContent-Type: application/json\r\n"
    b'Content-Length: 8\r\nUser-Agent: Bot/1.0\r\nX-Hub-Signature-256: sha256=00\r\n\r\n{"a": 1}',
    "escapes": b"GET /a%20b/%C3%A9%2Fx?q=%20a%26&b= HTTP/1.1\r\nHost: h:1\r\n\r\n",
    "bytes in the query": b"GET /?b=\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a whole URL": b"GET http://other.example/p/q?x HTTP/1.1\r\nHost: h\r\n\r\n",
    "a header sent twice": b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nX-Empty:\r\n\r\n",
    "slashes and dots": b"GET //p/../q/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "an old sender": b"POST /p HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    "an empty body": b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "a question first": b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
}

OF_A_REQUEST = (
    *("CONTENT_", "HTTP_", "PATH_INFO", "QUERY_", "REMOTE_", "REQUEST_", "SCRIPT_NAME"),
    *("SERVER_NAME", "SERVER_PROTOCOL", "body", "wsgi."),
)


@contextlib.contextmanager
def granian(interface: str, target: str):
    """Serve an app of `gateway_app` and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ["--http", "1", "--no-ws", "--loop", "uvloop", "--port"]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", "--interface", interface, *options, str(port), f"gateway_app:{target}"],
        cwd=Path(__file__).parents[1],
        # Granian's own WSGI hands the process's environment, with all its secrets, to every request.
        env={"PATH": os.environ["PATH"]},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError):
            return ask(port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 200")
        return False

    try:
        wait_until(answers, 60)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def ask(port: int, request: bytes) -> bytes:
    """Return all that comes for a request until the answer is whole."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as sock:
        sock.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):
            answer += sock.recv(65536) or pytest.fail(f"cut off: {answer!r}")
        return answer


@pytest.fixture(scope="module")
def ports():
    with granian("wsgi", "echo") as wsgi, granian("rsgi", "gateway") as gateway:
        yield wsgi, gateway


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS)
def test_an_app_is_told_what_it_is_told_by_granian_itself(ports, request_bytes):
    assert told(ports[1], request_bytes) == told(ports[0], request_bytes)


def told(port: int, request: bytes) -> tuple[dict[str, str], list[bytes]]:
    """Return what the app was told of a request, and the answer's head but for the time and the length."""
    *_, head, body = ask(port, request).split(b"\r\n\r\n")
    environ = {name: value for name, value in json.loads(body).items() if name.startswith(OF_A_REQUEST)}
    return environ, [line for line in head.split(b"\r\n") if not line.startswith((b"date", b"content-length"))]


def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_dash(ports):
    forged = b"GET / HTTP/1.1\r\nHost: h\r\nX_Hub_Signature_256: x\r\nContent_Length: 7\r\n\r\n"
    environ, _ = told(ports[1], forged)
    assert not [name for name in environ if "SIGNATURE" in name or "LENGTH" in name]


def test_a_body_over_the_limit_is_not_received(ports):
    # Only the beginning of it is ever sent.
    environ, _ = told(ports[1], b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\nabc")
    assert environ["body"] == ""
    assert environ["CONTENT_LENGTH"] == "1001"


class Answered(list):
    """A protocol that keeps the answer, and whose body may never come."""

    def __init__(self, body: bytes | Exception | None = b"") -> None:
        self._body = body

    async def __call__(self) -> bytes:
        if isinstance(self._body, Exception):
            raise self._body
        return self._body if self._body is not None else await asyncio.Future()

    def response_bytes(self, *answer) -> None:
        self.append(answer)


def gateway_of(app, **limits) -> Gateway:
    """Return a gateway on the running loop."""
    gateway = Gateway(app, Limits(body_seconds=0.01, **limits), {"/": 1_000_000}, Connections(100, 10))
    gateway.__rsgi_init__(asyncio.get_running_loop())
    return gateway


def scope_of(headers, client="127.0.0.1:1") -> SimpleNamespace:
    """Return a request without a server."""
    return SimpleNamespace(
        method="POST",
        path="/",
        query_string="",
        http_version="1.1",
        client=client,
        server="[::1]:2",
        scheme="http",
        headers=headers,
    )


def answer_of(app, protocol, **headers):
    """Return what the gateway answers where there is no server."""

    async def main() -> None:
        await gateway_of(app)(scope_of(headers), protocol)

    run_loop(main)
    return protocol


@pytest.mark.parametrize(
    ("client", "address"),
    [("192.0.2.1:5000", "192.0.2.1"), ("[2001:db8::1]:5000", "2001:db8::1"), ("[fe80::1%2]:5000", "fe80::1%2")],
)
def test_an_address_is_told_without_its_port_and_brackets(client, address):
    assert environ(scope_of({}, client))["REMOTE_ADDR"] == address


def test_an_app_that_fails_is_answered_for(caplog):
    def fails(environ, start_response):
        raise ValueError("x")

    with caplog.at_level(logging.ERROR, "receiver.web.gateway"):
        [(status, _, body)] = answer_of(fails, Answered())
    assert (status, body) == (500, b"Internal Server Error\n")
    assert "ValueError" in caplog.text


def test_what_an_app_answers_is_closed_when_it_is_read():
    chunks = io.BytesIO(b"a\nb\n")

    def app(environ, start_response):
        start_response("202 Accepted", [("x-a", "1")])
        return chunks

    assert answer_of(app, Answered()) == [(202, [("x-a", "1")], b"a\nb\n")]
    assert chunks.closed


def test_a_body_that_does_not_come_is_for_the_app_to_answer():
    app = Flask("test")

    @app.post("/")
    def take() -> bytes:
        return request.get_data()

    [(status, *_)] = answer_of(app, Answered(None), **{"content-length": "3"})
    assert status == 408
    [(status, *_)] = answer_of(app, Answered(ProtocolClosed()), **{"content-length": "3"})
    assert status == 400
    [(status, _, body)] = answer_of(app, Answered(b"abc"), **{"content-length": "3"})
    assert (status, body) == (200, b"abc")


class Large(Answered):
    """A protocol whose body comes in parts."""

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        if not self._body:
            raise StopAsyncIteration
        part, self._body = self._body[:1000], self._body[1000:]
        return part


def test_large_bodies_that_wait_for_a_thread_are_bounded_too():
    """Whole, and not yet proven: a slow disk must not let them pile up."""
    go_on = threading.Event()
    app = Flask("test")

    @app.post("/")
    def take() -> str:
        body = request.get_data()
        go_on.wait(60)
        return f"{len(body)}"

    size = WHOLE_BYTES + 1
    protocols = [Large(b"x" * size) for _ in range(5)]

    async def main() -> None:
        gateway = gateway_of(app, body_budget_bytes=3 * size)
        asking = [
            asyncio.create_task(gateway(scope_of({"content-length": str(size)}), protocol))
            for protocol in protocols
        ]
        while sum(map(bool, protocols)) < 2:
            await asyncio.sleep(0.001)
        go_on.set()
        await asyncio.gather(*asking)
        # Once they are answered, there is room again.
        await gateway(scope_of({"content-length": str(3 * size)}), last)

    last = Large(b"x" * 3 * size)
    run_loop(main)
    assert Counter(status for [(status, *_)] in protocols) == {200: 3, 503: 2}
    assert last == [(200, last[0][1], b"%d" % (3 * size))]


def test_who_is_proven_is_noted():
    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["HTTP_X_PROVEN"]:
            environ[PROVEN] = True
        return []

    async def main() -> None:
        gateway = gateway_of(app)
        await gateway(scope_of({"x-proven": ""}), Answered())
        assert gateway._connections._proven == set()
        await gateway(scope_of({"x-proven": "1"}), Answered())
        assert gateway._connections._proven == {"127.0.0.1:1"}

    run_loop(main)


@pytest.mark.parametrize("fails", [False, True])
def test_who_is_to_be_cut_off_is_noted_only_once_answered(fails):
    """Where all is slow, the connection would be closed before the answer is out."""
    condemned = []

    async def main() -> None:
        def app(environ, start_response):
            condemned.append(dict(gateway._connections._condemned))
            if fails:
                raise ValueError("x")
            start_response("408 Request Timeout", [])
            return []

        gateway = gateway_of(app)
        await gateway(scope_of({"content-length": "3"}), Answered(None))
        condemned.append(dict(gateway._connections._condemned))
        await gateway(scope_of({"content-length": "3"}), Answered(b"abc"))

    run_loop(main)
    before, after, after_another = condemned
    assert before == {}
    assert after.keys() == {"127.0.0.1:1"} == after_another.keys()
