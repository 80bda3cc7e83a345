"""Shares of an archive: their sizes, and that processes take groups in turns."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from pipelines.io import archive_share
from pipelines.io.archive_segments import Group
from pipelines.io.archive_share import Share
from pipelines.run import shares

pytestmark = pytest.mark.thorough

MB = 1024 * 1024
MANY = [Group(("a.avro",), 1)] * 1_000


def groups(*sizes: int) -> list[Group]:
    return [Group((f"{n}.avro",), size) for n, size in enumerate(sizes)]


def wait_until(reached: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("count", "size", "most", "forked", "spawned"),
    [
        (6, 20 * MB, 8, 6, 3),
        (6, 20 * MB, 2, 2, 2),
        (7, 8 * MB, 2, 2, 1),
        (1, 200 * MB, 8, 1, 1),
        (60, MB // 4, 8, 1, 1),
        (2, 500 * MB, 8, 2, 2),
    ],
)
def test_only_what_is_worth_it_is_given_a_process_of_its_own(monkeypatch, count, size, most, forked, spawned):
    archive = groups(*[size] * count)

    monkeypatch.setattr(shares, "may_fork", lambda: True)
    assert shares.processes_worth(archive, most) == forked
    monkeypatch.setattr(shares, "may_fork", lambda: False)
    assert shares.processes_worth(archive, most) == spawned


def test_shares_are_bounded_and_hold_every_group_once():
    all_groups = groups(*[8 * MB] * 60, 1)

    read = shares.work_through(all_groups, 1, list)

    sizes = [sum(group.size for group in share) for share in read]
    assert sizes == [archive_share.LARGEST_SHARE] * 7 + [4 * 8 * MB + 1]
    assert [group for share in read for group in share] == all_groups


def test_the_largest_segment_is_taken_first():
    read = shares.work_through(groups(8 * MB, 300 * MB, 9 * MB), 1, list)

    assert [[group.size // MB for group in share] for share in read] == [[300], [9, 8]]


def test_nothing_is_done_where_there_is_nothing():
    assert shares.work_through([], 1, list) == []


def test_processes_take_groups_in_turns(tmp_path: Path):
    archive = groups(*[1] * 9)

    done = shares.work_through(archive, 2, partial(_meet, folder=tmp_path))

    assert len({process for process, _ in done}) == len(done) == 2
    assert sorted(name for _, names in done for name in names) == [f"{n}.avro" for n in range(9)]
    assert all(names for _, names in done)


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


def test_no_group_is_taken_by_two_processes():
    turns, shared = shares._Turns(get_context("spawn"), 10), Shared()
    turns._taken = shared
    taken: list[int] = []
    other = shared.other = threading.Thread(target=lambda: taken.append(turns._take()))
    taken.append(turns._take())
    other.join()

    assert sorted(taken) == [0, 1]


@pytest.mark.parametrize("fails_here", [True, False])
def test_after_a_failure_no_process_takes_another_group(tmp_path: Path, fails_here: bool):
    work = partial(_fail, here=fails_here, main=os.getpid(), folder=tmp_path)

    with pytest.raises(RuntimeError, match="no more"):
        shares.work_through(MANY, 2, work)

    assert len(list(tmp_path.iterdir())) < len(MANY)


def test_a_killed_process_is_told_and_ends_the_others(tmp_path: Path):
    with pytest.raises(BrokenProcessPool):
        shares.work_through(MANY, 2, partial(_die, main=os.getpid(), folder=tmp_path))

    assert len(list(tmp_path.iterdir())) < len(MANY)


def _says(script: str) -> str:
    """Return what a script prints that runs in a process of its own, as a command does."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="nowhere else is there a fork")
