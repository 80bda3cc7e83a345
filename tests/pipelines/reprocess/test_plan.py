"""A plan compares and changes nothing."""

from reprocess_support import Warehouse

from pipelines.reprocess import State
from tests.raw_events import raw_event, text_message


def test_what_live_has_stored_is_what_a_plan_makes(warehouse: Warehouse):
    events = [text_message(n) for n in range(9)] + [raw_event(b"no json", number=100)]
    warehouse.received(events)
    before = warehouse.images()

    run = warehouse.plan()

    assert (run.state, run.events, run.damages) == (State.PLANNED, 10, ())
    assert warehouse.images() == before
    changed = {t: (d["added"], d["removed"], d["changed"]) for t, d in run.differences().items()}
    assert set(changed.values()) == {(0, 0, 0)}
    assert run.differences()["messages"]["unchanged"] == 9
