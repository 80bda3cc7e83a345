"""What holds for every source that sends JSON: over its samples, the recorded payloads, and mutations of both."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from normalized import FIXTURES, SAMPLES, raw_event, rows_of, without_lineage

from pipelines.core.rows import DeadLetter, Event, Row
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent

pytestmark = pytest.mark.thorough

ENDPOINTS = {
    "airy": "airy",
    "airy_chat_plugin": "airy",
    "facebook": "facebook",
    "google": "google",
    "google_business_messages": "google",
    "instagram": "facebook",
    "whatsapp": "whatsapp",
    "whatsapp_cloud": "whatsapp",
}
"""The endpoint of each folder of samples or recorded payloads."""
BROKEN = {"facebook/batch_with_a_bad_item.json"}
"""Payloads with an item that nobody can read: it is a string where an object has to be."""
NO_WEBHOOKS = {
    "airy_chat_plugin/authenticate.json",
    "airy_chat_plugin/send_attachment_image.json",
    "airy_chat_plugin/send_text.json",
    "airy_chat_plugin/ws_message.json",
}
"""Requests to Airy's own API, which its webhook never sends."""
ENVELOPES = ("entry", "changes")
ITEMS = ("messaging", "standby", "messages", "message_echoes", "statuses", "calls", "errors")


def payloads() -> Iterator[Any]:
    for root in (SAMPLES, FIXTURES):
        for folder, endpoint in ENDPOINTS.items():
            for path in sorted((root / folder).glob("*.json")):
                name = f"{folder}/{path.name}"
                yield pytest.param(name, raw_event(endpoint, path.read_bytes()), id=f"{root.name}/{name}")


PAYLOADS = list(payloads())
EVENTS: list[RawEvent] = [param.values[1] for param in PAYLOADS]
every_payload = pytest.mark.parametrize(("name", "event"), PAYLOADS)


def made(data: bytes, source: str) -> list[Row]:
    """The rows of a body, without the ledger's and without dead letters, which carry the whole request."""
    rows = normalize(raw_event(source, data))
    return [row for row in rows if not isinstance(row, Event | DeadLetter)]


def assert_sound(event: RawEvent) -> None:
    """What no input may break."""
    ledger, *rows = normalize(event)
    assert isinstance(ledger, Event)
    dead = [row for row in rows if isinstance(row, DeadLetter)]
    assert (ledger.rows, ledger.dead_letters) == (len(rows) - len(dead), len(dead))
    assert ledger.outcome == ("failed" if dead and ledger.rows == 0 else "partial" if dead else ledger.outcome)
    assert (ledger.outcome == "ignored") == (not rows)
    for row in rows:
        for field in row.__struct_fields__:
            value = getattr(row, field)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    assert field == "content" or "\0" not in text
                    assert field != "content" or text.encode() in event.data
                    text.encode()  # Fails for a lone surrogate.


@pytest.mark.skipif(not FIXTURES.exists(), reason="the recorded payloads are not part of the repository")
def test_recorded_payloads_of_every_source_are_there():
    assert {path.name for path in FIXTURES.iterdir()} >= {f for f in ENDPOINTS if not (SAMPLES / f).exists()}


@every_payload
def test_payload_normalizes(name, event):
    rows = rows_of(event)
    expected = "partial" if name in BROKEN else "ignored" if name in NO_WEBHOOKS else "normalized"
    assert rows.events.outcome == expected, rows["dead_letters"]
    assert_sound(event)


@every_payload
def test_two_runs_make_identical_rows(name, event):
    assert normalize(event) == normalize(event)


@every_payload
def test_redelivery_makes_the_same_ids(name, event):
    again = {**event.attributes, "event_id": "0193aaaa-0000-7000-8000-000000000002"}
    redelivered = normalize(RawEvent(event.data, again))
    facts = [row for row in redelivered if not isinstance(row, Event | DeadLetter)]
    assert without_lineage(facts) == without_lineage(made(event.data, event.source))


@every_payload
def test_items_make_the_same_rows_in_any_order(name, event):
    whole = json.loads(event.data)
    expected = without_lineage(made(json.dumps(whole).encode(), event.source))
    for seed in range(3):
        shuffled = _shuffled(whole, random.Random(seed))
        assert without_lineage(made(json.dumps(shuffled).encode(), event.source)) == expected


