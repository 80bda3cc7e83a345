import json

import pytest
from normalized import normalized
from told import sample, sample_names, told

from pipelines.core import ids

AGENT, CONVERSATION = "agent-0001", "conversation-0001"
CHANNEL = ids.channel_id("google", AGENT)

EVENTS = {
    "authentication_response": ["conversation source.authentication_response=granted"],
    "live_agent_requested": ["conversation source.live_agent_requested=true"],
    "placeholder_times": ["inbound message message-0003"],
    "receipts": ["message source.delivery_state=delivered", "message source.delivery_state=read"],
    "suggestion_response": ["inbound suggestion_response request-0001"],
    "survey_response": ["conversation source.survey_response=VERY_POSITIVE"],
    "text": ["inbound message message-0001"],
    "text_with_dialogflow": ["inbound message message-0002", "message source.dialogflow_response=true"],
    "typing": ["conversation source.is_typing=true"],
    "typing_stopped": ["conversation source.is_typing=false"],
    "unknown_kind": ["conversation source.voice_note="],
}


def test_every_sample_is_expected_to_tell_something():
    assert sample_names("google") == sorted(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_event_tells(name):
    rows = sample("google", name)
    assert told(rows) == EVENTS[name]
    assert rows.events.outcome == "normalized"


def test_agent_is_the_channel_and_the_conversation_the_contact():
    rows = sample("google", "text")
    assert rows.channels.channel_id == CHANNEL
    assert rows.conversations.conversation_id == ids.conversation_id(CHANNEL, CONVERSATION)
    assert rows.contacts.contact_id == ids.contact_id("google", CHANNEL, CONVERSATION)
    assert (rows.contacts.display_name, rows.contacts.locale) == ("Kontakt 42", "de-DE")


def test_time_is_that_of_creation_and_keeps_its_nanoseconds_as_text():
    message = sample("google", "text").messages
    assert (message.sent_at_from, message.sent_at_raw) == ("item", "2024-07-30T10:00:00.987654321Z")
    assert message.sent_at % 1_000_000 == 987654


def test_live_agent_request_without_a_time_takes_that_of_sending():
    fact = sample("google", "authentication_response").metadata
    assert (fact.occurred_at_from, fact.occurred_at_raw) == ("envelope", "2024-07-30T10:00:01.123456789Z")


def test_placeholder_times_fall_back_to_the_time_of_receipt():
    assert sample("google", "placeholder_times").messages.sent_at_from == "received"


def test_each_receipt_is_about_the_message_that_it_names():
    facts = sample("google", "receipts")["metadata"]
    assert [fact.subject_id for fact in facts] == [
        ids.message_id("google", CHANNEL, f"agent-message-{n}") for n in ("0001", "0002")
    ]
    assert [fact.pointer for fact in facts] == ["/receipts/receipts/0", "/receipts/receipts/1"]


def test_bad_receipt_fails_alone():
    body = b'{"agent":"a","conversationId":"c","receipts":{"receipts":[7,{"message":"m","receiptType":"READ"}]}}'
    rows = normalized("google", body)
    assert rows.dead_letters.pointer == "/receipts/receipts/0"
    assert told(rows) == ["message source.delivery_state=read"]


def test_authorization_code_is_only_in_the_content():
    fact = sample("google", "authentication_response").metadata
    assert fact.value == "granted"
    assert '"code": "0001"' in fact.content


@pytest.mark.parametrize(
    ("failed", "value"),
    [({"error": "access_denied"}, "access_denied"), ({"errorDescription": "said no"}, "error"), ({}, "error")],
)
def test_refused_authentication_is_never_granted(failed, value):
    body = {"agent": "a", "conversationId": "c", "authenticationResponse": {"errorDetails": failed}}
    assert normalized("google", json.dumps(body).encode()).facts() == {"source.authentication_response": value}


def test_message_without_an_id_takes_the_one_in_its_name():
    body = b'{"agent":"a","conversationId":"c","message":{"name":"conversations/c/messages/m","text":"?"}}'
    assert normalized("google", body).messages.source_message_id == "m"


def test_event_without_a_conversation_is_about_the_channel():
    assert told(normalized("google", b'{"agent":"a","message":{"messageId":"m"}}')) == ["channel source.message="]


@pytest.mark.parametrize("body", [b"{}", b'{"clientToken":"t","secret":"s"}', b"[]"])
def test_what_names_no_agent_is_ignored(body):
    assert normalized("google", body).events.outcome == "ignored"
