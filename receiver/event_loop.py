"""How a request waits: on an event loop it lets others go on, anywhere else it holds its thread.

Handlers are plain functions, as Flask's are, and wait where they must. Those that `Fibers` runs run in
greenlets, which a wait leaves and enters again, so that thousands of requests can wait for their commit
in one thread. A thread for each would cost more than all else that is done for a request: threads that
wake together queue for the interpreter.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")


class Waiter(Protocol):
    """One wait, which another thread ends."""

    def wait(self, seconds: float) -> bool:
        """Wait until `release` is called; False where it is not called in time."""
        ...

    def release(self) -> None:
        """Let the one who waits go on; may be called once, by any thread."""
        ...


def waiter() -> Waiter:
    """Return a wait for whoever calls this."""
    fiber = getcurrent()
    return _LoopWaiter(fiber.fibers) if isinstance(fiber, _Fiber) else _ThreadWaiter()


def in_thread(call: Callable[[], T]) -> T:
    """Call what may block for long, like a disk or foreign code, without holding up an event loop."""
    if not isinstance(getcurrent(), _Fiber):
        return call()
    result: T = _give_way(asyncio.to_thread(call))
    return result


class Fibers:
    """Runs calls on an event loop, and lets others go on whenever one of them waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # Kept to be used again: the first steps of a greenlet cost as much as a third of a request.
        self._idle: list[_Fiber] = []
        self._released: deque[asyncio.Future[bool]] = deque()
        self._waking = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns, or raise what it raises."""
        fiber = self._idle.pop() if self._idle else _Fiber(self)
        step = fiber.start(call, args, kwargs)
        while not fiber.done:
            try:
                result = await step
            except BaseException as error:
                step = fiber.throw(error)
            else:
                step = fiber.switch(result)
        self._idle.append(fiber)
        return fiber.result()  # type: ignore[no-any-return]

    def release(self, future: asyncio.Future[bool]) -> None:
        """Let a future be done as soon as the loop comes to it; may be called by any thread."""
        self._released.append(future)
        if not self._waking:
            self._waking = True
            # A loop that has ended has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        # In this order: who comes from here on, wakes again.
        self._waking = False
        while self._released:
            settle(self._released.popleft(), True)


class _Fiber(greenlet):
    """A greenlet that runs one call after the other."""

    def __init__(self, fibers: Fibers) -> None:
        super().__init__()
        self.fibers = fibers
        self.done = True
        self._returned: Any = None
        self._raised: BaseException | None = None

    def start(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a call to its end or to its first wait, and return what it waits for."""
        self.done = False
        return self.switch(call, args, kwargs)

    def run(self, call: Callable[..., Any], args: Any, kwargs: Any) -> None:
        while True:
            self._returned = self._raised = None
            try:
                self._returned = call(*args, **kwargs)
            except GreenletExit:
                # Nobody waits for it any more.
                raise
            except BaseException as error:
                self._raised = error
            self.done = True
            call, args, kwargs = _give_way(None)

    def result(self) -> Any:
        """Return what the last call returned, or raise what it raised."""
        raised, returned = self._raised, self._returned
        self._returned = self._raised = None
        if raised is not None:
            raise raised
        return returned


class _LoopWaiter:
    """A wait of a fiber."""

    __slots__ = ("_fibers", "_future")

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._future: asyncio.Future[bool] = fibers.loop.create_future()

    def wait(self, seconds: float) -> bool:
        too_late = self._fibers.loop.call_later(seconds, settle, self._future, False)
        try:
            return bool(_give_way(self._future))
        finally:
            too_late.cancel()

    def release(self) -> None:
        self._fibers.release(self._future)


class _ThreadWaiter:
    """A wait of a thread."""

    __slots__ = ("_released",)

    def __init__(self) -> None:
        # A bare lock: threading.Event costs several times as much.
        self._released = threading.Lock()
        self._released.acquire()

    def wait(self, seconds: float) -> bool:
        return self._released.acquire(timeout=seconds)

    def release(self) -> None:
        self._released.release()


def settle(future: asyncio.Future[bool], result: bool) -> None:
    """Give a future its result, unless it has one."""
    if not future.done():
        future.set_result(result)


def _give_way(awaitable: Awaitable[Any] | None) -> Any:
    return getcurrent().parent.switch(awaitable)
