"""An event that cannot be parted and came after the plan of an erasure is told of, and goes where it is forced."""

import datetime as dt

import pytest
from erased_world import ANN, BOB, Erasing, of_everybody, profile, text, whatsapp

from pipelines.erase import scan
from pipelines.sources.erasing import InseparableError
from schemas.raw_event import EVENT_ID
from tests.pipelines.reprocess.reprocess_support import Warehouse
from tests.raw_events import NOON

pytestmark = pytest.mark.thorough


def test_it_is_told_of_and_goes_when_that_is_forced(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    warehouse.received(of_everybody())
    world = Erasing(warehouse)
    planned = world.plan(source=("whatsapp", ANN))
    both = [profile(ANN, "Ann"), profile(BOB, "Bob")]
    since = whatsapp(60, [text(ANN, 60), text(BOB, 61)], both, received_at=NOON + dt.timedelta(hours=1))
    warehouse.received([since])
    part = scan.without

    def without(event, *arguments):
        if event.attributes[EVENT_ID] == since.attributes[EVENT_ID] and event.data:
            raise InseparableError("others in it would lose something")
        return part(event, *arguments)

    monkeypatch.setattr(scan, "without", without)

    done = world.apply(planned.run_id)

    assert (done.is_done, done.inseparable) == (False, 1)
    (found,) = [each for each in world.verify(planned.run_id).searched if each.hits]
    assert (found.place, found.where) == ("archive", [since.attributes[EVENT_ID]])
    done = world.apply(planned.run_id, forced=True)
    assert (done.is_done, done.inseparable) == (True, 0)
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []
