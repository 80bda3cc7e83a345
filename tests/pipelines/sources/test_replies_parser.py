"""Replies become the messages that the sources' own echoes and receipts are of."""

import json

import msgspec
import pytest

from pipelines.core.rows import Contact, DeadLetter, Event, Message, Metadata
from pipelines.sources.normalization import every_row, normalize
from schemas.raw_event import RawEvent
from schemas.replies import ATTEMPT_TYPE, OUTCOME_TYPE
from tests import material

REPLY_ID = "0b0c9d1e-2f3a-5b4c-8d5e-6f708192a3b4"
ACTOR = {"kind": "human", "id": "anna", "name": "Anna"}
PLACES = {
    "facebook": ("10", "20", "m_1"),
    "instagram": ("11", "21", "ig_1"),
    "whatsapp": ("1003", "4915112345678", "wamid.1"),
    "whatsapp by user id": ("1003", "US.13491208655302741918", "wamid.2"),
    "twilio": ("+4930123456", "+4915112345678", "SM0123456789abcdef0123456789abcdef"),
    "twilio whatsapp": ("whatsapp:+4930123456", "whatsapp:+4915112345678", "SM1123456789abcdef0123456789abcdef"),
    "chatplugin": ("shop", "3d9ac0d8", ""),
}
TOLD_BACK = [name for name in PLACES if name != "chatplugin"]


def event(body, content_type="application/json", **attributes) -> RawEvent:
    told = material.event("replies", json.dumps(body, ensure_ascii=False).encode())
    return RawEvent(told.data, told.attributes | {"content_type": content_type} | attributes)


def addressed(name: str, **more):
    channel, to, _ = PLACES[name]
    return {"source": name.split(maxsplit=1)[0], "channel": channel, "to": to, "content": {"text": "Grüße"}} | more


def outcome(name: str, result="accepted", **more) -> RawEvent:
    body = {"reply_id": REPLY_ID, "number": 1, "at": "2026-02-01T18:29:00.5Z", "result": result}
    if result == "accepted":
        body["source_message_id"] = PLACES[name][2]
    return event(body | {"reply": addressed(name, actor=ACTOR)} | more, OUTCOME_TYPE)


def told_back(name: str) -> RawEvent:
    """Return what the source itself tells of the message: its echo, or a receipt."""
    channel, to, message = PLACES[name]
    source = name.split(maxsplit=1)[0]
    if source in {"facebook", "instagram"}:
        item = {
            "sender": {"id": channel},
            "recipient": {"id": to},
            "timestamp": 1769944140500,
            "message": {"mid": message, "text": "Grüße", "is_echo": True},
        }
        kind = "page" if source == "facebook" else "instagram"
        body = {"object": kind, "entry": [{"id": channel, "time": 1769944140500, "messaging": [item]}]}
        return material.event("facebook", json.dumps(body).encode())
    if source == "whatsapp":
        whom = "recipient_id" if to.isdecimal() else "recipient_user_id"
        status = {"id": message, "status": "delivered", "timestamp": "1769944141", whom: to}
        value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": channel}, "statuses": [status]}
        entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
        return material.event(
            "whatsapp", json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        )
    form = f"MessageSid={message}&MessageStatus=delivered&From={channel}&To={to}&AccountSid=AC1".replace(
        "+", "%2B"
    )
    return material.event("twilio", form.encode(), is_form=True)


def rows(told: RawEvent, kind):
    made = every_row(told)
    assert not [row for row in made if isinstance(row, DeadLetter)]
    return [row for row in made if isinstance(row, kind)]


def place(row) -> tuple[str, ...]:
    return row.source, row.channel_id, row.contact_id, row.conversation_id


@pytest.mark.parametrize("name", TOLD_BACK)
def test_an_accepted_reply_is_the_message_that_the_source_tells_of(name):
    told = outcome(name)
    (message,) = rows(told, Message)
    back = [row for row in normalize(told_back(name)) if isinstance(row, Message | Metadata)]

    assert back
    for row in back:
        assert (row.message_id if isinstance(row, Message) else row.subject_id) == message.message_id
        assert place(row) == place(message)
    assert (message.direction, message.sender_id, message.content) == ("outbound", "anna", '{"text": "Grüße"}')
    assert message.content.encode() in told.data
    assert message.pointer == "/reply/content"
    assert message.sent_at_from == "item"


@pytest.mark.parametrize("name", PLACES)
def test_a_reply_that_was_posted_is_metadata_of_its_conversation_and_no_message(name):
    posted = event(addressed(name, actor=ACTOR), reply_id=REPLY_ID)
    (told,) = rows(posted, Metadata)

    assert not rows(posted, Message)
    assert (told.subject_type, told.subject_id, told.key, told.value, told.actor_id) == (
        *("reply", REPLY_ID),
        *("source.reply_state", "posted", "anna"),
    )
    assert place(told) == place(rows(outcome(name), Message)[0])
    assert {row.contact_id for row in rows(posted, Contact)} == {told.contact_id}


@pytest.mark.parametrize("result", ["refused", "not_sent", "in_doubt", "expired", "dropped"])
def test_what_was_not_accepted_is_no_message(result):
    told = outcome("facebook", result)

    assert not rows(told, Message)
    assert [(row.subject_id, row.value) for row in rows(told, Metadata)] == [(REPLY_ID, result)]


