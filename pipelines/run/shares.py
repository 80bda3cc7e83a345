"""Divides an archive among processes, each of which takes the next group when it is done with one."""

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path
from typing import TypeVar

from pipelines.io.archive_segments import Group
from pipelines.io.archive_share import Share
from pipelines.run.logs import quiet_beam

WORTH_A_SPAWN = 32 * 1024 * 1024
"""Bytes of archive for each process that imports Beam anew: with less, it takes as long to start as it saves."""
WORTH_A_FORK = 8 * 1024 * 1024
"""Bytes of archive for each process that is forked, which starts at once."""

T = TypeVar("T")


def processes_worth(groups: Sequence[Group], most: int) -> int:
    """Return how many processes it takes to read groups soonest."""
    worth = WORTH_A_FORK if may_fork() else WORTH_A_SPAWN
    return max(1, min(most, sum(group.size for group in groups) // worth, len(groups)))


def may_fork() -> bool:
    """Return whether a forked process would be as sound as one that is spawned: here is nothing but this thread.

    What another thread has locked at a fork stays locked in the new process for ever. gRPC's threads are such;
    those of NumPy and of Arrow's allocator are there from the import on, and both see to forks themselves. On
    macOS nobody forks without danger: the system's own libraries have threads.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    tasks = Path("/proc/self/task")
    try:
        own = (tasks / str(os.getpid()) / "comm").read_text()
        return {(task / "comm").read_text() for task in tasks.iterdir()} <= {own, "jemalloc_bg_thd\n"}
    except OSError:
        return False  # A thread that has just ended, or no /proc: who knows what else there is.


def work_through(
    groups: Sequence[Group],
    processes: int,
    work: Callable[[Share], T],
    meanwhile: AbstractContextManager[object] | None = None,
) -> list[T]:
    """Do some work for shares of groups, in this process and in others; return what each gave, in no order.

    The work must be a function that can be pickled, and takes its share as it goes along. After a failure nobody
    takes another group; the other processes end with this one. `meanwhile` is entered when they have started: it
    may start threads, which a fork would not survive.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a process was killed.
        Exception: whatever the work raises.
    """
    # The largest first: a segment may be more than all the rest, and with small ones at last all end together.
    groups = sorted(groups, key=lambda group: group.size, reverse=True)
    if processes == 1:
        with meanwhile or nullcontext():
            return _work(groups, work, range(len(groups)))
    context: ForkContext | SpawnContext = get_context("fork") if may_fork() else get_context("spawn")
    turns = _Turns(context, len(groups))
    others = ProcessPoolExecutor(processes - 1, context, _join, (turns,))
    with warnings.catch_warnings():
        # From Python 3.12 on each fork beside threads warns, whosever they are: may_fork has looked at them.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        running = [others.submit(_work_in_turns, groups, work) for _ in range(processes - 1)]
    for each in running:
        # Also where a process was killed, which could not say so itself.
        each.add_done_callback(lambda ended: turns.end() if ended.exception() else None)
    try:
        with meanwhile or nullcontext():
            done = _in_turns(groups, work, turns)
            done += [one for each in running for one in each.result()]
    except BaseException:
        # What the others have begun they do to its end, and nobody is to be surprised by it.
        others.shutdown()
        raise
    # They have nothing left to do, but take half a second to end.
    others.shutdown(wait=False)
    return done


class _Turns:
    """Counts the groups that are taken, for all processes."""

    def __init__(self, context: ForkContext | SpawnContext, count: int) -> None:
        self._taken = context.Value("l", 0)
        self._count = count

    def __iter__(self) -> Iterator[int]:
        while (turn := self._take()) < self._count:
            yield turn

    def _take(self) -> int:
        with self._taken.get_lock():
            turn: int = self._taken.value
            self._taken.value = turn + 1
        return turn

    def end(self) -> None:
        """Let nobody take another group."""
        with self._taken.get_lock():
            self._taken.value = self._count


_turns: _Turns
"""Of the processes that were started: it travels only when a process starts."""


def _join(turns: _Turns) -> None:
    global _turns  # noqa: PLW0603
    _turns = turns
    quiet_beam()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End where the process that started this one was killed, and could tell nobody."""
    if parent := parent_process():
        connection.wait([parent.sentinel])
        os._exit(1)


def _work_in_turns(groups: Sequence[Group], work: Callable[[Share], T]) -> list[T]:
    return _in_turns(groups, work, _turns)


def _in_turns(groups: Sequence[Group], work: Callable[[Share], T], turns: _Turns) -> list[T]:
    try:
        return _work(groups, work, turns)
    except BaseException:
        turns.end()
        raise


def _work(groups: Sequence[Group], work: Callable[[Share], T], turns: Iterable[int]) -> list[T]:
    left = (groups[turn] for turn in turns)
    # Each share takes of the same: when it has enough, the next begins with what is left.
    return [work(Share(first, left)) for first in left]
