"""One person is one contact and one conversation in the views, whichever of their ids was told."""

import datetime as dt
import itertools
import json

import pytest

from pipelines.core import ids
from schemas.raw_event import RawEvent, format_received_at

NUMBER, CHANNEL = "15550104400", "770000000000023"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PHONE, BSUID = "15550108899", "US.2081"


def at(minute):
    return str(int((NOON + dt.timedelta(minutes=minute)).timestamp()))


def whatsapp(minute, field="messages", channel=CHANNEL, **lists):
    metadata = {"display_phone_number": NUMBER, "phone_number_id": channel}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **lists}
    entry = {"id": "880000000000017", "changes": [{"field": field, "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    attributes = {
        "event_id": f"019caaaa-0000-7000-8000-{minute:012d}",
        "source": "whatsapp",
        "received_at": format_received_at(NOON + dt.timedelta(minutes=minute, seconds=1)),
    }
    return RawEvent(body, attributes)


def says(minute, channel=CHANNEL, **ends):
    said = {"id": f"wamid.{minute}", "timestamp": at(minute), "type": "text", "text": {"body": "?"}}
    return whatsapp(minute, channel=channel, messages=[said | ends])


def receipt(minute, status="delivered", of="wamid.answer", **recipient):
    told = {"id": of, "status": status, "timestamp": at(minute)}
    return whatsapp(minute, statuses=[told | recipient])


def only(rows):
    (row,) = rows
    return row


def test_a_number_and_a_user_id_are_one_contact_and_one_conversation(analyst):
    analyst.tell(says(1, **{"from": PHONE, "from_user_id": BSUID}), says(2, from_user_id=BSUID))

    contact = only(analyst.query("SELECT * FROM parley.contacts"))
    assert (contact["source_contact_id"], contact["source_contact_ids"]) == (PHONE, [PHONE, BSUID])
    assert (contact["messages"], contact["conversations"]) == (2, 1)
    talk = only(analyst.query("SELECT * FROM parley.conversations"))
    assert (talk["messages"], talk["open_questions"], talk["source_conversation_id"]) == (2, 2, PHONE)
    assert talk["contact_id"] == contact["contact_id"] == ids.contact_id("whatsapp", "", PHONE)
    assert talk["conversation_id"] == ids.conversation_id(ids.channel_id("whatsapp", CHANNEL), PHONE)
    told = analyst.query("SELECT DISTINCT contact_id, conversation_id FROM parley.messages")
    assert told == [{name: talk[name] for name in ("contact_id", "conversation_id")}]


def test_an_answer_that_is_known_by_a_receipt_to_the_other_id_is_one(analyst):
    analyst.tell(says(1, **{"from": PHONE, "from_user_id": BSUID}), receipt(3, recipient_user_id=BSUID))

    talk = only(analyst.query("SELECT is_waiting, first_response_seconds FROM parley.conversations"))
    assert talk == {"is_waiting": False, "first_response_seconds": 120}
    assert only(analyst.query("SELECT response_seconds FROM parley.response_times")) == {"response_seconds": 120}


def test_a_link_that_one_channel_tells_holds_on_every_channel(analyst):
    analyst.tell(
        says(1, **{"from": PHONE, "from_user_id": BSUID}),
        says(2, channel="other", **{"from": PHONE}),
        says(3, channel="other", from_user_id=BSUID),
    )

    found = analyst.query("SELECT messages FROM parley.conversations ORDER BY messages")
    assert [row["messages"] for row in found] == [1, 2]
    assert only(analyst.query("SELECT messages FROM parley.contacts")) == {"messages": 3}


@pytest.mark.parametrize(
    ("one", "other"),
    [("5215599990001", "525599990001"), ("551187654321", "5511987654321"), ("541155551234", "5491155551234")],
)
def test_two_spellings_of_a_number_are_one(analyst, one, other):
    analyst.tell(says(1, **{"from": one}), receipt(2, recipient_id=other))

    assert only(analyst.query("SELECT is_waiting FROM parley.conversations")) == {"is_waiting": False}
    assert only(analyst.query("SELECT source_contact_ids FROM parley.contacts"))["source_contact_ids"] == [
        one,
        other,
    ]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_changes_ends_at_one_person(analyst, backwards):
    numbers = [f"1555010{number:04}" for number in range(7)]
    changes = [
        whatsapp(
            10 + n,
            messages=[
                {
                    "from": old,
                    "id": f"wamid.c{n}",
                    "timestamp": at(10 + n),
                    "type": "system",
                    "system": {"type": "user_changed_number", "wa_id": new},
                }
            ],
        )
        for n, (old, new) in enumerate(itertools.pairwise(numbers))
    ]
    told = [says(n, **{"from": number}) for n, number in enumerate(numbers)] + changes
    analyst.tell(*(reversed(told) if backwards else told))

    assert only(analyst.query("SELECT messages FROM parley.contacts")) == {"messages": 7}
    assert only(analyst.query("SELECT messages FROM parley.conversations")) == {"messages": 7}


def test_a_wrong_alias_is_taken_out_and_put_back(analyst):
    analyst.tell(says(1, **{"from": PHONE, "from_user_id": BSUID}), says(2, from_user_id=BSUID))
    pair = only(analyst.query("SELECT contact_id, other_contact_id FROM parley.aliases"))
    one, other = pair.values()

    def decide(decision, minute):
        analyst.insert(
            "alias_decisions",
            "(decision_id, contact_id, other_contact_id, decision, decided_at) VALUES "
            f"('d{minute}', '{other}', '{one}', '{decision}', TIMESTAMP '2026-03-03 00:{minute}:00+00')",
        )
        return len(analyst.query("SELECT contact_id FROM parley.contacts"))

    assert decide("different", 10) == 2
    assert only(analyst.query("SELECT void_because FROM parley.aliases")) == {"void_because": "taken out"}
    assert decide("withdrawn", 11) == 1


def test_a_user_name_that_two_have_had_links_nobody(analyst):
    def named(minute, **ends):
        contact = {"profile": {"username": "kim"}} | {
            "wa_id" if name == "from" else "user_id": value for name, value in ends.items()
        }
        said = {"id": f"wamid.{minute}", "timestamp": at(minute), "type": "text", "text": {"body": "?"}} | ends
        return whatsapp(minute, contacts=[contact], messages=[said])

    analyst.tell(named(1, **{"from": PHONE}), named(2, from_user_id=BSUID))
    assert len(analyst.query("SELECT contact_id FROM parley.contacts")) == 1

    analyst.tell(named(3, from_user_id="US.77"))
    assert len(analyst.query("SELECT contact_id FROM parley.contacts")) == 3
    assert {row["void_because"] for row in analyst.query("SELECT void_because FROM parley.aliases")} == {
        "ambiguous"
    }


def test_a_user_name_that_two_numbers_have_had_links_nobody(analyst):
    def named(minute, number):
        contact = {"profile": {"username": "kim"}, "wa_id": number}
        said = {"id": f"wamid.{minute}", "timestamp": at(minute), "type": "text", "text": {"body": "?"}}
        return whatsapp(minute, contacts=[contact], messages=[said | {"from": number}])

    analyst.tell(named(1, PHONE), named(2, "15550108898"))

    assert len(analyst.query("SELECT contact_id FROM parley.contacts")) == 2


def test_a_group_stays_a_conversation_of_its_own(analyst):
    analyst.tell(says(1, **{"from": PHONE, "from_user_id": BSUID, "group_id": "G"}), says(2, from_user_id=BSUID))

    found = analyst.query("SELECT source_conversation_id, messages FROM parley.conversations ORDER BY 1")
    assert found == [
        {"source_conversation_id": PHONE, "messages": 1},
        {"source_conversation_id": "G", "messages": 1},
    ]


def test_a_reaction_by_either_id_is_one_persons(analyst):
    def reacts(minute, emoji, **ends):
        told = {"id": f"wamid.{minute}", "timestamp": at(minute), "type": "reaction"}
        return whatsapp(minute, messages=[told | ends | {"reaction": {"message_id": "wamid.1", "emoji": emoji}}])

    analyst.tell(
        says(1, **{"from": PHONE, "from_user_id": BSUID}),
        reacts(2, "👍", **{"from": PHONE}),
        reacts(3, "❤", from_user_id=BSUID),
    )

    found = only(analyst.query("SELECT reactions FROM parley.messages_current"))["reactions"]
    assert [(each["emoji"], each["actor_id"]) for each in found] == [("❤", PHONE)]


def test_a_webhook_that_tells_an_alias_twice_tells_it_once(analyst):
    ends = {"from": PHONE, "from_user_id": BSUID}
    said = [{"id": f"wamid.{n}", "timestamp": at(n), "type": "text", "text": {"body": "?"}} | ends for n in (1, 2)]
    analyst.tell(whatsapp(1, messages=said), says(3, **ends))

    assert only(analyst.query("SELECT tellings FROM parley.aliases")) == {"tellings": 2}


def test_metadata_of_a_conversation_are_about_the_one_whichever_id_was_told(analyst):
    told = {"user_id": BSUID, "category": "marketing_messages", "value": "stop", "timestamp": at(2)}
    analyst.tell(
        says(1, **{"from": PHONE, "from_user_id": BSUID}),
        whatsapp(2, "user_preferences", user_preferences=[told]),
    )

    columns = "subject_type, subject_id, conversation_id, contact_id"
    conversation = ids.conversation_id(ids.channel_id("whatsapp", CHANNEL), PHONE)
    assert only(analyst.query(f"SELECT {columns} FROM parley.metadata")) == {
        "subject_type": "conversation",
        "subject_id": conversation,
        "conversation_id": conversation,
        "contact_id": ids.contact_id("whatsapp", "", PHONE),
    }


def test_an_alias_says_who_told_it(analyst):
    analyst.tell(*(says(n, **{"from": PHONE, "from_user_id": BSUID}) for n in (1, 2)))

    alias = only(analyst.query("SELECT * FROM parley.aliases"))
    assert (alias["kind"], alias["tellings"], alias["void_because"]) == ("user_id", 2, None)
    assert alias["event_id"] == "019caaaa-0000-7000-8000-000000000001"
    assert (alias["first_told_at"], alias["last_told_at"]) == tuple(NOON + dt.timedelta(minutes=n) for n in (1, 2))


@pytest.mark.parametrize("backwards", [False, True])
def test_a_telling_without_content_gives_way_to_a_real_one(analyst, backwards):
    told = {"from": PHONE, "id": "wamid.1", "timestamp": at(1)}
    error = {"code": 131051, "title": "Message type is not currently supported"}
    bare = whatsapp(2, messages=[told | {"type": "unsupported", "errors": [error]}])
    real = whatsapp(1 if backwards else 3, messages=[told | {"type": "text", "text": {"body": "here"}}])
    analyst.tell(bare, real)

    assert only(analyst.query("SELECT text, flags FROM parley.message_texts")) == {"text": "here", "flags": []}