def test_an_accepted_reply_tells_who_answered_and_which_reply_it_was():
    told = {(row.subject_type, row.key): row for row in rows(outcome("whatsapp"), Metadata)}

    assert told["message", "source.reply"].value == REPLY_ID
    answered = told["message", "source.answered_by"]
    assert (answered.value, answered.actor_id) == ("human", "anna")
    assert told["reply", "source.reply_state"].value == "accepted"


def test_a_reply_by_phone_number_is_one_contact_however_it_is_written():
    (plain,) = rows(outcome("whatsapp"), Message)
    (plus,) = rows(outcome("whatsapp", reply=addressed("whatsapp", to="+4915112345678")), Message)

    assert place(plus) == place(plain)


def test_two_accepted_replies_that_say_the_same_without_an_id_are_two_messages():
    (one,) = rows(outcome("chatplugin", source_message_id=None, reply=chat()), Message)
    (two,) = rows(outcome("chatplugin", source_message_id=None, reply=chat(), reply_id="another"), Message)

    assert (one.source_message_id, two.source_message_id) == (REPLY_ID, "another")
    assert one.message_id != two.message_id
    assert one.conversation_id == two.conversation_id


def chat():
    return {"source": "chatplugin", "channel": "shop", "to": "3d9ac0d8", "content": {"text": "Hello"}}


def test_what_others_have_sent_is_a_message_under_the_provider_s_id():
    body = addressed("facebook", sent_by_others=True, source_message_id="m_1", sent_at="2026-01-20T08:00:00+01:00")
    told = event(body, reply_id=REPLY_ID)
    (message,) = rows(told, Message)

    assert message.message_id == rows(told_back("facebook"), Message)[0].message_id
    assert message.flags == ("reported", "reply")
    assert message.sender_id == "10"
    assert message.sent_at == 1768892400000000
    assert [row.value for row in rows(told, Metadata) if row.subject_type == "reply"] == ["reported"]


def test_an_attempt_makes_no_rows():
    (ledger,) = normalize(
        event({"reply_id": REPLY_ID, "number": 1, "at": "2026-02-01T18:29:00Z", "sender": "a"}, ATTEMPT_TYPE)
    )

    assert isinstance(ledger, Event)
    assert (ledger.outcome, ledger.reason) == ("ignored", "an attempt: its outcome tells what came of it")


@pytest.mark.parametrize(
    "told",
    [
        event(addressed("facebook")),
        event({"source": "facebook"}, reply_id=REPLY_ID),
        event({"reply_id": REPLY_ID}, OUTCOME_TYPE),
        event([], OUTCOME_TYPE),
    ],
    ids=["no id", "no reply", "no outcome", "a list"],
)
def test_what_is_none_of_these_is_a_dead_letter(told):
    assert [type(row) for row in normalize(told)][1:] == [DeadLetter]


def test_content_stays_as_it_was_written():
    told = event({}, reply_id=REPLY_ID)
    content = b'{"Body" :"\\ud83d\\ude00\\u0000"}'
    rest = b'"source":"twilio","channel":"+1","to":"+2","sent_by_others":true,"source_message_id":"SM1"'
    body = b'{%b, "content": %b }' % (rest, content)
    (message,) = rows(RawEvent(body, told.attributes), Message)

    assert message.content.encode() == content


def test_rows_do_not_depend_on_when_they_are_made():
    told = outcome("whatsapp")

    assert msgspec.json.encode(normalize(told)) == msgspec.json.encode(normalize(told))


@pytest.mark.parametrize("source", ["facebook", "instagram", "chatplugin"])
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("typing_on", ("source.is_typing", "true")),
        ("typing_off", ("source.is_typing", "false")),
        ("mark_seen", ("source.marked_seen", "true")),
    ],
)
def test_a_sender_action_is_metadata_and_no_message(source: str, action: str, expected: tuple[str, str]):
    done = outcome(
        source, source_message_id=None, reply=addressed(source, content={"sender_action": action}, actor=ACTOR)
    )

    assert rows(done, Message) == []
    (told,) = [row for row in rows(done, Metadata) if row.subject_type == "conversation"]
    assert (told.key, told.value, told.actor_id) == (*expected, "anna")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"source.marked_seen": "true"}),
        ({"typing_indicator": {"type": "text"}}, {"source.marked_seen": "true", "source.is_typing": "true"}),
    ],
)
def test_what_whatsapp_was_told_to_be_seen_is_metadata_and_no_message(more, expected: dict[str, str]):
    content = {"status": "read", "message_id": "wamid.1", **more}
    done = outcome("whatsapp", source_message_id=None, reply=addressed("whatsapp", content=content, actor=ACTOR))

    assert rows(done, Message) == []
    told = [row for row in rows(done, Metadata) if row.subject_type == "conversation"]
    assert {row.key: row.value for row in told} == expected
    assert {row.actor_id for row in told} == {"anna"}


@pytest.mark.parametrize("content", [{"sender_action": "wave"}, {"sender_action": 7}, {"text": "typing_on"}])
def test_what_is_no_sender_action_is_a_message(content: dict[str, object]):
    done = outcome("chatplugin", source_message_id=None, reply=addressed("chatplugin", content=content))

    assert len(rows(done, Message)) == 1
