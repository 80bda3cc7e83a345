"""Answers that last: sent part by part, each made in a fiber, until they end, their client leaves or we do."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from granian.rsgi import ProtocolClosed

from receiver.event_loop import Fibers

if TYPE_CHECKING:
    from granian.rsgi import HTTPProtocol

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_END: Final = b""
_log = logging.getLogger(__name__)


class Parts(NamedTuple):
    """An answer that is not whole yet."""

    status: int
    headers: list[tuple[str, str]]
    chunks: Iterable[bytes]


class Streams:
    """The answers of one worker that last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fibers: Fibers) -> None:
        self._loop = loop
        self._fibers = fibers
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._ended = False

    async def send(self, answer: Parts, protocol: "HTTPProtocol") -> None:
        """Send an answer's parts as they come."""
        chunks = iter(answer.chunks)
        gone = asyncio.ensure_future(protocol.client_disconnect())
        try:
            transport = protocol.response_stream(answer.status, answer.headers)
            while not gone.done() and (chunk := await self._next(chunks, gone)):
                await transport.send_bytes(chunk)
        except ProtocolClosed:
            # Whoever asked has left.
            pass
        finally:
            gone.cancel()
            if close := getattr(answer.chunks, "close", None):
                await self._fibers.run(close)

    def end(self) -> None:
        """End all that last, and let none begin any more: a server that shuts down waits for each."""
        self._ended = True
        for task in self._tasks:
            task.cancel()

    async def _next(self, chunks: Iterator[bytes], gone: "asyncio.Future[None]") -> bytes:
        """Return the next part; an empty one where there is none, the client has left, or we leave."""
        if self._ended:
            return _END
        task = self._loop.create_task(self._fibers.run(_part, chunks))
        self._tasks.add(task)
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await task
            return _END
        except Exception:
            # What was sent cannot be taken back: it ends here.
            _log.exception("an answer ends too early")
            return _END
        finally:
            self._tasks.discard(task)


def _part(chunks: Iterator[bytes]) -> bytes:
    """Return the next part that is not empty, or an empty one at the end."""
    return next(filter(None, chunks), _END)


def before_signals(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Act before what the server itself does when it is told to end.

    It waits for all answers, and tells nobody: so whoever comes to handle these signals on the loop is preceded.
    """
    add = loop.add_signal_handler

    def preceded(number: int, callback: Callable[..., Any], *args: Any) -> None:
        def both() -> None:
            try:
                act()
            finally:
                callback(*args)

        add(number, both if number in _SIGNALS else callback, *(() if number in _SIGNALS else args))

    # uvloop's, like asyncio's, is an ordinary object.
    loop.add_signal_handler = preceded  # type: ignore[method-assign,assignment]
