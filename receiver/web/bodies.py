"""Receives the bodies of a worker's requests within a budget: who holds most of it, or waits longest, gives way.

Nobody is proven while a body comes. So neither the number of those who send slowly nor what they have sent may
keep out others: what is over the budget is given up, first that which takes most of it.
"""

import asyncio
import io
from typing import TYPE_CHECKING, Any, Final, cast

from granian.rsgi import ProtocolClosed
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout, ServiceUnavailable

if TYPE_CHECKING:
    from granian.rsgi import HTTPProtocol

WHOLE_BYTES: Final = 64 * 1024
"""Bodies up to here, nearly all, are received at once, and count for their length from the beginning."""


class Bodies:
    """The bodies that come to one worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, most_bytes: int, most_requests: int
    ) -> None:
        """Take how long a body may take, and how many bytes and bodies may be under way."""
        self._loop = loop
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._most_requests = most_requests
        self._coming: dict[_Coming, bool] = {}
        self.held = 0
        """Bytes that are held of bodies that are not whole yet."""

    async def receive(self, protocol: "HTTPProtocol", length: int) -> "io.BytesIO | LargeBody | NotReceived":
        """Return a request's body, in parts if it is large, or what tells the app why there is none."""
        coming = _Coming(cast("asyncio.Task[None]", asyncio.current_task()))
        # asyncio.timeout costs ten times as much.
        too_late = self._loop.call_later(self._seconds, coming.give_up, RequestTimeout)
        self._coming[coming] = True
        try:
            if length <= WHOLE_BYTES:
                self._hold(coming, length)
                return io.BytesIO(await protocol())
            return await self._receive_in_parts(protocol, coming)
        except asyncio.CancelledError:
            return NotReceived(coming.why())
        except ProtocolClosed:
            return NotReceived(ClientDisconnected())
        finally:
            too_late.cancel()
            self._forget(coming)

    async def _receive_in_parts(self, protocol: "HTTPProtocol", coming: "_Coming") -> "LargeBody":
        # What is announced costs the sender nothing, so only what has come counts.
        parts = LargeBody()
        async for part in protocol:
            parts.append(part)
            self._hold(coming, len(part))
        return parts

    def _hold(self, coming: "_Coming", more: int) -> None:
        """Count what is held, and let others go where it is too much.

        Raises:
            asyncio.CancelledError: it is this body that has to go.
        """
        coming.held += more
        self.held += more
        if len(self._coming) > self._most_requests:
            self._dismiss(next(iter(self._coming)))
        while self.held > self._most_bytes:
            largest = max(self._coming, key=lambda each: each.held)
            if not largest.held:
                break
            if largest is coming:
                coming.why = ServiceUnavailable
                raise asyncio.CancelledError
            self._dismiss(largest)

    def _dismiss(self, coming: "_Coming") -> None:
        # At once: its task only ends when the loop comes to it, and others may be counted before.
        self._forget(coming)
        coming.give_up(ServiceUnavailable)

    def _forget(self, coming: "_Coming") -> None:
        if self._coming.pop(coming, False):
            self.held -= coming.held
            coming.held = 0


class LargeBody(list[bytes]):
    """A large body, as it came: to put it together takes longer than an event loop should be held up."""

    def joined(self) -> io.BytesIO:
        """Return the body as a whole; the parts are gone."""
        whole = io.BytesIO(b"".join(self))
        self.clear()
        return whole


class _Coming:
    """A body that is under way."""

    __slots__ = ("_task", "held", "why")

    def __init__(self, task: "asyncio.Task[None]") -> None:
        self._task = task
        self.held = 0
        self.why: type[HTTPException] = RequestTimeout

    def give_up(self, why: type[HTTPException]) -> None:
        self.why = why
        self._task.cancel()


class NotReceived(io.RawIOBase):
    """A body that did not come: the answer to a request is why, as soon as the app reads it."""

    def __init__(self, why: HTTPException) -> None:
        self._why = why

    def readinto(self, buffer: Any) -> int:
        """Refuse.

        Raises:
            HTTPException: always.
        """
        raise self._why
