"""Parts of a stack end when they are told to, and whoever waits for them hears why they did not start."""

import os
from pathlib import Path

import click
import pytest

from pipelines.local import ready
from pipelines.local.processes import Processes

PATIENCE = 30.0


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(path: Path) -> int:
    """Wait for a process that writes its id into a file."""
    ready.wait_for("the process", lambda: path.exists() and path.read_text().endswith("\n"), PATIENCE)
    return int(path.read_text())


def test_a_part_may_finish_what_it_is_about_before_it_ends(tmp_path: Path):
    pid, done = tmp_path / "pid", tmp_path / "done"
    with Processes(tmp_path / "log") as processes:
        processes.start(
            "part", f"trap 'echo stored > {done}; exit' TERM; echo $$ > {pid}; while :; do sleep 0.05; done"
        )
        started(pid)

        processes.stop("part")

        assert done.read_text() == "stored\n"
        assert not runs(int(pid.read_text()))


def test_everything_has_ended_when_the_block_has(tmp_path: Path):
    pids = [tmp_path / "first", tmp_path / "second"]
    with Processes(tmp_path / "log") as processes:
        for pid in pids:
            processes.start(pid.name, f"sh -c 'echo $$ > {pid}; exec sleep 600' & wait")
        found = [started(pid) for pid in pids]

    ready.wait_for("the end of both", lambda: not any(map(runs, found)), PATIENCE)


def test_a_part_that_ends_by_itself_is_told_with_what_it_printed(tmp_path: Path):
    with Processes(tmp_path / "log") as processes:
        processes.start("part", "echo no disk left >&2; exit 3")

        def broken() -> bool:
            try:
                processes.check()
            except click.ClickException:
                return True
            return False

        ready.wait_for("its end", broken, PATIENCE)
        with pytest.raises(click.ClickException, match="part ended with 3:\nno disk left"):
            processes.check()
