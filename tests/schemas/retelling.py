"""What a generated world's raw events say, read without the pipeline: the counts that the views must give."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from schemas.raw_event import RawEvent


class Said(NamedTuple):
    """A message: its conversation, its contact (the conversation itself, for some), when it was sent (µs)."""

    source: str
    talk: tuple[str, str]
    contact: str
    message: str
    is_inbound: bool
    at: int


class Receipt(NamedTuple):
    """A state of one message, and when it came to it (microseconds)."""

    source: str
    talk: tuple[str, str]
    message: str
    state: str
    at: int


class Noted(NamedTuple):
    """A reaction, an edit or a deletion of one message."""

    source: str
    key: str
    message: str


Fact = Said | Receipt | Noted


def retell(events: Iterable[RawEvent], names: Mapping[str, str]) -> Iterator[Fact]:
    """Yield what is said of single messages, as often as it is told; `names` has the name of whoever has an id."""
    for event in events:
        for fact in _READERS[event.source](event):
            yield fact if isinstance(fact, Noted) else _named(fact, names)


def _named(fact: Said | Receipt, names: Mapping[str, str]) -> Said | Receipt:
    """Return a fact about the person instead of the id by which it is told."""
    ours, theirs = fact.talk
    fact = fact._replace(talk=(ours, names.get(_bare(theirs), theirs)))
    return fact._replace(contact=names.get(_bare(fact.contact), fact.contact)) if isinstance(fact, Said) else fact


def _bare(known: str) -> str:
    return known.removeprefix("whatsapp:").removeprefix("+")


def _meta(event: RawEvent) -> Iterator[Fact]:
    body = json.loads(event.data)
    source = {"page": "facebook", "instagram": "instagram"}[body["object"]]
    for item in (item for entry in body["entry"] for item in entry["messaging"]):
        message: dict[str, Any] = item.get("message", {})
        ours, theirs = item["recipient"]["id"], item["sender"]["id"]
        if "is_echo" in message:
            ours, theirs = theirs, ours
        talk, at = (ours, theirs), item["timestamp"] * 1_000
        if message.get("is_deleted"):
            yield Noted(source, "source.deleted", message["mid"])
        elif message:
            yield Said(source, talk, theirs, message["mid"], "is_echo" not in message, at)
        if "postback" in item:
            yield Said(source, talk, theirs, item["postback"]["mid"], True, at)
        for mid in item.get("delivery", {}).get("mids", []):
            yield Receipt(source, talk, mid, "delivered", at)
        if "mid" in item.get("read", {}):
            yield Receipt(source, talk, item["read"]["mid"], "read", at)
        if "reaction" in item:
            yield Noted(source, "reaction.emoji", item["reaction"]["mid"])
        if item.get("message_edit", {}).get("num_edit"):
            yield Noted(source, "source.edited", item["message_edit"]["mid"])


def _whatsapp(event: RawEvent) -> Iterator[Fact]:
    for value in (each["value"] for entry in json.loads(event.data)["entry"] for each in entry["changes"]):
        if "metadata" not in value:
            continue  # It is about the account.
        ours = value["metadata"]["phone_number_id"]
        for message in value.get("messages", []):
            theirs = message.get("from") or message.get("from_user_id")
            talk, at = (ours, message.get("group_id", theirs)), int(message["timestamp"]) * 1_000_000
            match message["type"]:
                case "reaction":
                    yield Noted("whatsapp", "reaction.emoji", message["reaction"]["message_id"])
                case "edit":
                    yield Noted("whatsapp", "source.edited", message["edit"]["original_message_id"])
                case "revoke":
                    yield Noted("whatsapp", "source.deleted", message["revoke"]["original_message_id"])
                case "system":
                    pass
                case _:
                    yield Said("whatsapp", talk, theirs, message["id"], True, at)
        for message, theirs in _history(value):
            at = int(message["timestamp"]) * 1_000_000
            inbound = theirs in {message.get("from"), message.get("from_user_id")}
            yield Said("whatsapp", (ours, theirs), theirs, message["id"], inbound, at)
            if not inbound:
                state = message["history_context"]["status"].lower()
                yield Receipt("whatsapp", (ours, theirs), message["id"], state, at)
        for echo in value.get("message_echoes", []):
            theirs = echo.get("group_id") or echo.get("to") or echo["to_user_id"]
            at = int(echo["timestamp"]) * 1_000_000
            yield Said("whatsapp", (ours, theirs), theirs, echo["id"], False, at)
        for status in value.get("statuses", []):
            theirs = status.get("recipient_id") or status["recipient_user_id"]
            at = int(status["timestamp"]) * 1_000_000
            yield Receipt("whatsapp", (ours, theirs), status["id"], status["status"], at)


def _history(value: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each message of a history, and with whom it was exchanged."""
    for thread in (thread for chunk in value.get("history", []) for thread in chunk["threads"]):
        context = thread.get("context", {})
        for message in thread["messages"]:
            yield message, thread.get("id") or context.get("wa_id") or context["user_id"]


def _reported(event: RawEvent) -> Iterator[Fact]:
    reply = json.loads(event.data)
    talk, at = (reply["channel"], reply["to"]), _parsed(reply["sent_at"])
    yield Said(reply["source"], talk, reply["to"], reply["source_message_id"], False, at)


def _twilio(event: RawEvent) -> Iterator[Fact]:
    form = {name: values[0] for name, values in parse_qs(event.data.decode()).items()}
    source = "twilio.whatsapp" if form["From"].startswith("whatsapp:") else "twilio.sms"
    at = _microseconds(event.received_at)
    if "MessageStatus" in form:
        yield Receipt(source, (form["From"], form["To"]), form["MessageSid"], form["MessageStatus"], at)
    else:
        yield Said(source, (form["To"], form["From"]), form["From"], form["MessageSid"], True, at)


def _google(event: RawEvent) -> Iterator[Fact]:
    body = json.loads(event.data)
    talk = body["agent"], body["conversationId"]
    if "message" in body:
        message = body["message"]
        at = _parsed(message["createTime"])
        yield Said("google", talk, "/".join(talk), message["messageId"], True, at)
    if "suggestionResponse" in body:
        at = _parsed(body["suggestionResponse"]["createTime"])
        yield Said("google", talk, "/".join(talk), body["requestId"], True, at)
    for receipt in body.get("receipts", {}).get("receipts", []):
        at = _parsed(body["receipts"]["createTime"])
        yield Receipt("google", talk, receipt["message"].rpartition("/")[2], receipt["receiptType"].lower(), at)


def _chatplugin(event: RawEvent) -> Iterator[Fact]:
    known, body = event.attributes, json.loads(event.data)
    talk = known["channel_id"], known["conversation_id"]
    at = _parsed(body["sent_at"])
    yield Said("chatplugin", talk, known["conversation_id"], known["message_id"], True, at)


def _airy(event: RawEvent) -> Iterator[Fact]:
    payload = json.loads(event.data)["payload"]
    message, talk = payload["message"], (payload["channel_id"], payload["conversation_id"])
    inbound, at = message["from_contact"], _parsed(message["sent_at"])
    yield Said("airy", talk, "/".join(talk), message["id"], inbound, at)
    if not inbound:
        yield Receipt("airy", talk, message["id"], message["delivery_state"], at)


_READERS = {
    "facebook": _meta,
    "whatsapp": _whatsapp,
    "twilio": _twilio,
    "google": _google,
    "chatplugin": _chatplugin,
    "airy": _airy,
    "replies": _reported,
}


def _parsed(text: str) -> int:
    return _microseconds(datetime.fromisoformat(text))


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
