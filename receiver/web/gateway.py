"""Serves a WSGI app on granian's event loop, every request in a fiber (see `receiver.event_loop`).

Granian's own way to serve WSGI gives every request in flight a thread. Its other interface, RSGI, is made
for event loops: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md. The variables
that an app gets are those of https://peps.python.org/pep-3333/#environ-variables.
"""

import asyncio
import functools
import io
import logging
import sys
from collections.abc import Mapping, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, cast

from werkzeug.exceptions import ServiceUnavailable

from receiver.config import Limits
from receiver.event_loop import Fibers
from receiver.web.bodies import Bodies, LargeBody, NotReceived
from receiver.web.connections import Connections
from receiver.web.streams import Parts, Streams

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from granian.rsgi import HTTPProtocol, Scope

_log = logging.getLogger(__name__)

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""
STREAM: Final = "parley.stream"
"""The variable by which a view says that its answer is to be sent part by part, for as long as it lasts."""

MAX_HEADER_BYTES: Final = 64 * 1024
"""Bytes of a request's headers: granian reads a little more than it is told."""
MAX_QUERY_FIELDS: Final = 500
LONGEST: Final = {
    "CONTENT_TYPE": 1024,
    "HTTP_ACCEPT_ENCODING": 1024,
    "HTTP_AUTHORIZATION": 8 * 1024,
    "HTTP_IF_MATCH": 1024,
    "HTTP_IF_NONE_MATCH": 1024,
    "HTTP_RANGE": 1024,
    "HTTP_X_FORWARDED_FOR": 2048,
}
"""Characters of headers that are taken apart: a hundred times as long, they would hold up the event loop."""
HEADER_BYTES: Final = "parley.header_bytes"
"""The variable with the number of bytes that a request's headers have."""
UNREADABLE: Final = "parley.unreadable_headers"
"""The variable with the names of headers whose values are no visible ASCII, which granian does not give."""
PROVEN: Final = "parley.proven"
"""The variable that is there once a request was taken whose sender has proven itself."""

