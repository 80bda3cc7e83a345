import json

import pytest
from normalized import normalized
from told import sample, sample_names, told

CONVERSATION, CHANNEL = "5f0c2b52-0000-4000-8000-000000000001", "5f0c2b52-0000-4000-8000-000000000002"

EVENTS = {
    "channel_updated": ["channel source.channel_updated=true"],
    "conversation_updated": [
        "conversation source.conversation_updated=5f0c2b52-0000-4000-8000-000000000001",
        "conversation source.is_typing=true",
    ],
    "message_created": ["inbound message airy-1"],
    "message_created_by_agent": ["outbound message airy-2", "message source.delivery_state=pending"],
    "message_failed": [
        "outbound message airy-2 updated",
        "message source.delivery_state=failed",
        "message source.error=Conversation expired",
    ],
    "message_updated": [
        "outbound message airy-2 updated",
        "message source.delivery_state=seen",
        "message reaction.emoji=❤️",
    ],
    "unknown_kind": ["conversation source.tag_added="],
}


def test_every_sample_is_expected_to_tell_something():
    assert sample_names("airy") == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_event_tells(name):
    rows = sample("airy", name)
    assert told(rows) == EVENTS[name]
    assert rows.events.outcome == "normalized"


def test_content_is_the_message_with_what_the_source_gave():
    message = sample("airy", "message_created").messages
    assert json.loads(message.content)["content"] == {"text": "Grüß dich"}
    assert message.pointer == "/payload/message"
    assert message.sender_id == "visitor-42"


def test_both_directions_are_in_one_conversation_with_one_contact():
    inbound, outbound = (sample("airy", name) for name in ("message_created", "message_created_by_agent"))
    assert inbound.messages.conversation_id == outbound.messages.conversation_id
    assert inbound.messages.contact_id == outbound.messages.contact_id
    assert inbound.contacts.alternative_ids == ("sender_id=visitor-42",)
    assert outbound.contacts.alternative_ids == ()


def test_update_is_the_same_message_and_its_facts_are_of_the_update():
    created, updated = (sample("airy", name) for name in ("message_created_by_agent", "message_updated"))
    assert updated.messages.message_id == created.messages.message_id
    assert updated.messages.sent_at == created.messages.sent_at
    assert {fact.subject_id for fact in updated["metadata"]} == {created.messages.message_id}
    assert {fact.occurred_at_from for fact in updated["metadata"]} == {"received"}


def test_last_message_of_a_conversation_is_no_new_message():
    rows = sample("airy", "conversation_updated")
    assert rows["messages"] == []
    assert rows.contacts.display_name == "Kontakt 42"
    assert rows.conversations.conversation_id == sample("airy", "message_created").messages.conversation_id


def test_channel_tells_its_name():
    rows = sample("airy", "channel_updated")
    assert (rows.channels.source_channel_id, rows.channels.display_name) == (CHANNEL, "Unser Laden")


def test_channel_may_be_nested_in_the_conversation():
    body = {"type": "conversation.updated", "payload": {"id": CONVERSATION, "channel": {"id": CHANNEL}}}
    rows = normalized("airy", json.dumps(body).encode())
    assert rows.channels.source_channel_id == CHANNEL


@pytest.mark.parametrize(("payload", "word"), [("null", ""), ("7", "7"), ("{}", ""), ('{"message":{}}', "")])
def test_event_that_names_nothing_is_a_fact_about_an_unknown_channel(payload, word):
    rows = normalized("airy", b'{"type":"message.created","payload":%s}' % payload.encode())
    assert told(rows) == [f"channel source.message_created={word}"]


@pytest.mark.parametrize("body", [b"{}", b'{"message":{"text":"?"}}', b"[]"])
def test_what_has_no_type_is_ignored(body):
    assert normalized("airy", body).events.outcome == "ignored"
