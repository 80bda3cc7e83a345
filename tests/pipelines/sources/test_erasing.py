"""A person is taken out of an event, and what others said is what it was, row for row."""

import json
import random
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import sources
from pipelines.core import ids, rows
from pipelines.core.spellings import Spellings
from pipelines.sources import registry
from pipelines.sources.erasing import InseparableError, without
from pipelines.sources.normalization import every_row, traced
from schemas.raw_event import ERASED, RawEvent
from tests.material import samples
from tests.raw_events import raw_event

ANN, BOB = "4915550000101", "4915550000102"
NUMBER = {"display_phone_number": "4930550000", "phone_number_id": "7701"}
ANNS = ids.contact_id("whatsapp", "", ANN)


def is_anns(row: rows.Row) -> bool:
    return ANNS in (getattr(row, "contact_id", None), getattr(row, "other_contact_id", None))


BUTTONS = """
[buttons]
scheme = "none"
[buttons.mapping]
items = "/payload/*"
channel = "item.channel"
contact = "item.user"
[[buttons.mapping.message]]
id = "item.id"
"""
SPELT = Spellings([ANN, ANNS])


def item(sender: str, number: int, **more: object) -> dict[str, object]:
    return {"from": sender, "id": f"wamid.{number}", "timestamp": f"{1_700_000_000 + number}", "type": "text"} | {
        "text": {"body": f"text {number}"},
        **more,
    }


