"""Airy's outbound webhook, through which an Airy installation passes on what it has received.

Ids are Airy's own. Its events name a sender only beside each message, and agents are senders too, so the
conversation is the contact, as it is in Airy itself: one contact for each conversation.

https://airy.co/docs/core/api/webhook
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, is_given, members, says, scalar, text
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

UNKNOWN_CHANNEL: Final = "unknown"
"""The channel of an event that names none."""


class Sender(Struct):
    """Whoever wrote a message: the contact's id on the source, or an agent's."""

    id: Id = None


class Reaction(Struct):
    """The contact's reaction to a message."""

    emoji: str | None = None


class SourceMetadata(Struct):
    """What the source said of a message later."""

    delivery_state: str | None = None
    error: Raw = NOTHING


class MessageMetadata(Struct):
    """What became of a message."""

    reaction: Reaction | None = None
    source: SourceMetadata | None = None
    error: Raw = NOTHING


class Message(Struct):
    """A message, its content as the source gave it."""

    id: Id = None
    from_contact: bool | None = None
    delivery_state: str | None = None
    sent_at: Raw = NOTHING
    sender: Sender | None = None
    metadata: MessageMetadata | None = None


class Contact(Struct):
    """What a conversation knows of its contact, in the spelling of the API or of the documentation."""

    display_name: str | None = None
    displayName: str | None = None  # noqa: N815
    avatar_url: str | None = None
    avatarUrl: str | None = None  # noqa: N815


class Metadata(Struct):
    """What is known of a conversation or a channel."""

    contact: Contact | None = None
    name: str | None = None
    state: str | None = None
    is_typing: Raw = msgspec.field(default=NOTHING, name="isUserTyping")


class Channel(Struct):
    """A channel as a conversation holds it."""

    id: Id = None


class Payload(Struct):
    """What an event is about."""

    id: Id = None
    channel: Channel | None = None
    channel_id: Id = None
    conversation_id: Id = None
    message: Raw = NOTHING
    metadata: Metadata | None = None
    connected: Raw = NOTHING


class Event(Struct):
    """A webhook's body."""

    type: str | None = None
    payload: Raw = NOTHING


WHOLE: Final = msgspec.json.Decoder(Raw)
EVENT: Final = msgspec.json.Decoder(Event)
PAYLOAD: Final = msgspec.json.Decoder(Payload)
MESSAGE: Final = msgspec.json.Decoder(Message)


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a webhook; return why there are none, where that has a reason."""
    body = Body(event.data)
    whole = body.decode(WHOLE)
    if "type" not in members(body, whole):
        return "no type: not an event of Airy's webhook"
    with lineage.item("", body.exact(whole), source="airy") as item:
        told = body.decode(EVENT, whole)
        payload = body.decode(PAYLOAD, told.payload) if members(body, told.payload) else Payload()
        _read(item, body, told.type or "", payload, told.payload)
    return None


def _read(item: Item, body: Body, kind: str, payload: Payload, whole: Raw) -> None:
    match kind:
        case "message.created" | "message.updated" if is_given(payload.message):
            with item.part("payload/message", body.exact(payload.message)) as part:
                _read_message(part, body, payload, kind)
        case "channel.updated":
            name = payload.metadata.name if payload.metadata else None
            channel_id = item.channel(text(payload.id) or UNKNOWN_CHANNEL, display_name=name or None)
            Place(channel_id).tell(item, fact_key(kind), scalar(payload.connected) or "")
        case "conversation.updated":
            place = _place(item, payload, text(payload.id))
            state = payload.metadata.state if payload.metadata else None
            place.tell(item, fact_key(kind), state or says(body, whole))
            if payload.metadata and is_given(payload.metadata.is_typing):
                place.tell(item, "source.is_typing", scalar(payload.metadata.is_typing) or "")
        case _:
            _place(item, payload, text(payload.conversation_id)).tell(item, fact_key(kind), says(body, whole))


def _read_message(item: Item, body: Body, payload: Payload, kind: str) -> None:
    message = body.decode(MESSAGE, payload.message)
    item.dated(scalar(message.sent_at))
    # An update repeats the whole message: it is the same one, told once more.
    if kind == "message.updated":
        item.flags.append("updated")
    sender = text(message.sender.id) if message.sender else None
    conversation = text(payload.conversation_id)
    place = _place(item, payload, conversation, sender if message.from_contact else None)
    if place.contact_id is None or place.conversation_id is None:
        place.tell(item, fact_key(kind), text(message.id) or "")
        return
    message_id = item.message(
        channel_id=place.channel_id,
        contact_id=place.contact_id,
        conversation_id=place.conversation_id,
        source_message_id=text(message.id),
        direction="inbound" if message.from_contact else "outbound",
        sender_id=sender,
    )
    if kind == "message.updated":
        item.dated(None)  # The message tells when it was sent, but not when it was updated.
    for key, value in _facts(body, message):
        # Only the contact reacts, whoever wrote the message; nothing tells who read it.
        actor = conversation if key == "reaction.emoji" else None
        place.tell(item, key, value, message_id=message_id, actor=actor)


def _facts(body: Body, message: Message) -> list[tuple[str, str]]:
    """Return what became of a message; Airy's own state of an inbound one says nothing."""
    metadata = message.metadata or MessageMetadata()
    source = metadata.source or SourceMetadata()
    metadata_rows = []
    state = source.delivery_state or (None if message.from_contact else message.delivery_state)
    if state:
        metadata_rows.append(("source.delivery_state", state.lower()))
    for error in (source.error, metadata.error):
        if is_given(error):
            metadata_rows.append(("source.error", says(body, error, "code", "message")))
    if metadata.reaction:
        metadata_rows.append(("reaction.emoji", metadata.reaction.emoji or ""))
    return metadata_rows


def _place(item: Item, payload: Payload, conversation: str | None, sender: str | None = None) -> Place:
    channel = payload.channel_id or (payload.channel.id if payload.channel else None)
    channel_id = item.channel(text(channel) or UNKNOWN_CHANNEL)
    if conversation is None:
        return Place(channel_id)
    known = (payload.metadata.contact if payload.metadata else None) or Contact()
    contact_id = item.contact(
        channel_id,
        conversation,
        display_name=known.display_name or known.displayName or None,
        avatar_url=known.avatar_url or known.avatarUrl or None,
        alternative_ids=(f"sender_id={sender}",) if sender else (),
    )
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, conversation))
