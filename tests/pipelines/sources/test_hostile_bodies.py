"""Bodies made to hurt: what they make is bounded, and each costs itself and nothing else."""

import json
from collections import Counter
from typing import Any

import pytest
from normalized import normalized, raw_event

from pipelines.core import bounds
from pipelines.core.batches import EventBatch
from pipelines.core.bounds import weight
from pipelines.normalize import HEAVIEST_PART, NormalizeEvents
from pipelines.sources import PARSERS, registry
from pipelines.sources.custom import OwnJson
from pipelines.sources.normalization import normalize

pytestmark = pytest.mark.thorough

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _custom(monkeypatch):
    monkeypatch.setitem(PARSERS, "desk", OwnJson("desk").parse)


def dumped(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def page(*entries: Any) -> bytes:
    return dumped({"object": "page", "entry": list(entries)})


def whatsapp(**value: Any) -> bytes:
    number = {"phone_number_id": "1", "display_phone_number": "2"}
    change = {"field": "messages", "value": {"metadata": number, **value}}
    return dumped({"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]})


def own(**item: Any) -> bytes:
    return dumped({"metadata": [{"namespace": "contact", "source_id": "c", **item}]})


def messages(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"m{n}", "from": "5", "type": "text", "timestamp": str(n), **more} for n in range(count)]


ENDS = {"sender": {"id": "5"}, "recipient": {"id": "1"}}
LONG = "x" * MIB
DEEP_KEY = "k" * 20_000

HOSTILE = {
    "receipts of many messages": (
        "facebook",
        page({"id": "1", "messaging": [{**ENDS, "delivery": {"mids": [f"m{n}" for n in range(60_000)]}}]}),
    ),
    "an entry of many members": ("facebook", page({"id": "1", **{f"k{n}": n for n in range(60_000)}})),
    "an item of many payloads": (
        "facebook",
        page({"id": "1", "messaging": [{**ENDS, **{f"k{n}": n for n in range(60_000)}}]}),
    ),
    "a channel with a long name in each of many items": (
        "facebook",
        page({"id": LONG, "messaging": [{**ENDS, "message": {"mid": f"m{n}"}} for n in range(10_000)]}),
    ),
    "a person with a long name in each of many messages": (
        "whatsapp",
        whatsapp(contacts=[{"wa_id": "5", "profile": {"name": LONG}}], messages=messages(10_000)),
    ),
    "events of many members": (
        "google",
        dumped({"agent": "a", "conversationId": "c", **{f"k{n}": n for n in range(100_000)}}),
    ),
    "more facts than anybody sends": ("desk", own(metadata={f"k{n}": n for n in range(100_001)})),
    "more rows than anybody sends": (
        "desk",
        dumped({"metadata": [{"namespace": "contact", "source_id": f"{n}"} for n in range(60_000)]}),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_one_dead_letter_that_says_so(name):
    source, body = HOSTILE[name]
    assert len(body) < 4 * MIB

    rows = normalized(source, body)

    assert {table: len(made) for table, made in rows.items() if made} == {"events": 1, "dead_letters": 1}
    assert (rows.events.outcome, rows.events.rows, rows.events.dead_letters) == ("failed", 0, 1)
    letter = rows.dead_letters
    assert (letter.stage, letter.error_class, letter.data) == ("parse", "TooMuchError", body)


def test_fifteen_thousand_facts_of_one_item_take_a_slice_each():
    body = own(metadata={f"k{n}": n for n in range(15_000)})
    rows = normalized("desk", body)

    assert len(rows["metadata"]) == 15_000
    assert sum(weight(row) for row in rows["metadata"]) < 20 * MIB
    fact = rows["metadata"][7]
    assert (fact.key, fact.content, fact.pointer) == ("k7", "7", "/metadata/0/metadata/k7")
    assert len({row.metadata_id for row in rows["metadata"]}) == 15_000


def test_a_fact_with_a_slice_of_its_own_is_known_by_its_whole_item():
    once, again = (own(metadata={"tier": "gold"}, occurred_at=f"2026-11-2{day}T10:00:00Z") for day in (1, 2))
    first, redelivered, second = (normalized("desk", body).metadata for body in (once, once, again))

    assert first.content == second.content == '"gold"'
    assert first.metadata_id == redelivered.metadata_id != second.metadata_id


def test_nested_facts_have_paths_and_what_lies_too_deep_is_one_value():
    nested: Any = 1
    for _ in range(40):
        nested = {"d": nested}
    rows = normalized("desk", own(metadata={"a/b": {"c~d": [1, 2], "e": {}}, "deep": nested}))

    told = {row.key: (row.pointer.removeprefix("/metadata/0/metadata/"), row.content) for row in rows["metadata"]}
    assert told["a/b.c~d"] == ("a~1b/c~0d", "[1,2]")
    assert told["a/b.e"] == ("a~1b/e", "{}")
    (deep,) = (key for key in told if key.startswith("deep"))
    assert 20 < deep.count(".d") < 40
    assert told[deep][1].startswith('{"d":')


def test_facts_do_not_repeat_a_long_path():
    rows = normalized("desk", own(metadata={DEEP_KEY: {f"k{n}": n for n in range(50_000)}, "tier": "gold"}))

    assert {row.key: len(row.content) > 500_000 for row in rows["metadata"]} == {DEEP_KEY: True, "tier": False}


def test_dead_letters_of_a_body_hold_no_more_than_the_body():
    body = dumped({"messages": [{"source_message_id": f"m{n}", "content": "x" * 250} for n in range(1_000)]})
    letters = normalized("desk", body)["dead_letters"]

    assert len(letters) == 1_000
    assert sum(len(letter.data) for letter in letters) <= len(body)
    assert json.loads(letters[7].data)["source_message_id"] == "m7"


def test_items_that_fail_beyond_the_thousandth_are_counted_and_the_good_ones_kept():
    bad = [{"source_message_id": f"m{n}"} for n in range(bounds.MOST_LETTERS + 500)]
    good = {"from_contact": True, "source_conversation_id": "c", "content": "hi", "source_message_id": "good"}
    rows = normalized("desk", dumped({"messages": [*bad, good]}))

    assert Counter(letter.error_class for letter in rows["dead_letters"]) == {
        "ValueError": bounds.MOST_LETTERS,
        "TooManyFailuresError": 1,
    }
    assert rows["dead_letters"][-1].error_message == "500 more items failed"
    assert (rows.messages.source_message_id, rows.events.outcome) == ("good", "partial")
    assert rows.events.dead_letters == len(rows["dead_letters"])


def test_a_value_with_as_many_people_as_messages_is_read_once_and_not_squared():
    people = [{"wa_id": str(n), "profile": {"name": f"n{n}"}} for n in range(5_000)]
    said = [{"id": f"m{n}", "from": str(n), "type": "text"} for n in range(5_000)]
    rows = normalized("whatsapp", whatsapp(contacts=people, messages=said))

    assert {row.source_contact_id: row.display_name for row in rows["contacts"]} == {
        str(n): f"n{n}" for n in range(5_000)
    }


def test_rows_of_many_heavy_events_go_on_in_parts(monkeypatch):
    monkeypatch.setattr(registry, "install_configured", dict)
    body = whatsapp(messages=messages(40, text={"body": "x" * 50_000}))
    events = [raw_event("whatsapp", body, event_id=f"e{n}") for n in range(60)]
    events.append(raw_event("whatsapp", whatsapp(messages=messages(1)), event_id="last"))

    parts = list(NormalizeEvents().process(EventBatch(events, "segment", 3)))

    assert len(parts) > 1
    assert [event for part in parts for event in part.events] == events
    assert [(part.index, part.part) for part in parts] == [(3, number) for number in range(len(parts))]
    assert all(part.weight < HEAVIEST_PART + 16 * MIB for part in parts)
    made = Counter(type(row) for part in parts for rows in part.rows.values() for row in rows)
    assert made == Counter(type(row) for event in events for row in normalize(event))


def test_an_event_on_which_processes_died_is_not_read():
    event = raw_event("facebook", page({"id": "1", "messaging": [{**ENDS, "message": {"mid": "m"}}]}))
    (part,) = NormalizeEvents().process(EventBatch([event], "pubsub", fatal=True))

    (ledger,), (letter,) = part.rows["events"], part.rows["dead_letters"]
    assert set(part.rows) == {"events", "dead_letters"}
    assert (ledger.outcome, ledger.dead_letters, letter.error_class, letter.data) == (
        "failed",
        1,
        "WorkerDiedError",
        None,
    )
