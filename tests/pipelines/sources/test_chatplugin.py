import json

import pytest
from normalized import FIXTURES, RECEIVED, SAMPLES, Rows, normalized

from pipelines.core import ids

VISITOR = {
    "channel_id": "shop",
    "conversation_id": "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa",
    "message_id": "8a6f2c1e-57b0-5d0e-8c59-0a8f0b7a1c22",
}


def sent(body: bytes, **attributes: str) -> Rows:
    return normalized("chatplugin", body, **(VISITOR | attributes))


def sample(name: str) -> Rows:
    return sent((SAMPLES / "chatplugin" / f"{name}.json").read_bytes())


def test_a_text_becomes_an_inbound_message_of_the_verified_visitor():
    rows = sample("text")

    body = (SAMPLES / "chatplugin" / "text.json").read_text()
    message = rows.messages
    assert (message.source, message.direction, message.kind) == ("chatplugin", "inbound", "message")
    assert message.content == body[len('{"message":') : body.index(',"sent_at"')]
    assert json.loads(message.content)["text"].endswith("🙂\nThanks")
    assert message.pointer == "/message"
    assert message.content_type == "application/json"
    assert message.source_message_id == VISITOR["message_id"]
    assert message.sender_id == VISITOR["conversation_id"]
    assert message.channel_id == rows.channels.channel_id == ids.channel_id("chatplugin", "shop")
    assert message.conversation_id == rows.conversations.conversation_id
    assert message.contact_id == rows.contacts.contact_id == rows.conversations.contact_id
    assert rows.conversations.source_conversation_id == VISITOR["conversation_id"]
    assert rows.contacts.source_contact_id == VISITOR["conversation_id"]
    assert rows.events.outcome == "normalized"


def test_the_time_is_when_the_visitor_wrote_so_that_a_later_retry_lies_in_the_same_partition():
    message = sample("text").messages
    retried = normalized(
        "chatplugin",
        (SAMPLES / "chatplugin" / "text.json").read_bytes(),
        **VISITOR,
        event_id="0193aaaa-0000-7000-8000-000000000002",
        received_at="2026-11-23T00:00:01.000000Z",
    ).messages

    assert (message.sent_at_from, message.sent_at_raw) == ("item", "2026-11-22T18:29:58.123Z")
    assert message.sent_at == RECEIVED - 2_127_000
    assert (retried.message_id, retried.sent_date) == (message.message_id, message.sent_date)


@pytest.mark.parametrize("written", ["", ',"sent_at":null', ',"sent_at":"soon"', ',"sent_at":{"at":1}'])
def test_without_a_time_it_is_the_time_of_receipt(written: str):
    message = sent(f'{{"message":{{"text":"x"}}{written}}}'.encode()).messages

    assert (message.sent_at, message.sent_at_from) == (RECEIVED, "received")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", "message"),
        ("attachment", "message"),
        ("quick_reply", "quick_reply"),
        ("airy_postback", "postback"),
    ],
)
def test_samples_by_kind(name: str, kind: str):
    assert sample(name).messages.kind == kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('{"type":"postback","postbackData":"a"}', "postback"),
        ('{"type":"suggestionResponse","text":"a","postbackData":"b"}', "suggestion_response"),
        ('{"type":"unknown","text":"a"}', "message"),
        ('{"type":7,"postbackData":null}', "message"),
        ('"just text"', "message"),
        ("[1, 2.50]", "message"),
        ('{"text":"\\ud83d cut"}', "message"),
    ],
)
def test_any_json_is_a_message_and_stays_as_it_is(message: str, kind: str):
    row = sent(f'{{"message": {message} }}'.encode()).messages

    assert (row.kind, row.content) == (kind, message)


def test_visitors_of_two_channels_share_nothing():
    first, second = sample("text"), sent(b'{"message":"x"}', channel_id="help")

    assert first.conversations.conversation_id != second.conversations.conversation_id
    assert first.contacts.contact_id != second.contacts.contact_id


@pytest.mark.parametrize("missing", ["channel_id", "conversation_id", "message_id"])
def test_an_event_without_the_verified_identity_is_a_dead_letter(missing: str):
    rows = sent(b'{"message":"x"}', **{missing: ""})

    assert rows.dead_letters.error_class == "MissingAttributeError"
    assert missing in rows.dead_letters.error_message
    assert rows["messages"] == rows["channels"] == []


def test_a_body_without_a_message_is_ignored_and_one_that_is_no_json_a_dead_letter():
    assert sent(b'{"message":null}').events.outcome == "ignored"
    assert sent(b"{").dead_letters.stage == "parse"


@pytest.mark.skipif(not FIXTURES.exists(), reason="the collected payloads are not beside this repository")
def test_the_samples_of_airys_documentation_become_messages():
    for path in sorted((FIXTURES / "airy_chat_plugin").glob("send_*.json")):
        assert sent(path.read_bytes()).messages.kind == "message"


def test_the_same_words_of_two_people_are_no_redelivery_and_a_retry_is():
    body = b'{"message":{"text":"hello"}}'
    first, retried, other = sent(body), sent(body), sent(body, message_id="another", conversation_id="someone")
    assert first.events.body_sha256 == retried.events.body_sha256 != other.events.body_sha256


def test_what_a_visitor_has_seen_is_read_of_the_answers_that_are_known_by_their_replies():
    rows = sample("seen")

    told = rows.metadata
    answer = ids.message_id("chatplugin", "", "0b0c9d1e-2f3a-5b4c-8d5e-6f708192a3b4")
    assert (told.subject_type, told.subject_id) == ("message", answer)
    assert (told.key, told.value, told.actor_id) == ("source.delivery_state", "read", VISITOR["conversation_id"])
    assert told.conversation_id == rows.conversations.conversation_id == sample("text").messages.conversation_id


def test_that_a_visitor_types_is_told_of_the_conversation():
    told = sample("typing").metadata

    assert (told.subject_type, told.subject_id) == ("conversation", told.conversation_id)
    assert (told.key, told.value) == ("source.is_typing", "true")


@pytest.mark.parametrize("body", [b'{"event":"left"}', b'{"event":null}', b'{"event":{"a":1}}', b"{}"])
def test_what_says_nothing_is_ignored(body: bytes):
    assert sent(body).events.outcome == "ignored"


@pytest.mark.parametrize("seen", [b"7", b'{"a":1}', b"[1]", b'["x"'])
def test_ids_that_are_none_fail(seen: bytes):
    assert sent(b'{"event":"seen","message_ids":%s}' % seen).events.outcome == "failed"


def test_an_address_that_a_visitor_leaves_is_known_of_the_contact():
    rows = sample("email")

    told = rows.metadata
    assert (told.subject_type, told.subject_id) == ("contact", rows.contacts.contact_id)
    assert (told.key, told.value) == ("source.email", "anna@shop.example")
    assert json.loads(rows.messages.content)["text"] == "anna@shop.example"
