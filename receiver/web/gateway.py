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
from typing import TYPE_CHECKING, Any, Final, cast

from granian.rsgi import ProtocolClosed
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout

from receiver.event_loop import Fibers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from granian.rsgi import HTTPProtocol, Scope

_log = logging.getLogger(__name__)

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body."""

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

    def __init__(self, app: "WSGIApplication", max_body_bytes: int, body_seconds: float) -> None:
        """Take an app, and how long a body may be and take: what is longer, the app has to refuse unread."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the event loop, before the first request."""
        self._loop = loop
        self._fibers = Fibers(loop)

    async def __call__(self, scope: "Scope", protocol: "HTTPProtocol") -> None:
        """Answer a request."""
        variables = environ(scope)
        if 0 < length(variables) <= self._max_body_bytes:
            variables["wsgi.input"] = await self._receive(protocol)
        try:
            answer = await self._fibers.run(self._answer, variables)
        except Exception:
            # Flask answers errors of handlers by itself: this is one of its own.
            _log.exception("no answer")
            answer = _SERVER_ERROR
        protocol.response_bytes(*answer)

    async def _receive(self, protocol: "HTTPProtocol") -> "io.BytesIO | _NotReceived":
        """Return a request's body, or what tells the app why there is none."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        # asyncio.timeout costs ten times as much.
        too_late = self._loop.call_later(self._body_seconds, task.cancel)
        try:
            return io.BytesIO(await protocol())
        except asyncio.CancelledError:
            return _NotReceived(RequestTimeout())
        except ProtocolClosed:
            return _NotReceived(ClientDisconnected())
        finally:
            too_late.cancel()

    def _answer(self, variables: "WSGIEnvironment") -> Answer:
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            head[:] = int(status[:3]), headers

        chunks = self._app(variables, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()
        return head[0], head[1], body


class _NotReceived(io.RawIOBase):
    """A body that did not come: the answer to a request is why, as soon as the app reads it."""

    def __init__(self, why: HTTPException) -> None:
        self._why = why

    def readinto(self, buffer: Any) -> int:
        raise self._why


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
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
    }
    variables["SERVER_NAME"], _, variables["SERVER_PORT"] = scope.server.rpartition(":")
    for header, value in scope.headers.items():
        name = _variable(header)
        if name in variables:
            variables[name] += f",{value}"
        elif name:
            variables[name] = value
    return variables


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
