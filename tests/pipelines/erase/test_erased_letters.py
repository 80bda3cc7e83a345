"""Dead letters that name an erased person go, also of events that are not archived, or have no id."""

import datetime as dt
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from erased_world import ANN, BOB, Erasing, of_everybody, profile, text, whatsapp

from pipelines.core.spellings import Spellings
from pipelines.erase import dead_letters
from pipelines.reprocess.steps import Steps
from schemas.raw_event import EVENT_ID, RawEvent
from tests.pipelines.reprocess.reprocess_support import Warehouse
from tests.raw_events import raw_event

pytestmark = pytest.mark.thorough

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


def broken(who: str, number: int, **more: dt.datetime) -> RawEvent:
    return raw_event(f'{{"object": "page", "entry": [{{"broken {who}'.encode(), number=number, **more)


def without_id(who: str, number: int) -> RawEvent:
    event = whatsapp(number, [text(who, number)], [profile(who, "somebody")])
    return RawEvent(event.data, {name: value for name, value in event.attributes.items() if name != EVENT_ID})


def letters(world: Erasing) -> list[tuple[str | None, str]]:
    rows = world.warehouse.query("SELECT event_id, data FROM `T.dead_letters` WHERE data IS NOT NULL")
    return sorted((row["event_id"] or "", BOB if BOB.encode() in row["data"] else ANN) for row in rows)


def test_they_go_and_those_of_others_and_later_ones_stay(warehouse: Warehouse):
    warehouse.received(of_everybody())
    world = Erasing(warehouse)
    others = [without_id(BOB, 72), broken(BOB, 73), broken(ANN, 74, received_at=LATER)]
    world.live([without_id(ANN, 70), broken(ANN, 71), *others])
    # A run makes dead letters of what it cannot know, and keeps them.
    warehouse.archived([without_id(ANN, 75)])
    warehouse.plan()
    planned = world.plan(source=("whatsapp", ANN))

    done = world.apply(planned.run_id)

    assert done.is_done
    assert letters(world) == [
        ("", BOB),
        (others[1].attributes[EVENT_ID], BOB),
        (others[2].attributes[EVENT_ID], ANN),
    ]
    left = {each.place.partition(".")[2]: each.hits for each in world.verify(planned.run_id).searched if each.hits}
    # What was received later, by live alone.
    assert left == {"dead_letters": 1}
    said_twice = world.apply(planned.run_id)
    assert (said_twice.events, said_twice.deleted_rows) == (0, 0)


def test_what_is_in_the_write_buffer_is_waited_for(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    warehouse.received(of_everybody())
    world = Erasing(warehouse)
    world.live([without_id(ANN, 70)])
    planned = world.plan(source=("whatsapp", ANN))
    with monkeypatch.context() as patched:
        patched.setenv("PARLEY_STREAMING_BUFFER_MINUTES", "30")
        assert not world.apply(planned.run_id).is_done
        assert ("", ANN) in letters(world)

    assert world.apply(planned.run_id).is_done

    assert letters(world) == []
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []


class Id(str):
    """Of which can be told whether somebody keeps it."""


def test_looking_for_their_events_keeps_no_ids_of_all_others_and_ends_when_all_are_found(
    monkeypatch: pytest.MonkeyPatch,
):
    """An archive has more ids than fit into memory."""
    kept: weakref.WeakSet[Id] = weakref.WeakSet()
    most = read = 0

    def archived(*_: object) -> Iterator[RawEvent]:
        nonlocal most, read
        for read in range(1, 1_001):
            known = Id(f"event {read}")
            kept.add(known)
            most = max(most, len(kept))
            yield RawEvent(b"", {EVENT_ID: known})

    monkeypatch.setattr(dead_letters, "events", archived)

    assert dead_letters.not_archived("archive", {"event 700", "nowhere"}, Steps()) == {"nowhere"}
    assert (read, most < 10) == (1_000, True)
    assert dead_letters.not_archived("archive", {"event 700"}, Steps()) == set()
    assert read == 700


def test_many_people_are_looked_for_in_statements_that_bigquery_takes(monkeypatch: pytest.MonkeyPatch):
    """A megabyte of text: https://cloud.google.com/bigquery/quotas#query_jobs."""
    monkeypatch.setattr(dead_letters.warehouse, "IDS_AT_ONCE", 10)
    people = [f"4915112345{number:03d}" for number in range(25)]
    asked: list[str] = []

    class Client:
        def query_and_wait(self, sql: str) -> list[dict[str, Any]]:
            asked.append(sql)
            return [{"event_id": None, "day": LATER.date(), "line": f"of {people[0]} and {people[-1]}"}]

    client: Any = Client()
    found = dead_letters.named(client, "p.d.dead_letters", Spellings(people), LATER)

    assert [sum(each in sql for each in people) for sql in asked] == [10, 10, 5]
    assert len(found) == 1
