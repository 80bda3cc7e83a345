"""Killed with SIGKILL at any of its steps, or within a segment, an erasure goes on when it is said again.

At some steps by default; at every step, of several worlds, with `make erased-worlds`.
"""

import os
import signal
from pathlib import Path
from random import Random

import pytest
from erased_world import Erasing
from peopled import people, peopled

from pipelines.bigquery import suppressed
from pipelines.bigquery.suppressed import KEY
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client
from pipelines.erase import segments
from pipelines.erase.apply import STEPS
from pipelines.erase.erasures import Erasures
from pipelines.io.archive_segments import Selection
from pipelines.reprocess.reconcile import reconcile
from pipelines.reprocess.streamed import MINUTES
from tests.pipelines.reprocess.killed import _processes
from tests.pipelines.reprocess.reprocess_support import InterruptAt, Warehouse, options

pytestmark = pytest.mark.thorough

REPLACED = "replaced"
"""Not a step: the first new segment is whole, and has not taken the old one's place."""
ALL = "PARLEY_ERASED_WORLDS" in os.environ
KILLED = [REPLACED, *STEPS] if ALL else [REPLACED, "placed"]
PATIENCE_SECONDS = 120


@pytest.mark.parametrize("seed", range(5 if ALL else 1))
def test_killed_anywhere_it_goes_on_to_the_same_end(warehouse: Warehouse, seed: int):
    told = peopled(seed, 1)
    warehouse.received(told)
    world = Erasing(warehouse)
    warehouse.plan()
    planned = world.plan(contact_id=min(Random(seed).choice(people(told))))

    for step in KILLED:
        assert _killed(warehouse, planned.run_id, step), step

    assert world.apply(planned.run_id).is_done
    (run,) = Erasures(warehouse.client, warehouse.target).all()
    assert run.state == "applied"
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []
    if ALL:
        said_twice = world.apply(planned.run_id)
        assert (said_twice.events, said_twice.deleted_rows, said_twice.rows_of_runs) == (0, 0, 0)
        everything = reconcile(warehouse.client, warehouse.target, str(warehouse.archive), Selection(), options())
        assert (everything.agrees, everything.damages) == (True, [])
    assert list(warehouse.archive.rglob("*.erasing")) == []
    # All of history makes the rows that are there, and one ledger row for every event that was received.
    again = warehouse.plan()
    assert (again.events, again.differences()["messages"]["unchanged"] > 0) == (len(told), True)
    assert not any(each["added"] + each["removed"] + each["changed"] for each in again.differences().values())


def _killed(warehouse: Warehouse, run: str, step: str) -> bool:
    environ = {name: os.environ[name] for name in (REST_EMULATOR, GRPC_EMULATOR, MINUTES, KEY)}
    process = _processes.Process(target=_work, args=(environ, warehouse.target, warehouse.archive, run, step))
    process.start()
    process.join(PATIENCE_SECONDS)
    return process.exitcode == -signal.SIGKILL


def _work(environ: dict[str, str], where: Target, archive: Path, run: str, step: str) -> None:
    os.environ.update(environ)
    suppressed.KNOWN_AFTER_SECONDS = 0.0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if step == REPLACED:
        segments.sync_folder = lambda _: die()
    Erasing(Warehouse(client(where), where, archive)).apply(run, InterruptAt(step, die))