@pytest.mark.parametrize(
    ("before", "may"),
    [
        ("", "True"),
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "False"),
        (
            # Once it has been refused, only threads are left that Python does not know of.
            "import grpc, threading, time; channel = grpc.insecure_channel('localhost:1')\n"
            "channel.unary_unary('/a/b').future(b'').exception()\n"
            "while threading.active_count() > 1: time.sleep(0.01)",
            "False",
        ),
    ],
    ids=["nothing", "a thread", "a channel"],
)
def test_a_process_forks_only_where_no_thread_may_hold_a_lock(before: str, may: str):
    assert _says(f"import pipelines.cli, pipelines.run.batch\n{before}\n{_ASKED}") == may


def test_where_threads_cannot_be_counted_nobody_forks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(shares, "Path", lambda _: tmp_path / "no such folder")
    monkeypatch.setattr(threading, "active_count", lambda: 1)

    assert not shares.may_fork()


_ASKED = "from pipelines.run import shares\nimport os\nprint(shares.may_fork(), flush=True)\nos._exit(0)"


def _script(forks: bool, work: str) -> str:
    """Return a script that does some work in two processes more, of one kind: pytest-xdist's have a thread."""
    return (
        "from functools import partial\nfrom pathlib import Path\nfrom pipelines.run import shares\n"
        "from tests.pipelines.run import test_shares as here\n"
        f"shares.may_fork = shares.may_fork if {forks} else lambda: False\n"
        f"assert shares.may_fork() is {forks}\n"
        f"print(len(shares.work_through(here.MANY[:9], 3, {work})))"
    )


FORKED = pytest.param(
    True, marks=pytest.mark.skipif(sys.platform != "linux", reason="nowhere else is there a fork")
)


@pytest.mark.parametrize("forks", [FORKED, False])
def test_processes_of_both_kinds_share_the_work(tmp_path: Path, forks: bool):
    work = f"partial(here._meet, folder=Path({str(tmp_path)!r}))"

    assert int(_says(_script(forks, work))) >= 2


def test_what_is_to_be_done_meanwhile_begins_when_the_processes_have_started(tmp_path: Path):
    entered: list[str] = []
    before = multiprocessing.active_children()

    @contextlib.contextmanager
    def meanwhile() -> Iterator[None]:
        entered.append(f"{len(set(multiprocessing.active_children()).difference(before))} other")
        yield
        entered.append("done")

    shares.work_through(groups(*[1] * 9), 2, partial(_meet, folder=tmp_path), meanwhile())

    assert entered == ["1 other", "done"]


@pytest.mark.parametrize("forks", [FORKED, False])
def test_the_other_processes_end_where_this_one_is_killed(tmp_path: Path, forks: bool):
    work = f"partial(here._stay, folder=Path({str(tmp_path)!r}))"
    with subprocess.Popen([sys.executable, "-c", _script(forks, work)]) as main:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 3, seconds=60)
        main.kill()

    others = {int(path.name) for path in tmp_path.iterdir()} - {main.pid}
    wait_until(lambda: not any(_runs(pid) for pid in others), seconds=30)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# What processes do: functions that can be pickled. Each group leaves a file.


def _meet(share: Share, folder: Path) -> tuple[int, list[str]]:
    """Wait at the first group until another process has taken one, too; tell which process took which."""
    for _ in _met(share, folder):
        pass
    return os.getpid(), [name for group in share.taken for name in group.segments]


def _stay(_: Share, folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(300)


def _fail(share: Share, here: bool, main: int, folder: Path) -> None:
    for _ in _met(share, folder):
        if (os.getpid() == main) == here:
            raise RuntimeError("no more")


def _die(share: Share, main: int, folder: Path) -> None:
    for _ in _met(share, folder):
        if os.getpid() != main:
            os.kill(os.getpid(), signal.SIGKILL)


def _met(share: Share, folder: Path) -> Iterator[Group]:
    """Give groups of which each is work of some length: without a failure, all would take ten seconds."""
    for group in share:
        (folder / f"{os.getpid()}-{uuid.uuid4()}").touch()
        while len({path.name.partition("-")[0] for path in folder.iterdir()}) < 2:
            time.sleep(0.001)
        yield group
        time.sleep(0.01)
