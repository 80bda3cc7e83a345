"""Divides an archive among processes, each of which takes the next share when it is done with one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.context import SpawnContext
from typing import TypeVar

from pipelines.io.archive_segments import Group
from pipelines.run.logs import quiet_beam

WORTH_A_PROCESS = 32 * 1024 * 1024
"""Bytes of archive for each process: with less, it takes as long to start as it saves."""
SMALLEST_SHARE = 8 * 1024 * 1024
"""Bytes of archive: a second of work, beside which a pipeline's own tenth of a second is little."""
LARGEST_SHARE = 64 * 1024 * 1024
"""Bytes of archive: what is made once more, in each process, where a run is killed and goes on."""
_OF_AN_EQUAL_SHARE = 0.8

Share = Sequence[Group]
T = TypeVar("T")


def processes_worth(groups: Sequence[Group], most: int) -> int:
    """Return how many processes it takes to read groups soonest."""
    return max(1, min(most, sum(group.size for group in groups) // WORTH_A_PROCESS, len(groups)))


def divide(groups: Sequence[Group], processes: int) -> list[Share]:
    """Divide groups into shares, in the order in which processes are to take them.

    A process may start late, or have the slower events: so each share is less than what is left, divided
    equally, and the last ones are small, for all to end together.
    """
    left = sum(group.size for group in groups)
    shares: list[list[Group]] = []
    size, enough = 0, 0.0
    # The largest first: one segment may be more than a share.
    for group in sorted(groups, key=lambda group: group.size, reverse=True):
        if size >= enough:
            shares.append([])
            size = 0
            enough = min(LARGEST_SHARE, max(SMALLEST_SHARE, _OF_AN_EQUAL_SHARE * left / processes))
        shares[-1].append(group)
        size += group.size
        left -= group.size
    return list(shares)


def work_through(shares: Sequence[Share], processes: int, work: Callable[[Share], T]) -> list[T]:
    """Do some work for every share, in this process and in others; return what each gave, in no order.

    The work must be a function that can be pickled. After a failure no other share is begun.

    Raises:
        concurrent.futures.process.BrokenProcessPool: a process was killed.
        Exception: whatever the work raises.
    """
    # Spawned, not forked: this process may have threads of gRPC, which do not survive a fork.
    context = get_context("spawn")
    turns = _Turns(context, len(shares))
    others = ProcessPoolExecutor(processes - 1, context, _join, (turns,))
    running = [others.submit(_work_in_turns, shares, work) for _ in range(processes - 1)]
    for each in running:
        # Also where a process was killed, which could not say so itself.
        each.add_done_callback(lambda ended: turns.end() if ended.exception() else None)
    try:
        done = _work(shares, work, turns)
        done += [one for each in running for one in each.result()]
    except BaseException:
        # What the others have begun they do to its end, and nobody is to be surprised by it.
        others.shutdown()
        raise
    # They have nothing left to do, but take half a second to end.
    others.shutdown(wait=False)
    return done


class _Turns:
    """Counts the shares that are taken, for all processes."""

    def __init__(self, context: SpawnContext, count: int) -> None:
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
        """Let nobody take another share."""
        with self._taken.get_lock():
            self._taken.value = self._count


_turns: _Turns
"""Of the processes that were started: it travels only when a process starts."""


def _join(turns: _Turns) -> None:
    global _turns  # noqa: PLW0603
    _turns = turns
    quiet_beam()


def _work_in_turns(shares: Sequence[Share], work: Callable[[Share], T]) -> list[T]:
    return _work(shares, work, _turns)


def _work(shares: Sequence[Share], work: Callable[[Share], T], turns: _Turns) -> list[T]:
    try:
        return [work(shares[turn]) for turn in turns]
    except BaseException:
        turns.end()
        raise