_THREADS: Final = 8
"""Requests with large bodies that are answered side by side; each may wait for its commit."""
_HEADERS_TOO_LARGE: Final[Answer] = (431, [("content-type", "text/plain")], b"Request Header Fields Too Large\n")
_QUERY_TOO_LONG: Final[Answer] = (414, [("content-type", "text/plain")], b"Request-URI Too Long\n")
_USUAL_HEADER_BYTES: Final = 1024
_SERVER_ERROR: Final[Answer] = (500, [("content-type", "text/plain")], b"Internal Server Error\n")
_CONSTANT: Final = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.errors": sys.stderr,
    "wsgi.multiprocess": True,
    "wsgi.multithread": False,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class Gateway:
    """An RSGI application that answers as a WSGI app does."""

    def __init__(
        self, app: "WSGIApplication", limits: Limits, max_body_bytes: Mapping[str, int], connections: Connections
    ) -> None:
        """Take an app, what its requests may take, and the longest body of each path that takes one.

        What is longer the app has to refuse unread, as it does what it does not know. `connections` hear whose
        requests are being answered.
        """
        self._app = app
        self._connections = connections
        self._limits = limits
        self._max_body_bytes = max_body_bytes

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the event loop, before the first request."""
        self._loop = loop
        self._fibers = Fibers(loop)
        self._streams = Streams(loop, self._fibers)
        self._threads = ThreadPoolExecutor(_THREADS, "large-body")
        self._large_bytes = 0
        limits = self._limits
        self._bodies = Bodies(loop, limits.body_seconds, limits.body_budget_bytes, limits.requests)

    def end_streams(self) -> None:
        """End the answers that last: the server is about to wait for all."""
        streams: Streams | None = getattr(self, "_streams", None)
        # Told to end before the event loop was there.
        if streams is not None:
            streams.end()
        self._connections.leave()

    async def __call__(self, scope: "Scope", protocol: "HTTPProtocol") -> None:
        """Answer a request."""
        client = scope.client
        busy = self._connections.busy
        busy.add(client)
        try:
            answer = await self._answered(scope, protocol, client)
            if isinstance(answer, Parts):
                await self._streams.send(answer, protocol)
            else:
                protocol.response_bytes(*answer)
        finally:
            busy.discard(client)

    async def _answered(self, scope: "Scope", protocol: "HTTPProtocol", client: str) -> "Answer | Parts":
        variables = environ(scope)
        if variables[HEADER_BYTES] > _USUAL_HEADER_BYTES and (refusal := _refusal(variables)):
            return refusal
        size = length(variables)
        unwanted = False
        if 0 < size <= self._max_body_bytes.get(variables["PATH_INFO"], 0):
            variables["wsgi.input"] = body = await self._bodies.receive(protocol, size)
            unwanted = isinstance(body, NotReceived)
        try:
            if isinstance(variables["wsgi.input"], LargeBody):
                answer = await self._answered_in_a_thread(variables, size)
            else:
                answer = await self._fibers.run(self._answer, variables)
        except Exception:
            # Flask answers errors of handlers by itself: this is one of its own.
            _log.exception("no answer")
            return _SERVER_ERROR
        finally:
            if unwanted:
                # Not before: the time that its answer has to go out begins here.
                self._connections.condemn(client)
        if PROVEN in variables:
            self._connections.prove(client)
        return answer

    async def _answered_in_a_thread(self, variables: "WSGIEnvironment", size: int) -> "Answer | Parts":
        """Answer a request with a large body: only to hash it takes longer than others should have to wait."""
        if self._large_bytes + size > self._limits.body_budget_bytes:
            # Nobody knows yet whether its sender is proven, and what waits for a thread is held, too.
            variables["wsgi.input"] = NotReceived(ServiceUnavailable())
            return await self._fibers.run(self._answer, variables)
        self._large_bytes += size
        try:
            return await self._loop.run_in_executor(self._threads, self._answer, variables)
        finally:
            self._large_bytes -= size

    def _answer(self, variables: "WSGIEnvironment") -> "Answer | Parts":
        head: list[Any] = []
        if isinstance(body := variables["wsgi.input"], LargeBody):
            variables["wsgi.input"] = body.joined()

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            head[:] = int(status[:3]), headers

        chunks = self._app(variables, start_response)
        if STREAM in variables:
            return Parts(head[0], head[1], chunks)
        try:
            body = b"".join(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()
        return head[0], head[1], body


def environ(scope: "Scope") -> "WSGIEnvironment":
    """Return a request's WSGI variables, without its body.

    A header whose name has an underscore is left out: it would pass for the one with a dash. Values of
    one that is sent several times are joined by commas.
    """
    variables: WSGIEnvironment = {
        **_CONSTANT,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _latin1(scope.path),
        "QUERY_STRING": _latin1(scope.query_string),
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        # Without the brackets of IPv6: else the address is none, and each of a network would count by itself.
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
    }
    variables["SERVER_NAME"], _, variables["SERVER_PORT"] = scope.server.rpartition(":")
    headers = scope.headers
    size = len(scope.path) + len(scope.query_string)
    told = 0
    for header, value in headers.items():
        size += len(header) + len(value) + 4
        name = _variable(header)
        if name in variables:
            variables[name] += f",{value}"
        elif name:
            variables[name] = value
        told += 1
    variables[HEADER_BYTES] = size
    if told < len(cast("Sized", headers)):
        # Of a header that is sent several times the readable values are given, and it is not among these.
        variables[UNREADABLE] = frozenset(headers.keys()) - {header for header, _ in headers.items()}
    return variables


def _refusal(variables: "WSGIEnvironment") -> Answer | None:
    """Return the answer to a request whose head would cost too much to read."""
    if variables[HEADER_BYTES] > MAX_HEADER_BYTES:
        return _HEADERS_TOO_LARGE
    if any(len(variables.get(name, "")) > longest for name, longest in LONGEST.items()):
        return _HEADERS_TOO_LARGE
    return _QUERY_TOO_LONG if variables["QUERY_STRING"].count("&") >= MAX_QUERY_FIELDS else None


def length(variables: "WSGIEnvironment") -> int:
    """Return the length of a request's body in bytes; 0 where it does not say or has none."""
    text = variables.get("CONTENT_LENGTH", "")
    return int(text) if text.isdecimal() else 0


@functools.lru_cache(maxsize=1024)
def _variable(header: str) -> str:
    """Return the variable of a header; empty for one that gets none."""
    if "_" in header:
        return ""
    name = header.upper().replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"


def _latin1(text: str) -> str:
    """Return text as WSGI has it: its bytes, each as one character."""
    return text if text.isascii() else text.encode().decode("latin-1")
