"""A plan shows exactly what would change, and changes nothing."""

import datetime as dt
import json

import pytest
from reprocess_support import Warehouse

from pipelines.io.archive_segments import Selection
from pipelines.reprocess import State, diff, staging
from pipelines.reprocess.plan import narrowed
from pipelines.reprocess.runs import Staging
from tests.raw_events import NOON, raw_event, text_message

NOTHING = {"added": 0, "removed": 0, "changed": 0}


def moved(run) -> dict[str, dict[str, int]]:
    """Return what differs, without tables in which nothing does."""
    counts = {t: {k: v for k, v in d.items() if k != "unchanged"} for t, d in run.differences().items()}
    return {table: numbers for table, numbers in counts.items() if numbers != NOTHING}


def test_what_live_has_stored_is_what_a_plan_makes(warehouse: Warehouse):
    events = [text_message(n) for n in range(9)] + [raw_event(b"no json", number=100)]
    warehouse.received(events)
    warehouse.live(events[:4])
    before = warehouse.images()

    run = warehouse.plan()

    assert (run.state, run.events, run.damages) == (State.PLANNED, 10, ())
    assert moved(run) == {}
    assert run.differences()["messages"]["unchanged"] == 9
    assert warehouse.images() == before


def test_each_kind_of_change_is_told_by_table_source_and_day(warehouse: Warehouse):
    events = [text_message(n, NOON + dt.timedelta(days=n // 2)) for n in range(4)]
    lost = text_message(4, NOON + dt.timedelta(days=1))
    warehouse.received(events)
    warehouse.archived([lost])
    first, second = (event.event_id for event in events[:2])
    warehouse.query(f"UPDATE `T.messages` SET direction = 'outbound', kind = 'x' WHERE event_id = '{first}'")
    warehouse.query(f"UPDATE `T.messages` SET message_id = 'another' WHERE event_id = '{second}'")

    run = warehouse.plan()

    place = Staging.of(warehouse.target, run.run_id)
    difference = diff.read(warehouse.client, place)
    days = {
        (t.day.day, t.added, t.removed, t.changed, t.unchanged) for t in difference.totals if t.table == "messages"
    }
    assert days == {(14, 1, 1, 1, 0), (15, 1, 0, 0, 2)}
    assert {t.source for t in difference.totals} == {"facebook"}
    assert [(c.table, c.column, c.rows) for c in difference.columns] == [
        ("messages", "direction", 1),
        ("messages", "kind", 1),
    ]
    (changed,) = [s for s in difference.samples if s.change == "changed"]
    assert (changed.event_id, changed.columns) == (first, ("direction", "kind"))
    assert (changed.before["direction"], changed.after["direction"]) == ("outbound", "inbound")
    (removed,) = [s for s in difference.samples if s.change == "removed"]
    assert (removed.before["message_id"], removed.after) == ("another", None)
    assert json.loads(run.counts)["events"] == {"added": 1, "removed": 0, "changed": 0, "unchanged": 4}


def test_a_contact_seen_twice_in_an_event_is_compared_sighting_by_sighting(warehouse: Warehouse):
    moments = [int(NOON.timestamp()) + n for n in range(3)]
    texts = [
        {"from": "4915550000009", "id": f"m{t}", "timestamp": str(t), "type": "text", "text": {"body": "a"}}
        for t in moments
    ]
    # More is known of the contact than messages can say.
    described = [{"wa_id": "4915550000009", "user_id": "DE.9"}]
    value = {"metadata": {"phone_number_id": "1"}, "contacts": described, "messages": texts}
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    warehouse.received([raw_event(json.dumps(body).encode(), source="whatsapp")])
    warehouse.query(f"DELETE FROM `T.contacts` WHERE seen_at = TIMESTAMP_SECONDS({moments[0]})")

    assert moved(warehouse.plan()) == {"contacts": {"added": 1, "removed": 0, "changed": 0}}


def test_only_events_that_were_asked_for_are_compared(warehouse: Warehouse):
    events = [text_message(n, NOON + dt.timedelta(hours=n)) for n in range(5)]
    warehouse.archived(events)

    by_range = warehouse.plan(start=NOON + dt.timedelta(hours=1), end=NOON + dt.timedelta(hours=3))
    by_id = warehouse.plan(events=frozenset([events[4].event_id]), sources=("facebook",))
    none = warehouse.plan(sources=("twilio",))

    assert (by_range.events, by_id.events, none.events) == (2, 1, 0)
    assert json.loads(by_id.selection)["events"] == 1
    assert warehouse.apply(none).state is State.APPLIED


def test_what_a_run_keeps_is_deleted_some_day(warehouse: Warehouse):
    warehouse.received([text_message(1)])

    dataset = warehouse.client.get_dataset(Staging.of(warehouse.target, warehouse.plan().run_id).dataset)

    assert dataset.default_table_expiration_ms == staging.KEPT_DAYS * 86_400_000


def test_ids_that_tell_their_time_spare_reading_the_whole_archive():
    early, late = "019caaaa-0000-7000-8000-000000000001", "019cbbbb-0000-7000-8000-000000000001"

    chosen = narrowed(Selection(events=frozenset([early, late])))

    assert chosen.start == dt.datetime.fromtimestamp(0x019CAAAA0000 / 1000, dt.UTC) - dt.timedelta(hours=1)
    assert chosen.end == dt.datetime.fromtimestamp(0x019CBBBB0000 / 1000, dt.UTC) + dt.timedelta(hours=1)


@pytest.mark.parametrize("event_id", ["not a uuid", "00000000-0000-0000-0000-000000000001"])
def test_ids_that_do_not_tell_their_time_narrow_nothing(event_id: str):
    selection = Selection(events=frozenset([event_id, "019caaaa-0000-7000-8000-000000000001"]))

    assert narrowed(selection) == selection
