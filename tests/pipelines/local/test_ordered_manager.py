"""The local stack ends in order: a server serves until those that use it have ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.local import keeper, ready

pytestmark = pytest.mark.thorough

PATIENCE = 30.0
SCRIPT = """
import sys
from pathlib import Path
from honcho.printer import Printer
from pipelines.local import keeper
from pipelines.local.ordered_manager import OrderedManager
folder = Path(sys.argv[1])
manager = OrderedManager(Printer(sys.stdout), [folder / "user.json"])
for name, line in [("server", sys.argv[2]), ("user", sys.argv[3])]:
    manager.add_process(name, keeper.command(folder / f"{name}.json", line))
manager.loop()
sys.exit(manager.returncode)
"""
WORKS = "echo here > {folder}/{name}; while :; do sleep 0.05; done"


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_after_the_part_that_uses_it(tmp_path: Path, told: signal.Signals):
    server = f"trap 'cp {tmp_path}/last {tmp_path}/seen; exit 0' TERM; " + WORKS.format(folder=tmp_path, name="s")
    user = f"trap 'sleep 0.5; echo stored >{tmp_path}/last; exit' TERM; " + WORKS.format(folder=tmp_path, name="u")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), server, user]
    # A shell in the background ignores SIGINT, and so would what the test starts.
    restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **restored) as stack:
        ready.wait_for("both", lambda: (tmp_path / "s").exists() and (tmp_path / "u").exists(), PATIENCE)
        os.kill(stack.pid, told)
        said, _ = stack.communicate(timeout=PATIENCE)

    assert (tmp_path / "seen").read_text() == "stored\n"
    assert "user stopped (rc=0)" in " ".join(said.split())
    assert "SIGKILL" not in said
    assert not keeper.runs(tmp_path / "user.json")
    assert stack.returncode == 128 + told


@pytest.mark.slow
def test_a_part_that_does_not_end_does_not_keep_the_others(tmp_path: Path):
    server = f"trap 'echo ended > {tmp_path}/seen; exit 0' TERM; " + WORKS.format(folder=tmp_path, name="s")
    user = "trap '' TERM; " + WORKS.format(folder=tmp_path, name="u")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), server, user]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as stack:
        ready.wait_for("both", lambda: (tmp_path / "s").exists() and (tmp_path / "u").exists(), PATIENCE)
        os.kill(stack.pid, signal.SIGTERM)
        said, _ = stack.communicate(timeout=PATIENCE)

    assert (tmp_path / "seen").read_text() == "ended\n"
    assert "sending SIGKILL to user" in said
