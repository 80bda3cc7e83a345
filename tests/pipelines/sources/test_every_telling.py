"""What holds for every source, said once: over samples, recorded payloads, bodies of bug reports, and odd ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.core import ids
from pipelines.core.rows import Alias, Channel, Contact, DeadLetter, Event, Message, Metadata, Row
from pipelines.sources import PARSERS
from pipelines.sources.normalization import every_row
from schemas.raw_event import RawEvent
from tests import material
from tests.raw_events import raw_event

pytestmark = pytest.mark.thorough

KNOWN = [*material.samples(), *material.fixtures(), *material.faults()]
JSON = [known for known in KNOWN if known.event.content_type == "application/json"]
OVERWRITING = {"source.edited", "source.delivery_state"}
"""Facts that take the place of what was told before, so that an empty one would blank it."""
EMPTYING: list[Any] = [None, "", 0, False, {}, []]


@pytest.fixture(autouse=True, scope="module")
def _own_sources():
    with pytest.MonkeyPatch.context() as patch:
        for name, parse in material.own_parsers().items():
            patch.setitem(PARSERS, name, parse)
        yield


def without(value: Any, pick: Any) -> None:
    """Empty some member of a payload, wherever it is."""
    places = [(value, key) for key in (value if isinstance(value, dict) else range(len(value)))]
    for parent, key in places:
        if isinstance(parent[key], dict | list):
            places += [(parent[key], deeper) for deeper in _keys(parent[key])]
    if places:
        parent, key = pick(places)
        parent[key] = pick(EMPTYING)


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def told(event: RawEvent) -> list[Row]:
    return [row for row in every_row(event) if not isinstance(row, Event | DeadLetter)]


def blanks(rows: list[Row]) -> list[Metadata]:
    return [r for r in rows if isinstance(r, Metadata) and r.key in OVERWRITING and not r.value]


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_what_tells_no_content_overwrites_none(known):
    assert blanks(told(known.event)) == []


@given(st.sampled_from(JSON), st.data())
def test_a_body_that_lost_a_part_overwrites_no_content(known, data):
    body = json.loads(known.event.data.decode("utf-8-sig"), strict=False)
    without(body, lambda choices: data.draw(st.sampled_from(choices)))
    assert blanks(told(RawEvent(json.dumps(body).encode(), known.event.attributes))) == []


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_every_message_has_a_direction_a_contact_and_a_conversation(known):
    rows = told(known.event)
    seen = {row.contact_id for row in rows if isinstance(row, Contact)}
    for row in rows:
        if isinstance(row, Message):
            assert row.direction in {"inbound", "outbound"}
            assert row.contact_id in seen
            assert row.conversation_id


@pytest.mark.parametrize("form", ["", material.FORM, "text/plain"])
@pytest.mark.parametrize("known", JSON, ids=[known.name for known in JSON])
def test_json_is_never_read_as_a_form(known, form):
    """Whatever its content type says: a link in a text must not become a message."""
    link = '"https://shop.example/?a=1&To=%2B15550101&From=%2B15550102&Body=hi&MessageSid=SM1"'
    body = b'{"text": %s, "told": ' % link.encode() + known.event.data.removeprefix(b"\xef\xbb\xbf") + b"}"
    attributes = known.event.attributes | {"source": "twilio", "content_type": form}
    assert told(RawEvent(body, attributes)) == []


@pytest.mark.parametrize("state", ["MessageStatus", "SmsStatus=&MessageStatus"])
@pytest.mark.parametrize("prefix", ["", "whatsapp%3A"])
def test_a_callback_of_twilio_without_a_state_is_no_message(state, prefix):
    form = f"MessageSid=SM1&{state}=&From={prefix}%2B15550199&To={prefix}%2B15550100001&AccountSid=AC1"
    rows = told(material.event("twilio", form.encode(), is_form=True))
    assert [row for row in rows if isinstance(row, Message | Contact)] == []
    assert {row.source_channel_id for row in rows if isinstance(row, Channel)} == {
        prefix.replace("%3A", ":") + "+15550199"
    }


@given(st.text("0123456789", min_size=3, max_size=11), st.integers(1, 6), st.sampled_from("Xx*"))
def test_a_masked_address_is_nobody(digits, masked, mark):
    address = f"%2B{digits}{mark * masked}"
    for state in ("&MessageStatus=read", "&Body=hi"):
        form = f"MessageSid=SM1&From=whatsapp%3A{address}&To=whatsapp%3A{address}&AccountSid=AC1{state}"
        rows = told(material.event("twilio", form.encode(), is_form=True))
        assert [row for row in rows if isinstance(row, Contact)] == []


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("thread", [{"id": "15550100"}, {"context": {"wa_id": "15550100"}}, {"id": "US.7"}, {}])
@pytest.mark.parametrize("kind", ["text", "image", "media_placeholder", "unsupported", "brand_new"])
def test_every_message_of_whatsapps_history_is_a_message(ours, thread, kind):
    """With or without the thread's id, whatever is in it, and whether or not the media ever comes."""
    person = "US.7" if thread.get("id") == "US.7" else "15550100"
    name = "user_id" if person == "US.7" else ""
    ends = (
        {"from": "15550199", f"to{'_' * bool(name)}{name}": person}
        if ours
        else {f"from{'_' * bool(name)}{name}": person}
    )
    message = {"id": "wamid.1", "timestamp": "1795372198", "type": kind, **ends}
    value = {
        "metadata": {"display_phone_number": "15550199", "phone_number_id": "7"},
        "history": [{"threads": [{**thread, "messages": [message]}]}],
    }
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "history", "value": value}]}],
    }
    rows = told(material.event("whatsapp", json.dumps(body).encode()))
    (row,) = [row for row in rows if isinstance(row, Message)]
    assert row.direction == ("outbound" if ours else "inbound")
    assert {row.source_contact_id for row in rows if isinstance(row, Contact)} == {person}


