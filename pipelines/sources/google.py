"""Google Business Messages: one event a request, always from a person to an agent.

A person has no id of their own: the conversation is the contact. The service ended on 31 July 2024, so all
events are of the past.

https://developers.google.com/business-communications/business-messages/reference/rest/v1/UserMessage
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.core import ids
from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, is_given, members, says, scalar, text
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

DESCRIBING: Final = frozenset(
    {"agent", "conversationId", "customAgentId", "requestId", "context", "sendTime", "dialogflowResponse"}
)
"""Members of an event that say whose it is, or ride along with it."""
VALUES_OF: Final = {"surveyResponse": ("rating", "questionResponsePostbackData")}
"""What tells most of an event that is kept as metadata."""
AUTHENTICATION: Final = "authenticationResponse"
"""Its code is nobody's business: granted, or the error, is what it says."""


class UserInfo(Struct, rename="camel"):
    """What the person shows."""

    display_name: str | None = None
    user_device_locale: str | None = None


class Context(Struct, rename="camel"):
    """Where the person came from."""

    user_info: UserInfo | None = None
    resolved_locale: str | None = None


class Message(Struct, rename="camel"):
    """A text, or the address of an image."""

    message_id: Id = None
    name: str | None = None
    create_time: Raw = NOTHING


class Occurrence(Struct, rename="camel"):
    """The time of whatever else happened."""

    create_time: Raw = NOTHING


class Receipt(Struct, rename="camel"):
    """That a message of the agent was delivered or read."""

    message: str | None = None
    receipt_type: str | None = None


class Receipts(Struct, rename="camel"):
    """Several receipts at once."""

    receipts: list[Raw] | None = None
    create_time: Raw = NOTHING


class UserStatus(Struct, rename="camel"):
    """That the person types, or wants to talk to somebody."""

    is_typing: Raw = NOTHING
    requested_live_agent: Raw = NOTHING
    create_time: Raw = NOTHING


class Event(Struct, rename="camel"):
    """A webhook's body."""

    agent: str | None = None
    conversation_id: Id = None
    request_id: Id = None
    context: Context | None = None
    send_time: Raw = NOTHING
    message: Message | None = None
    suggestion_response: Occurrence | None = None
    receipts: Receipts | None = None
    user_status: UserStatus | None = None
    dialogflow_response: Raw = NOTHING


WHOLE: Final = msgspec.json.Decoder(Raw)
EVENT: Final = msgspec.json.Decoder(Event)
RECEIPT: Final = msgspec.json.Decoder(Receipt)


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a webhook; return why there are none, where that has a reason."""
    body = Body(event.data)
    whole = body.decode(WHOLE)
    if "agent" not in members(body, whole):
        return "no agent: not an event of Business Messages"
    with lineage.item("", body.exact(whole), source="google") as item:
        _read(item, body, whole)
    return None


def _read(item: Item, body: Body, whole: Raw) -> None:
    event = body.decode(EVENT, whole)
    item.dated(None, scalar(event.send_time))
    place = _place(item, event)
    if event.message:
        item.dated(scalar(event.message.create_time))
        message_id = event.message.message_id or _last_part(event.message.name)
        _make_message(item, body, place, event, message_id, "message")
    if event.suggestion_response:
        item.dated(scalar(event.suggestion_response.create_time))
        # It names the message that it answers, but has no id of its own.
        _make_message(item, body, place, event, event.request_id, "suggestion_response")
    if event.receipts:
        item.dated(scalar(event.receipts.create_time))
        _tell_receipts(item, body, place, event.receipts, text(event.conversation_id))
    if event.user_status:
        item.dated(scalar(event.user_status.create_time))
        _tell_status(item, place, event.user_status)
    if not item.told:
        _tell_others(item, body, place, whole)


def _place(item: Item, event: Event) -> Place:
    channel_id = item.channel(_last_part(event.agent) or "unknown")
    conversation = text(event.conversation_id)
    if conversation is None:
        return Place(channel_id)
    context = event.context or Context()
    person = context.user_info or UserInfo()
    contact_id = item.contact(
        channel_id,
        conversation,
        scope=channel_id,
        display_name=person.display_name or None,
        locale=person.user_device_locale or context.resolved_locale or None,
    )
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, conversation))


def _make_message(item: Item, body: Body, place: Place, event: Event, source_id: Id, kind: str) -> None:
    if place.contact_id is None or place.conversation_id is None:
        return
    message_id = item.message(
        channel_id=place.channel_id,
        contact_id=place.contact_id,
        conversation_id=place.conversation_id,
        source_message_id=text(source_id),
        direction="inbound",
        sender_id=text(event.conversation_id),
        kind=kind,
        scope=place.channel_id,
    )
    if is_given(event.dialogflow_response):
        with item.part("dialogflowResponse", body.exact(event.dialogflow_response)) as answer:
            said = says(body, event.dialogflow_response, "displayName", "autoResponded")
            place.tell(answer, "source.dialogflow_response", said, message_id=message_id)


def _tell_receipts(item: Item, body: Body, place: Place, receipts: Receipts, reader: str | None) -> None:
    for n, part in enumerate(receipts.receipts or ()):
        with item.part(f"receipts/receipts/{n}", body.exact(part)) as one:
            receipt = body.decode(RECEIPT, part)
            message = _last_part(receipt.message)
            target = ids.message_id(item.source, place.channel_id, message) if message else None
            state = (receipt.receipt_type or "").lower()
            key = "source.delivery_state" if state else "source.receipts"
            described = state or says(body, part, "message")
            place.tell(one, key, described, message_id=target, actor=reader)
        item.told = True


def _tell_status(item: Item, place: Place, status: UserStatus) -> None:
    if is_given(status.is_typing):
        place.tell(item, "source.is_typing", (scalar(status.is_typing) or "").lower())
    if is_given(status.requested_live_agent):
        value = (scalar(status.requested_live_agent) or "").lower()
        place.tell(item, "source.live_agent_requested", value)


def _tell_others(item: Item, body: Body, place: Place, whole: Raw) -> None:
    others = {name: value for name, value in members(body, whole).items() if name not in DESCRIBING}
    for name, value in others.items():
        found = members(body, value)
        item.dated(scalar(found.get("createTime", NOTHING)))
        if name == AUTHENTICATION:
            failed = found.get("errorDetails", NOTHING)
            said = (says(body, failed, "error") or "error") if is_given(failed) else "granted"
        else:
            said = says(body, value, *VALUES_OF.get(name, ()))
        place.tell(item, fact_key(name), said)


def _last_part(name: str | None) -> str | None:
    """Return the own id at the end of a resource name such as `brands/B/agents/A`."""
    return name.rpartition("/")[2] or None if name else None
