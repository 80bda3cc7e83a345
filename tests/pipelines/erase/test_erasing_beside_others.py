"""While somebody is erased, live goes on and history is reprocessed: nobody comes back, nobody is lost."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from erased_world import ANN, BOB, EVE, Erasing, again, of_everybody, profile, text, whatsapp

from pipelines.bigquery import suppressed
from pipelines.bigquery.target import Target
from pipelines.cli import main
from pipelines.reprocess import RefusedError, Steps
from pipelines.reprocess.runs import Runs
from schemas.raw_event import RawEvent
from tests.pipelines.reprocess.reprocess_support import InterruptAt, Warehouse
from tests.raw_events import NOON

pytestmark = pytest.mark.thorough

ROUNDS = 6
MOST_SAID = 10


def of_all(number: int, minutes: int) -> RawEvent:
    """Return a webhook with an item of each."""
    people = {"Ann": ANN, "Bob": BOB, "Eve": EVE}
    said = [text(who, number * 10 + place, "beside") for place, who in enumerate(people.values())]
    names = [profile(who, name) for name, who in people.items()]
    return whatsapp(number, said, names, received_at=NOON + dt.timedelta(minutes=minutes))


def test_nobody_comes_back_and_nobody_is_lost(warehouse: Warehouse):
    warehouse.received(of_everybody())
    world = Erasing(warehouse)
    planned = world.plan(source=("whatsapp", ANN))
    begun = threading.Event()

    class Begun(Steps):
        def reached(self, step: str) -> None:
            begun.set()

    def live() -> None:
        for number in range(100, 100 + ROUNDS):
            event = of_all(number, 1)
            warehouse.archived([event])
            world.live([event])

    def reprocess() -> None:
        for number in range(200, 200 + ROUNDS):
            # What live has missed comes with the run.
            warehouse.archived([of_all(number, 2)])
            with_everything = warehouse.plan()
            try:
                warehouse.apply(with_everything)
            except RefusedError as refused:
                # Of the erasure, of its own run, or of the segments that it replaces.
                expected = ("somebody was erased since", "was applied for the same events since", "incomplete")
                assert any(each in str(refused) for each in expected)

    def beside(act: Callable[[], None]) -> Callable[[], None]:
        def after_the_beginning() -> None:
            assert begun.wait(60)
            act()

        return after_the_beginning

    with ThreadPoolExecutor(2) as threads:
        others = [threads.submit(beside(act)) for act in (live, reprocess)]
        world.apply(planned.run_id, Begun())
        for each in others:
            each.result()
    assert any(world.apply(planned.run_id).is_done for _ in range(MOST_SAID))
    # What a refused run was to bring.
    warehouse.apply(warehouse.plan())

    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []
    told = {row["content"] for row in warehouse.query("SELECT content FROM `V.messages`")}
    numbers = [*range(100, 100 + ROUNDS), *range(200, 200 + ROUNDS)]
    for place, is_there in enumerate((False, True, True)):
        for number in numbers:
            found = [content for content in told if f"beside {number * 10 + place}" in (content or "")]
            assert len(found) == is_there, (number, place)
    again = warehouse.plan().differences()
    assert not any(each["added"] + each["removed"] + each["changed"] for each in again.values())


def test_what_an_interrupted_erasure_has_replaced_is_not_taken_back(warehouse: Warehouse):
    warehouse.received(of_everybody())
    world = Erasing(warehouse)
    planned = world.plan(source=("whatsapp", ANN))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.apply(planned.run_id, InterruptAt("placed", interrupt))
    (run,) = Runs(warehouse.client, warehouse.target).all()
    left = world.rows()
    with pytest.raises(RefusedError, match="that is final"):
        warehouse.roll_back(run)

    assert world.rows() == left
    assert not any(ANN in each for rows in left.values() for each in rows)


def test_what_is_redelivered_comes_back_in_no_datasets_beside_either(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    told = of_everybody()
    warehouse.received(told)
    world = Erasing(warehouse)
    world.apply(world.plan(source=("whatsapp", ANN)).run_id)
    warehouse.query("INSERT INTO `T.actor_names` (actor_id, kind) VALUES ('517', 'bot')")
    # The receiver knows nobody: it archives what a source delivers once more.
    warehouse.archived([again(told[0], 50, dt.datetime.now(dt.UTC))])
    into = f"b{uuid.uuid4().hex[:12]}_"
    command = ["batch", "--archive", str(warehouse.archive), "--into", into]
    monkeypatch.setenv("PARLEY_PROJECT", warehouse.target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", warehouse.target.views_dataset.removesuffix("parley"))
    with monkeypatch.context() as forgotten:
        forgotten.delenv(suppressed.KEY)
        refused = CliRunner().invoke(main, command)
        assert (refused.exit_code, "with a key that is not set here" in refused.output) == (1, True)

    assert CliRunner().invoke(main, command).exit_code == 0

    beside = Warehouse(warehouse.client, Target.prefixed(warehouse.target.project, into), warehouse.archive)
    assert not any(ANN in repr(row) for row in beside.query("SELECT content FROM `V.messages`"))
    assert beside.query("SELECT COUNT(*) AS n FROM `V.messages`") != [{"n": 0}]
    for table in ("suppressions", "erasures", "actor_names"):
        count = f"SELECT COUNT(*) AS n FROM `T.{table}`"
        assert beside.query(count) == warehouse.query(count) != [{"n": 0}]
