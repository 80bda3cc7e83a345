import asyncio
import contextvars
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from receiver_support import on_a_loop, run_loop

from receiver.event_loop import Fibers, in_thread, waiter


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


def test_a_thread_waits_until_another_releases_it(thread):
    wait = waiter()
    thread.submit(wait.release)
    assert wait.wait(20)


def test_a_thread_waits_no_longer_than_it_is_told():
    assert not waiter().wait(0.01)


def test_thousands_wait_in_one_thread_until_another_releases_them(thread):
    waiting = []
    threads = set()

    def request():
        wait = waiter()
        waiting.append(wait)
        if len(waiting) == 2000:
            thread.submit(lambda: [each.release() for each in waiting])
        released = wait.wait(20)
        threads.add(threading.get_ident())
        return released

    assert on_a_loop(*[request] * 2000) == [True] * 2000
    assert len(threads) == 1


def test_one_who_is_released_before_waiting_does_not_wait(thread):
    def request():
        wait = waiter()
        thread.submit(wait.release).result(20)
        return wait.wait(20)

    assert on_a_loop(request) == [True]


def test_a_wait_ends_in_time_while_others_go_on(thread):
    order = []

    def too_short():
        assert not waiter().wait(0.01)
        order.append("too short")

    def long():
        wait = waiter()
        thread.submit(lambda: too_long.wait(20) and wait.release())
        assert wait.wait(20)
        order.append("long")

    too_long = threading.Event()
    assert on_a_loop(long, lambda: (too_short(), too_long.set())[0]) == [None, None]
    assert order == ["too short", "long"]


def test_a_late_release_is_ignored(thread):
    def request():
        wait = waiter()
        assert not wait.wait(0.001)
        wait.release()
        return waiter().wait(0.01)

    assert on_a_loop(request) == [False]


def test_errors_reach_who_runs_the_call_and_only_those():
    def fail():
        waiter().wait(0.001)
        raise ValueError("x")

    failed, whole = on_a_loop(fail, lambda: waiter().wait(0.001))
    assert isinstance(failed, ValueError)
    assert whole is False


def test_a_fiber_is_used_again_also_after_an_error():
    async def main():
        fibers = Fibers(asyncio.get_running_loop())

        def fail():
            raise ValueError

        with pytest.raises(ValueError):
            await fibers.run(fail)
        assert await fibers.run(lambda: 1) == 1
        return len(fibers._idle)

    assert run_loop(main) == 1


def test_calls_side_by_side_do_not_see_each_others_context():
    current = contextvars.ContextVar("current")

    def request(number):
        token = current.set(number)
        waiter().wait(0.001)
        seen = current.get()
        current.reset(token)
        return seen

    assert on_a_loop(lambda: request(1), lambda: request(2)) == [1, 2]


def test_what_blocks_in_a_thread_holds_up_nobody():
    go_on = threading.Event()

    def blocks():
        return in_thread(lambda: go_on.wait(20)), threading.get_ident()

    def quick():
        go_on.set()
        return threading.get_ident()

    (waited, ident), other = on_a_loop(blocks, quick)
    assert waited
    assert ident == other


def test_without_a_loop_a_call_stays_in_its_thread():
    assert in_thread(threading.get_ident) == threading.get_ident()


def test_errors_of_another_thread_are_raised_here():
    def fail():
        raise OSError("disk")

    def request():
        with pytest.raises(OSError, match="disk"):
            in_thread(fail)
        return "went on"

    assert on_a_loop(request) == ["went on"]


def test_a_release_after_the_end_of_the_loop_is_ignored(thread):
    kept = []

    def request():
        kept.append(waiter())
        return kept[0].wait(20)

    async def main():
        task = asyncio.ensure_future(Fibers(asyncio.get_running_loop()).run(request))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_loop(main)
    kept[0].release()


def test_a_release_just_when_the_loop_has_looked_is_not_lost():
    """Two threads: one lets the loop wake up, the other releases while the loop ends to look."""

    async def main():
        fibers = Fibers(asyncio.get_running_loop())
        first, second = fibers.loop.create_future(), fibers.loop.create_future()

        class Released(deque):
            def __bool__(self) -> bool:
                if not len(self) and not second.done() and not self.late:
                    self.late = True
                    fibers.release(second)
                    # What the loop has seen is what was there before.
                    return False
                return bool(len(self))

            late = False

        fibers._released = Released()
        fibers.release(first)
        assert await first
        assert await asyncio.wait_for(second, 20)

    run_loop(main)
