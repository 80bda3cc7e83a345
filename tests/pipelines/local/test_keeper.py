"""A part of the local stack that dies comes back, with a word why; one that is taken away stays away."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.local import keeper, ready
from pipelines.local.stack import run

PATIENCE = 60.0


class Kept:
    """A keeper with a part that counts how often it was started, in a file."""

    def __init__(self, folder: Path, part: str) -> None:
        self.starts = folder / "starts"
        self.state = folder / "parts" / "pubsub.json"
        self.state.parent.mkdir()
        self.log = folder / "log"
        command = f"echo $$ >> {self.starts}; {part}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.local.keeper", str(self.state), command],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def started(self, times: int) -> int:
        """Wait until the part was started so often; return the latest process."""

        def often_enough() -> bool:
            return self.starts.exists() and self.starts.read_text().count("\n") >= times

        ready.wait_for(f"start number {times}", often_enough, PATIENCE)
        return int(self.starts.read_text().split()[times - 1])

    def close(self) -> None:
        with self.process, contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture
def keep(tmp_path: Path):
    opened = []

    def make(part: str) -> Kept:
        opened.append(Kept(tmp_path, part))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_a_part_that_is_killed_is_started_again_and_the_signal_named(keep):
    kept = keep("exec sleep 600")

    os.kill(kept.started(1), signal.SIGKILL)
    kept.started(2)

    assert "killed by SIGKILL" in kept.log.read_text()


def test_a_part_that_ends_by_itself_is_started_again_later_each_time(keep):
    kept = keep("exit 3")
    kept.started(3)

    said = kept.log.read_text()
    assert "exit code 3" in said
    assert "starts again in 1 s" in said
    assert "starts again in 2 s" in said


def test_the_end_of_the_keeper_is_the_end_of_its_part(keep):
    kept = keep("exec sleep 600")
    kept.started(1)

    kept.process.terminate()

    assert kept.process.wait(PATIENCE) != 0
    assert not keeper.runs(kept.state)
    assert kept.starts.read_text().count("\n") == 1


@pytest.mark.parametrize("told", [keeper.Keeper._end, lambda kept: kept._want(False)])
def test_what_is_told_while_a_part_is_being_started_ends_it(tmp_path: Path, monkeypatch, told):
    kept = keeper.Keeper(tmp_path / "pubsub.json", "exec sleep 30")
    popen = subprocess.Popen

    def start(*given, **settings):
        child = popen(*given, **settings)
        told(kept)
        return child

    monkeypatch.setattr(subprocess, "Popen", start)
    assert kept._run_once() == -signal.SIGTERM


def test_an_outage_lasts_until_it_is_ended(keep, tmp_path: Path):
    kept = keep("exec sleep 600")
    first = kept.started(1)
    stack = ["--folder", str(tmp_path)]

    stopped = CliRunner().invoke(run, [*stack, "stop", "pubsub"])
    assert (stopped.exit_code, stopped.output) == (0, "pubsub is stopped\n")
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    started = CliRunner().invoke(run, [*stack, "start", "pubsub"])
    assert (started.exit_code, started.output) == (0, "pubsub runs\n")
    assert kept.started(2) != first


def test_where_no_stack_runs_none_can_be_told(tmp_path: Path):
    result = CliRunner().invoke(run, ["--folder", str(tmp_path), "stop", "pubsub"])

    assert result.exit_code == 1
    assert "no stack runs in" in result.output


def test_a_second_stack_in_a_folder_is_refused_and_leaves_the_first_ones_address_book(tmp_path: Path):
    code = (
        "import sys, pathlib\nfrom pipelines.local.stack import _alone_in\n"
        "with _alone_in(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    (tmp_path / "stack.json").write_text("{}")
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"held\n"

        result = CliRunner().invoke(run, ["--folder", str(tmp_path)])

        first.stdin.close()
    assert result.exit_code == 1
    assert "runs in" in result.output
    assert (tmp_path / "stack.json").exists()


def test_a_port_that_is_asked_for_and_taken_is_an_error_before_anything_listens(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(run, ["--folder", str(tmp_path), "--port", str(port)])

    assert result.exit_code == 1
    assert f"the port {port} is taken" in result.output
    assert not (tmp_path / "parts").exists()