WITHOUT_VALUE = {"reaction.emoji", "source.standby"}
"""Facts whose value is rightly empty: a reaction taken away, and what another app was told."""
UNKNOWN = ("unknown_kind", "unknown_list", "custom/own")
"""Samples of what no parser knows, whose content alone tells what it means."""
READ = [known for known in KNOWN if not any(name in known.name for name in UNKNOWN)]


@pytest.mark.parametrize("known", READ, ids=[known.name for known in READ])
def test_every_fact_of_a_known_kind_has_a_value(known):
    empty = {row.key for row in told(known.event) if isinstance(row, Metadata) and not row.value}
    assert empty <= WITHOUT_VALUE


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_who_reacted_edited_or_withdrew_is_told(known):
    acts = {"reaction.emoji", "source.edited", "source.deleted"}
    # A custom source tells no actor.
    of_known = (row for row in told(known.event) if isinstance(row, Metadata) and row.source in ACTING)
    assert [row.key for row in of_known if row.key in acts and not row.actor_id] == []


RECEIPTS = {"source.delivery_state", "source.delivered_watermark", "source.read_watermark"}
UNREAD = {"accepted", "pending", "queued", "sending", "sent", "failed", "undelivered", "deleted"}
"""States that nobody on the other side has brought about."""
WITHOUT_READER = {"airy", "desk", "viber"}
"""Sources whose receipts do not say who: their users' own systems tell them."""
ACTING = {"facebook", "instagram", "whatsapp"}
DIGITS = st.integers(10_000_000_000, 19_999_999_999).map(str)
USER_IDS = st.integers(1, 10**12).map(lambda number: f"US.{number}")


@given(st.sampled_from(["number", "user_id", "update"]), st.data())
def test_a_change_of_an_id_is_about_the_person_and_keeps_both(kind, data):
    some = DIGITS if kind == "number" else USER_IDS
    old, new = data.draw(st.lists(some, min_size=2, max_size=2, unique=True))
    system = {"type": f"user_changed_{kind}", "wa_id" if kind == "number" else "user_id": new}
    said = {"id": "wamid.1", "timestamp": "1773489600", "type": "system", "system": system}
    said["from" if kind == "number" else "from_user_id"] = old
    update = {"user_id": {"previous": old, "current": new}, "timestamp": "1773489600"}
    items = {"user_id_update": [update]} if kind == "update" else {"messages": [said]}
    value = {"metadata": {"phone_number_id": "1"}, **items}
    field = "user_id_update" if kind == "update" else "messages"
    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}],
        }
    )
    rows = told(raw_event(body.encode(), source="whatsapp"))

    (fact,) = (row for row in rows if isinstance(row, Metadata))
    assert (fact.subject_type, fact.subject_id, fact.value) == (
        "contact",
        ids.contact_id("whatsapp", "", old),
        new,
    )
    aliases = {(row.source_contact_id, row.other_source_contact_id) for row in rows if isinstance(row, Alias)}
    assert (old, new) in aliases


@pytest.mark.parametrize("known", KNOWN, ids=[known.name for known in KNOWN])
def test_whoever_acted_is_a_recorded_contact_or_one_of_us(known):
    """Who has read, reacted, edited or withdrawn, in a group too, is somebody that views can name."""
    rows = told(known.event)
    people = {(row.source, row.source_contact_id) for row in rows if isinstance(row, Contact)}
    # A business is named by the channel's id, or by the number that it shows.
    channels = [row for row in rows if isinstance(row, Channel)]
    us = {(row.source, name) for row in channels for name in (row.source_channel_id, row.display_name)}
    acted = {(row.source, row.actor_id) for row in rows if isinstance(row, Metadata) and row.actor_id}
    assert acted <= people | us


@pytest.mark.parametrize("known", READ, ids=[known.name for known in READ])
def test_who_got_or_read_a_message_is_told(known):
    facts = [row for row in told(known.event) if isinstance(row, Metadata) and row.source not in WITHOUT_READER]
    unknown = [row.value for row in facts if row.key in RECEIPTS and row.value not in UNREAD and not row.actor_id]
    # A masked address is nobody.
    assert unknown == [] or "masked" in known.name
