"""A comparison of archive, ledger and rows counts each event once, in its newest generation."""

import pytest
from reprocess_support import Warehouse, options

from pipelines.core.generation import GENERATION
from pipelines.io.archive_segments import Selection
from pipelines.reprocess.reconcile import Reconciliation, reconcile
from pipelines.run import stream
from tests.raw_events import raw_event, text_message

pytestmark = pytest.mark.thorough

EVENTS = [text_message(1), text_message(2), raw_event(b"no json", number=3)]


@pytest.fixture
def reconciled(warehouse: Warehouse):
    def compare() -> Reconciliation:
        return reconcile(warehouse.client, warehouse.target, str(warehouse.archive), Selection(), options())

    return compare


def test_what_was_stored_twice_is_counted_once_dead_letters_among_it(warehouse: Warehouse, reconciled):
    warehouse.received(EVENTS)
    warehouse.live(EVENTS)
    assert warehouse.stored()["dead_letters"] == 2

    found = reconciled()

    assert found.agrees
    assert [(day.archived, day.normalized, day.failed) for day in found.days] == [(3, 2, 1)]


def test_what_an_older_generation_had_stored_is_not_counted(warehouse: Warehouse, reconciled, generation):
    # The older version had found a row and a failure more, and said so.
    generation(GENERATION - 1)
    warehouse.live(EVENTS)
    warehouse.query("UPDATE `T.events` SET `rows` = `rows` + 1, dead_letters = 7, outcome = 'partial' WHERE TRUE")
    warehouse.query("INSERT INTO `T.messages` SELECT * REPLACE ('other' AS message_id) FROM `T.messages`")
    generation(GENERATION)
    warehouse.received(EVENTS)

    found = reconciled()

    assert found.agrees
    assert [(day.archived, day.normalized, day.partial, day.failed) for day in found.days] == [(3, 2, 0, 1)]


def test_what_is_missing_or_too_much_is_told(warehouse: Warehouse, reconciled):
    warehouse.received(EVENTS)
    warehouse.query(f"DELETE FROM `T.dead_letters` WHERE event_id = '{EVENTS[2].event_id}'")
    warehouse.query(
        f"INSERT INTO `T.messages` SELECT * REPLACE ('other' AS message_id) FROM `T.messages` "
        f"WHERE event_id = '{EVENTS[0].event_id}'"
    )

    assert sorted(reconciled().incomplete) == sorted([EVENTS[0].event_id, EVENTS[2].event_id])


def test_a_ledger_that_a_run_has_replaced_is_not_read(warehouse: Warehouse, reconciled):
    warehouse.received(EVENTS)
    warehouse.query("UPDATE `T.events` SET `rows` = `rows` + 1 WHERE TRUE")
    assert len(reconciled().incomplete) == len(EVENTS)

    warehouse.apply(warehouse.plan())

    assert reconciled().agrees


def test_what_is_caught_up_is_what_is_missing(warehouse: Warehouse, reconciled, generation):
    generation(GENERATION - 1)
    warehouse.received(EVENTS[:1])
    generation(GENERATION)
    warehouse.archived(EVENTS[1:])
    # Of one a newer generation was decided on and is not there; of the others a run has stored all there is.
    warehouse.query(
        "INSERT INTO `T.superseded` (event_id, decided_at, before, placed_before, oldest_generation, "
        "newest_generation) SELECT event_id, CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP(), "
        f"{GENERATION}, {GENERATION} FROM `T.events`"
    )
    run = warehouse.plan(events=frozenset(event.event_id for event in EVENTS[1:]))
    warehouse.apply(run)
    assert stream.stored_events(warehouse.target) == {event.event_id for event in EVENTS[1:]}
    warehouse.roll_back(run)
    assert warehouse.stored()["events"] == len(EVENTS)
    assert sorted(reconciled().missing) == sorted(event.event_id for event in EVENTS)

    def caught_up() -> int:
        return stream.catch_up(str(warehouse.archive), options(), warehouse.target)

    assert caught_up() == len(EVENTS)
    assert reconciled().agrees
    assert caught_up() == 0