@every_payload
def test_items_make_the_same_rows_one_by_one(name, event):
    whole = json.loads(event.data)
    expected = without_lineage(made(json.dumps(whole).encode(), event.source))
    alone = [row for single in _singles(whole) for row in made(json.dumps(single).encode(), event.source)]
    assert without_lineage(alone) == expected


def _shuffled(value: Any, randomness: random.Random) -> Any:
    """The same payload with the items of its lists in another order."""
    if not isinstance(value, dict):
        return value
    changed = dict(value)
    for key in (*ENVELOPES, *ITEMS):
        if isinstance(value.get(key), list):
            changed[key] = randomness.sample(value[key], len(value[key]))
    for key in ENVELOPES:
        if key in changed:
            changed[key] = [_shuffled(each, randomness) for each in changed[key]]
    if "value" in changed:
        changed["value"] = _shuffled(changed["value"], randomness)
    return changed


def _singles(value: Any) -> Iterator[Any]:
    """The same payload again and again, each time with one of its items only."""
    if not isinstance(value, dict):
        yield value
        return
    lists = [key for key in (*ENVELOPES, *ITEMS) if isinstance(value.get(key), list)]
    rest = {key: each for key, each in value.items() if key not in lists}
    if not lists and "value" in value:
        yield from (value | {"value": single} for single in _singles(value["value"]))
    elif not lists:
        yield value
    for key in lists:
        for each in value[key]:
            yield from (rest | {key: [single]} for single in (_singles(each) if key in ENVELOPES else [each]))


odd_values = st.sampled_from(
    [None, True, 0, -1, 10**30, 1e300, "", "x", "\ud83d", "\0", [], {}, [[]], {"": {}}, "2026-11-22T18:30:00Z"]
)
sources = st.sampled_from(sorted(set(ENDPOINTS.values())))
json_values = st.recursive(
    odd_values | st.text() | st.integers() | st.floats(),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from((*ENVELOPES, *ITEMS, "value")) | st.text(max_size=8), children, max_size=4
        )
    ),
    max_leaves=20,
)


@given(sources, st.binary())
def test_any_bytes_are_accounted_for(source, data):
    assert_sound(raw_event(source, data))


@given(sources, json_values)
def test_any_json_is_accounted_for(source, value):
    assert_sound(raw_event(source, json.dumps(value).encode()))


@given(st.sampled_from(EVENTS), st.data())
def test_payload_with_odd_bytes_is_accounted_for(event, data):
    changed = bytearray(event.data)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        end = min(len(changed), start + data.draw(st.integers(0, 8)))
        changed[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\\ud83d", b"\\u0000", b"NaN", b'"', b"[" * 2000, b"\xff"])
        )
    assert_sound(RawEvent(bytes(changed), event.attributes))


@given(st.sampled_from(EVENTS), odd_values | json_values, st.randoms(use_true_random=False))
def test_payload_with_odd_values_is_accounted_for(event, odd, randomness):
    whole = json.loads(event.data)
    parent, key = randomness.choice(list(_places(whole)))
    parent[key] = odd
    assert_sound(RawEvent(json.dumps(whole).encode(), event.attributes))


@given(odd_values | json_values, st.integers(0, 2))
def test_neighbours_of_an_odd_message_survive(odd, position):
    whole = json.loads((SAMPLES / "facebook" / "batch.json").read_bytes())
    expected = without_lineage(made(json.dumps(whole).encode(), "facebook"))
    whole["entry"][0]["messaging"].insert(position, odd)
    assert expected <= without_lineage(made(json.dumps(whole).encode(), "facebook"))


@given(odd_values | json_values, st.sampled_from(["messages", "statuses", "contacts", "calls"]))
def test_neighbours_of_an_odd_whatsapp_item_survive(odd, name):
    whole = json.loads((SAMPLES / "whatsapp" / "batch.json").read_bytes())
    expected = without_lineage(made(json.dumps(whole).encode(), "whatsapp"))
    whole["entry"][0]["changes"][0]["value"].setdefault(name, []).insert(0, odd)
    assert expected <= without_lineage(made(json.dumps(whole).encode(), "whatsapp"))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(members):
        yield value, key
        if isinstance(each, dict | list):
            yield from _places(each)
