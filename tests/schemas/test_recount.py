"""Counts of the views against a recount of the raw events that knows nothing of the pipeline."""

import json
from collections import Counter, defaultdict
from urllib.parse import parse_qs

import pytest
import sample_world as world

pytestmark = pytest.mark.thorough


def _messages(event):
    """Yield of each message in a request: source, contact, id, and whether it is inbound."""
    source = event.source
    if source == "twilio":
        form = {name: values[0] for name, values in parse_qs(event.data.decode()).items()}
        if "MessageStatus" not in form:
            yield "twilio.sms", form["From"], form["MessageSid"], True
        return
    body = json.loads(event.data)
    if source == "facebook":
        name = {"page": "facebook", "instagram": "instagram"}.get(body["object"])
        for item in (item for entry in body["entry"] for item in entry["messaging"]):
            message = item.get("message") or item.get("postback")
            if isinstance(message, dict) and not message.get("is_deleted"):
                is_echo = "is_echo" in message
                contact = item["recipient" if is_echo else "sender"]["id"]
                yield name, contact, message["mid"], not is_echo
    elif source == "whatsapp":
        for message in body["entry"][0]["changes"][0]["value"].get("messages", []):
            yield source, message["from"], message["id"], True
    elif source == "shop-app":
        for message in body["messages"]:
            contact = message.get("source_recipient_id") or message["source_sender_id"]
            yield source, contact, message["source_message_id"], message["from_contact"]
    elif source == "replies":
        yield body["source"], body["to"], body["source_message_id"], False
    elif source == "google":
        yield source, body["conversationId"], body["message"]["messageId"], True
    elif source == "chatplugin":
        known = event.attributes
        yield source, known["conversation_id"], known["message_id"], True


@pytest.fixture(scope="module")
def recount():
    """Ids of messages by source and contact: of all, and of the inbound ones."""
    every, inbound = defaultdict(set), defaultdict(set)
    for event in world.sample_events():
        try:
            told = list(_messages(event))
        except ValueError:
            continue
        for source, contact, message, is_inbound in told:
            every[source, contact].add(message)
            if is_inbound:
                inbound[source, contact].add(message)
    return {key: (len(ids), len(inbound[key])) for key, ids in every.items()}


def test_every_contact_has_as_many_messages_as_the_raw_events(sample_world, recount):
    counted = sample_world.query(
        "SELECT source, source_contact_id, messages, inbound_messages FROM parley.contacts WHERE messages > 0"
    )

    assert {(row["source"], row["source_contact_id"]): tuple(row.values())[2:] for row in counted} == recount


@pytest.mark.parametrize("view", ["conversations", "channels", "daily_activity"])
def test_every_source_has_as_many_messages_as_the_raw_events(sample_world, recount, view):
    expected = Counter()
    for (source, _), (messages, _) in recount.items():
        expected[source] += messages

    counted = sample_world.query(f"SELECT source, SUM(messages) AS messages FROM parley.{view} GROUP BY source")
    assert {row["source"]: row["messages"] for row in counted} == expected


def test_every_request_is_in_the_ledger_once(sample_world):
    (row,) = sample_world.query("SELECT COUNT(*) AS n, SUM(body_bytes) AS bytes FROM parley.events")

    events = world.sample_events()
    assert row == {"n": len(events), "bytes": sum(len(event.data) for event in events)}
