"""Killed with SIGKILL, wherever: analysts read all of the old or all of the new, and the run says which."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from reprocess_support import Warehouse

from pipelines.reprocess import State
from tests.raw_events import text_message

HERE = Path(__file__).parent


def kill(warehouse: Warehouse, command: str, run: str, step: str, milliseconds: int = 0) -> None:
    """Run a command in a process of its own, which is killed at a step or some time after it."""
    target = warehouse.target
    environ = {
        **os.environ,
        "PARLEY_PROJECT": target.project,
        "PARLEY_DATASET_PREFIX": target.rows_dataset.removesuffix("parley_rows"),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])]),
    }
    arguments = [command, str(warehouse.archive), run, step, str(milliseconds)]
    done = subprocess.run(
        [sys.executable, HERE / "killed.py", *arguments], env=environ, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.timeout(300)
def test_killed_anywhere_a_run_is_where_it_was_or_where_it_should_be(warehouse: Warehouse):
    warehouse.received([text_message(n) for n in range(20)])
    right = warehouse.views()
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
    wrong = warehouse.views()

    kill(warehouse, "plan", "", "loaded")
    assert (warehouse.run("latest").state, warehouse.views()) == (State.PLANNING, wrong)
    warehouse.discard(warehouse.run("latest"))

    run = warehouse.plan().run_id
    for milliseconds in (0, 20, 150, 500):
        kill(warehouse, "apply", run, "checked", milliseconds)
        state = warehouse.run(run).state
        assert warehouse.views() == (right if state is State.APPLIED else wrong)
        assert state in {State.PLANNED, State.ROLLED_BACK, State.APPLIED}
        if state is State.APPLIED:
            warehouse.roll_back(warehouse.run(run))
    warehouse.apply(warehouse.run(run))
    assert warehouse.views() == right
    kill(warehouse, "rollback", run, "rolled back")
    assert (warehouse.run(run).state, warehouse.views()) == (State.ROLLED_BACK, wrong)
