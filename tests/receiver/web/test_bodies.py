import asyncio

import pytest
from receiver_support import run_loop
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

from receiver.web.bodies import WHOLE_BYTES, Bodies, LargeBody, NotReceived


class Sender:
    """A protocol whose body comes as the test lets it."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self._parts = list(parts)
        self._ends = ends

    async def __call__(self) -> bytes:
        if not self._ends:
            await asyncio.Future()
        return b"".join(self._parts)

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        if self._parts:
            return self._parts.pop(0)
        if self._ends:
            raise StopAsyncIteration
        return await asyncio.Future()


def within(test, **limits):
    """Run a test with bodies that have limits."""

    async def main() -> None:
        chosen = {"seconds": 60.0, "most_bytes": 1_000_000, "most_requests": 100} | limits
        bodies = Bodies(asyncio.get_running_loop(), **chosen)
        await test(bodies)
        assert (bodies.held, bodies._coming) == (0, {})

    run_loop(main)


def whole(body) -> bytes:
    return (body.joined() if isinstance(body, LargeBody) else body).read()


def reason(body) -> type:
    assert isinstance(body, NotReceived)
    with pytest.raises(Exception) as raised:
        body.read(1)
    return raised.type


async def begin(bodies: Bodies, sender: Sender, length: int):
    task = asyncio.ensure_future(bodies.receive(sender, length))
    for _ in range(50):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("length", [3, WHOLE_BYTES + 3])
def test_a_body_is_received_whole(length):
    async def test(bodies: Bodies) -> None:
        data = b"x" * (length - 3)
        body = await bodies.receive(Sender(data, b"abc"), length)
        # What is large is put together elsewhere.
        assert isinstance(body, LargeBody) is (length > WHOLE_BYTES)
        assert whole(body) == data + b"abc"
        assert not isinstance(body, LargeBody) or not body

    within(test)


@pytest.mark.parametrize("length", [3, WHOLE_BYTES + 3])
def test_a_body_that_takes_too_long_is_given_up(length):
    async def test(bodies: Bodies) -> None:
        assert reason(await bodies.receive(Sender(b"x", ends=False), length)) is RequestTimeout

    within(test, seconds=0.01)


def test_who_has_sent_most_gives_way_and_not_who_comes_last():
    async def test(bodies: Bodies) -> None:
        huge = 10 * WHOLE_BYTES
        large = await begin(bodies, Sender(b"x" * 600_000, ends=False), huge)
        larger = await begin(bodies, Sender(b"x" * 390_000, ends=False), huge)
        last = await bodies.receive(Sender(b"x" * 20_000), 20_000)

        assert last.read(1) == b"x"
        assert reason(await large) is ServiceUnavailable
        assert not larger.done()
        larger.cancel()
        await larger

    within(test)


def test_a_body_that_is_more_than_the_budget_itself_is_given_up():
    async def test(bodies: Bodies) -> None:
        body = await bodies.receive(Sender(*[b"x" * 100_000] * 11), 1_100_000)
        assert reason(body) is ServiceUnavailable
        # And nothing of it is left to the task that received it.
        await asyncio.sleep(0)

    within(test)


def test_what_is_only_announced_costs_others_nothing():
    async def test(bodies: Bodies) -> None:
        announced = [await begin(bodies, Sender(b"x", ends=False), 900_000) for _ in range(50)]
        assert bodies.held == 50
        assert whole(await bodies.receive(Sender(b"x" * 900_000), 900_000)) == b"x" * 900_000
        assert not any(task.done() for task in announced)
        for task in announced:
            task.cancel()
            await task

    within(test)


def test_of_too_many_the_one_that_began_first_gives_way():
    async def test(bodies: Bodies) -> None:
        slow = [await begin(bodies, Sender(b"x", ends=False), 2) for _ in range(10)]
        assert whole(await bodies.receive(Sender(b"ab"), 2)) == b"ab"
        assert reason(await slow[0]) is ServiceUnavailable
        assert not any(task.done() for task in slow[1:])
        for task in slow[1:]:
            task.cancel()
            await task

    within(test, most_requests=10)
