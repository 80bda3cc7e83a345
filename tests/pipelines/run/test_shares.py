"""Shares of an archive: their sizes, and that processes take them in turns."""

import os
import signal
import threading
import time
import uuid
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from pipelines.io.archive_segments import Group
from pipelines.run import shares

pytestmark = pytest.mark.thorough

MB = 1024 * 1024
MANY: list[shares.Share] = [[Group(("a.avro",), 1)]] * 1_000


def groups(*sizes: int) -> list[Group]:
    return [Group((f"{n}.avro",), size) for n, size in enumerate(sizes)]


def names(share: shares.Share) -> list[str]:
    return [name for group in share for name in group.segments]


@pytest.mark.parametrize(
    ("count", "size", "most", "processes"),
    [(6, 20 * MB, 8, 3), (6, 20 * MB, 2, 2), (1, 200 * MB, 8, 1), (100, MB // 4, 8, 1), (2, 500 * MB, 8, 2)],
)
def test_only_what_is_worth_it_is_given_a_process_of_its_own(count, size, most, processes):
    assert shares.processes_worth(groups(*[size] * count), most) == processes


def test_shares_become_smaller_and_hold_every_group_once():
    all_groups = groups(*[8 * MB] * 60)

    divided = shares.divide(all_groups, 2)

    sizes = [sum(group.size for group in share) for share in divided]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] < sum(sizes) / 2
    assert sizes[-1] <= shares.SMALLEST_SHARE
    assert sorted(name for share in divided for name in names(share)) == sorted(names(all_groups))


def test_the_largest_segment_is_taken_first():
    divided = shares.divide(groups(8 * MB, 300 * MB, 8 * MB), 2)

    assert names(divided[0]) == ["1.avro"]


def test_processes_take_shares_in_turns(tmp_path: Path):
    divided = [groups(1) for _ in range(9)]

    done = shares.work_through(divided, 2, partial(_meet, folder=tmp_path))

    assert len(done) == 9
    assert len(set(done)) == 2


class Shared:
    """A count that another looks at just when it has been read, unless a lock keeps it away."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._value = 0
        self.other: threading.Thread | None = None

    def get_lock(self) -> threading.RLock:  # type: ignore[valid-type]
        return self._lock

    @property
    def value(self) -> int:
        read, other, self.other = self._value, self.other, None
        if other is not None:
            other.start()
            other.join(0.2)
        return read

    @value.setter
    def value(self, value: int) -> None:
        self._value = value


def test_no_share_is_taken_by_two_processes():
    turns, shared = shares._Turns(get_context("spawn"), 10), Shared()
    turns._taken = shared
    taken: list[int] = []
    other = shared.other = threading.Thread(target=lambda: taken.append(turns._take()))
    taken.append(turns._take())
    other.join()

    assert sorted(taken) == [0, 1]


@pytest.mark.parametrize("fails_here", [True, False])
def test_after_a_failure_no_process_takes_another_share(tmp_path: Path, fails_here: bool):
    work = partial(_fail, here=fails_here, main=os.getpid(), folder=tmp_path)

    with pytest.raises(RuntimeError, match="no more"):
        shares.work_through(MANY, 2, work)

    assert len(list(tmp_path.iterdir())) < len(MANY)


def test_a_killed_process_is_told_and_ends_the_others(tmp_path: Path):
    with pytest.raises(BrokenProcessPool):
        shares.work_through(MANY, 2, partial(_die, main=os.getpid(), folder=tmp_path))

    assert len(list(tmp_path.iterdir())) < len(MANY)


# What processes do: functions that can be pickled. Each share leaves a file.


def _meet(_: shares.Share, folder: Path) -> int:
    """Wait until another process has taken a share, too, and tell which process this is."""
    (folder / f"{os.getpid()}-{uuid.uuid4()}").touch()
    while len({path.name.partition("-")[0] for path in folder.iterdir()}) < 2:
        time.sleep(0.001)
    return os.getpid()


def _fail(share: shares.Share, here: bool, main: int, folder: Path) -> None:
    _meet(share, folder)
    if (os.getpid() == main) == here:
        raise RuntimeError("no more")
    _take_a_while()


def _die(share: shares.Share, main: int, folder: Path) -> None:
    _meet(share, folder)
    if os.getpid() != main:
        os.kill(os.getpid(), signal.SIGKILL)
    _take_a_while()


def _take_a_while() -> None:
    """Be work of some length: without a failure, all shares would take ten seconds."""
    time.sleep(0.01)
