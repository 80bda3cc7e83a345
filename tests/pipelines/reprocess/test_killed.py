"""Killed with SIGKILL, wherever: analysts read all of the old or all of the new, and the run says which."""

import sys
import tempfile
from pathlib import Path

import pytest
from killed import killed
from reprocess_support import InterruptAt, Warehouse

from pipelines.core.generation import GENERATION
from pipelines.reprocess import RefusedError, State
from pipelines.reprocess.plan import resume
from pipelines.reprocess.steps import APPLY, DISCARD, PLAN, ROLL_BACK
from tests.raw_events import text_message

pytestmark = pytest.mark.thorough

LATER = (10, 60, 200)
"""Milliseconds after the last look at things: somewhere in the transaction, on one machine or another."""


@pytest.fixture
def wrong(warehouse: Warehouse) -> Warehouse:
    """A warehouse with wrong rows of events that are archived."""
    warehouse.received([text_message(n) for n in range(6)])
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
    return warehouse


@pytest.mark.parametrize("step", PLAN)
def test_a_killed_plan_has_changed_nothing_and_goes_on_or_is_discarded(wrong: Warehouse, step: str):
    before = wrong.images()

    assert killed(wrong, "plan", "", step)

    run = wrong.run("latest")
    assert wrong.images() == before
    if step == PLAN[-1]:
        assert run.state is State.PLANNED
    else:
        assert run.state is State.PLANNING
        with pytest.raises(RefusedError, match="is planning"):
            wrong.apply(run)
        resumed = wrong.resume(run)
        assert (resumed.state, resumed.events) == (State.PLANNED, 6)
        assert resumed.differences()["messages"] == {"added": 0, "removed": 0, "changed": 6, "unchanged": 0}
        assert not list(Path(tempfile.gettempdir()).glob(f"parley-{run.run_id}"))
        if step == "loaded":
            wrong.apply(resumed)
            assert wrong.query("SELECT DISTINCT kind FROM `V.messages`") == [{"kind": "message"}]
            wrong.roll_back(resumed)
    assert wrong.discard(run).state is State.DISCARDED
    assert not wrong.kept(run)


def test_what_comes_into_the_archive_while_a_plan_is_interrupted_is_planned_when_it_goes_on(wrong: Warehouse):
    with pytest.raises(KeyboardInterrupt):
        wrong.plan(InterruptAt("loaded", interrupt))
    wrong.received([text_message(n) for n in range(6, 9)])

    resumed = wrong.resume(wrong.run("latest"))

    assert (resumed.state, resumed.events) == (State.PLANNED, 9)
    assert resumed.differences()["messages"] == {"added": 0, "removed": 0, "changed": 6, "unchanged": 3}
    with pytest.raises(RefusedError, match="is planned: only a plan that was interrupted"):
        wrong.resume(resumed)


def test_a_plan_that_goes_on_makes_and_loads_nothing_twice(wrong: Warehouse, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KeyboardInterrupt):
        wrong.plan(InterruptAt("loaded", interrupt))
    run = wrong.run("latest")
    for made in ("pipelines.run.batch._run_share", "pipelines.reprocess.staging.load_table"):
        monkeypatch.setattr(made, lambda *_, **__: pytest.fail("made or loaded again"))

    assert wrong.resume(run).events == 6


def test_a_plan_of_another_generation_does_not_go_on(wrong: Warehouse, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(KeyboardInterrupt):
        wrong.plan(InterruptAt("prepared", interrupt))
    monkeypatch.setattr(sys.modules[resume.__module__], "GENERATION", GENERATION + 1)

    with pytest.raises(RefusedError, match=f"of generation {GENERATION}, this is {GENERATION + 1}"):
        wrong.resume(wrong.run("latest"))


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_killed_apply_or_rollback_is_done_or_not_begun_and_can_be_repeated(wrong: Warehouse):
    before, run = wrong.images(), wrong.plan().run_id
    wrong.apply(wrong.run(run))
    after = wrong.images()
    wrong.roll_back(wrong.run(run))
    images = {State.PLANNED: before, State.ROLLED_BACK: before, State.APPLIED: after}

    for command, steps, end in (("apply", APPLY, State.APPLIED), ("rollback", ROLL_BACK, State.ROLLED_BACK)):
        repeat = wrong.apply if command == "apply" else wrong.roll_back
        undo = wrong.roll_back if command == "apply" else wrong.apply
        for step, milliseconds in (*((step, 0) for step in steps), *((steps[0], later) for later in LATER)):
            began = wrong.run(run).state
            assert killed(wrong, command, run, step, milliseconds)
            state, image = settled(wrong, run)
            assert state is end if step == steps[-1] else state in {began, end}
            assert image == images[state]
            assert repeat(wrong.run(run)).state is end
            assert wrong.images() == images[end]
            undo(wrong.run(run))
        repeat(wrong.run(run))


def settled(warehouse: Warehouse, run: str) -> tuple[State, dict[str, str]]:
    """Return a run's state and what counted in it: BigQuery goes on with a transaction whose client has died."""
    while True:
        state, image = warehouse.run(run).state, warehouse.images()
        if warehouse.run(run).state is state:
            return state, image


@pytest.mark.parametrize("step", DISCARD)
def test_a_killed_discard_is_done_when_it_is_repeated(wrong: Warehouse, step: str):
    before, run = wrong.images(), wrong.plan()

    assert killed(wrong, "discard", run.run_id, step)

    assert wrong.run(run.run_id).state is State.DISCARDED
    assert wrong.kept(run) == (step == DISCARD[0])
    assert wrong.discard(run).state is State.DISCARDED
    assert not wrong.kept(run)
    assert wrong.images() == before