def body(messages: list[object], contacts: list[object], **more: object) -> bytes:
    value = {"metadata": NUMBER, "contacts": contacts, "messages": messages, **more}
    entry = {"id": "55", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def whatsapp(data: bytes) -> RawEvent:
    return raw_event(data, source="whatsapp", number=1)


def profile(number: str) -> dict[str, object]:
    return {"wa_id": number, "profile": {"name": f"who has {number[-3:]}"}}


@given(senders=st.lists(st.sampled_from([ANN, BOB, "4915550000103"]), min_size=1, max_size=5), seed=st.integers())
def test_every_other_byte_and_row_stays(senders: list[str], seed: int):
    mixed = random.Random(seed)
    order = mixed.sample(sorted(set(senders)), len(set(senders)))
    items = [item(sender, number) for number, sender in enumerate(senders)]
    event = whatsapp(body(items, [profile(each) for each in order]))
    # What is to come out, written as it would have come without her.
    kept = [None if sender == ANN else each for sender, each in zip(senders, items, strict=True)]
    expected = body(kept, [None if each == ANN else profile(each) for each in order])

    left = without(event, is_anns, SPELT, "run-1")

    if ANN not in senders:
        assert left is None
        return
    assert left is not None
    assert left.is_alone == (set(senders) == {ANN})
    if left.is_alone:
        assert left.event.data == b""
        assert set(left.event.attributes) == {"event_id", "source", "received_at", ERASED}
        (ledger,) = every_row(left.event)
        assert (ledger.outcome, ledger.reason) == ("ignored", "erased by run-1")
    else:
        assert left.event.data == expected
        told = set(every_row(left.event)[1:])
        assert told == set(every_row(event)[1:]) - set(left.removed)
        assert not any(map(is_anns, told))
        assert {row.content for row in told if isinstance(row, rows.Message)} == {
            json.dumps(each) for each in kept if each
        }
    assert not SPELT.are_in(left.event.data)
    again = without(left.event, is_anns, SPELT, "run-1")
    assert again is None


def test_what_others_say_of_the_person_stays_and_is_told():
    said = item(BOB, 1, text={"body": f"call {ANN}"})
    event = whatsapp(body([said], [profile(BOB)]))

    left = without(event, is_anns, SPELT, "run-1")

    assert left is not None
    assert (left.event is event, left.mentions, left.removed) == (True, True, [])


def test_who_has_the_same_number_elsewhere_keeps_what_their_rows_are_made_of():
    # A customer by SMS is erased, the contact of WhatsApp with that number is not: its profile names the number.
    sms = ids.contact_id("twilio", "twilio.sms", f"+{ANN}")
    nobodys = {"wa_id": "4915550000109", "profile": {"name": f"of {ANN}"}}
    event = whatsapp(body([item(ANN, 1)], [profile(ANN)]))
    with_more = whatsapp(body([item(ANN, 1)], [profile(ANN), nobodys]))

    def is_sms(row: rows.Row) -> bool:
        return getattr(row, "contact_id", None) == sms

    left = without(event, is_sms, Spellings([f"+{ANN}", ANN]), "run-1")
    assert left is not None
    assert (left.event is event, left.mentions, left.removed) == (True, True, [])
    # What nobody's rows are made of goes.
    left = without(with_more, is_sms, Spellings([f"+{ANN}", ANN]), "run-1")
    assert left is not None
    assert left.event.data == body([item(ANN, 1)], [profile(ANN), None])
    assert set(every_row(left.event)[1:]) == set(every_row(with_more)[1:])
    said_twice = without(left.event, is_sms, Spellings([f"+{ANN}", ANN]), "run-1")
    assert said_twice is not None
    assert said_twice.event is left.event


def test_an_item_that_cannot_be_read_goes_with_whom_it_names_and_no_other():
    broken, others = {"from": ANN, "id": ["x"]}, {"from": BOB, "id": ["y"]}
    event = whatsapp(body([broken, others, item(BOB, 2)], [profile(BOB)]))
    letters = [row for row in every_row(event) if isinstance(row, rows.DeadLetter)]
    assert len(letters) == 2

    left = without(event, is_anns, SPELT, "run-1")

    assert left is not None
    assert left.removed == letters[:1]
    kept = [row for row in every_row(left.event) if isinstance(row, rows.DeadLetter)]
    assert [(row.pointer, row.data, row.attributes) for row in kept] == [
        (letters[1].pointer, letters[1].data, letters[1].attributes)
    ]


def test_a_member_of_a_group_goes_and_the_group_is_told_anew():
    group = {"timestamp": "1700000000", "group_id": "group-1", "type": "group_participants_add"}
    group["added_participants"] = [{"wa_id": ANN}, {"wa_id": BOB}]
    event = whatsapp(body([item(BOB, 3)], [profile(BOB)], groups=[group]))

    left = without(event, is_anns, SPELT, "run-1")

    assert left is not None
    assert b'[null, {"wa_id": "4915550000102"}]' in left.event.data
    assert not any(map(is_anns, every_row(left.event)))


def test_what_cannot_be_parted_is_refused(monkeypatch: pytest.MonkeyPatch):
    for name, parser in registry.parsers(BUTTONS).items():
        monkeypatch.setitem(sources.PARSERS, name, parser)
    taps = [{"user": who, "channel": "shop", "id": who} for who in ("somebody", "else")]
    form = urlencode({"payload": json.dumps(taps)}).encode()
    event = raw_event(form, source="buttons", number=2)
    event = RawEvent(form, {**event.attributes, "content_type": "application/x-www-form-urlencoded"})
    one, two = (row.contact_id for row in every_row(event) if isinstance(row, rows.Contact))

    def owns(row: rows.Row) -> bool:
        return getattr(row, "contact_id", None) == one

    def owns_both(row: rows.Row) -> bool:
        return getattr(row, "contact_id", None) in {one, two}

    with pytest.raises(InseparableError):
        without(event, owns, None, "run-1")
    left = without(event, owns_both, None, "run-1")
    assert left is not None
    assert left.is_alone


@pytest.mark.parametrize("known", list(samples()), ids=lambda known: known.name)
def test_each_person_of_every_sample_can_be_taken_out(known):
    trace = traced(known.event)
    assert trace.made == every_row(known.event)
    people = {row.contact_id for row in trace.made if isinstance(row, rows.Contact)}
    for contact in people:

        def owns(row: rows.Row, contact: str = contact) -> bool:
            return contact in (getattr(row, "contact_id", None), getattr(row, "other_contact_id", None))

        try:
            left = without(known.event, owns, None, "run-1")
        except InseparableError:
            # Two contacts that are one person by an alias that one item tells.
            continue
        assert left is not None
        assert not any(map(owns, every_row(left.event)))
        remaining = {row for row in trace.made[1:] if not owns(row) and row not in left.removed}
        assert remaining <= set(every_row(left.event))
