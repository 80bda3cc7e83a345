"""Messages of the live chat, of one visitor each, and what visitors do besides: type, and see answers.

The body says nothing of who sent it: the receiver puts what it verified into the event's attributes.
See `docs/sources/chatplugin.md`.
"""

from typing import Final

import msgspec
from msgspec import Raw

from pipelines.core import ids
from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, is_given, members, scalar
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

SOURCE: Final = "chatplugin"
KINDS: Final = {
    "quickReply": "quick_reply",
    "postback": "postback",
    "suggestionResponse": "suggestion_response",
}


class Sent(msgspec.Struct):
    """The body of `chatplugin.send`."""

    message: Raw = NOTHING
    sent_at: Raw = NOTHING
    event: Raw = NOTHING
    """`seen` or `typing`, in the body of `chatplugin.events`."""
    message_ids: Raw = NOTHING
    on: Raw = NOTHING


class MissingAttributeError(ValueError):
    """A raw event lacks what the receiver knew of the visitor."""


_SENT: Final = msgspec.json.Decoder(Sent)
_IDS: Final = msgspec.json.Decoder(list[str])


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of one request; the conversation stands for the visitor, who needs no account."""
    body = Body(event.data)
    sent = body.decode(_SENT)
    if not is_given(sent.message):
        return _event(body, sent, event, lineage)
    with lineage.item("/message", body.exact(sent.message), source=SOURCE, time=scalar(sent.sent_at)) as item:
        _message(item, event, members(body, sent.message))
    return None


def _event(body: Body, sent: Sent, event: RawEvent, lineage: Lineage) -> str | None:
    """Make the metadata of what a visitor does besides writing."""
    what = scalar(sent.event)
    if what not in {"seen", "typing"}:
        return "no message"
    with lineage.item("", event.data, source=SOURCE, time=scalar(sent.sent_at)) as item:
        visitor = _attribute(event, "conversation_id")
        place = _place(item, event)
        if what == "typing":
            place.tell(item, "source.is_typing", (scalar(sent.on) or "").lower(), actor=visitor)
            return None
        for message in body.decode(_IDS, sent.message_ids):
            # Of an answer, which is known by the id of its reply.
            message_id = ids.message_id(SOURCE, "", message)
            place.tell(item, "source.delivery_state", "read", message_id=message_id, actor=visitor)
    return None


def _place(item: Item, event: RawEvent) -> Place:
    visitor = _attribute(event, "conversation_id")
    channel_id = item.channel(_attribute(event, "channel_id"))
    contact_id = item.contact(channel_id, visitor, scope=channel_id)
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, visitor))


def _message(item: Item, event: RawEvent, fields: dict[str, Raw]) -> None:
    visitor = _attribute(event, "conversation_id")
    place = _place(item, event)
    item.message(
        channel_id=place.channel_id,
        contact_id=place.contact_id or "",
        conversation_id=place.conversation_id or "",
        source_message_id=_attribute(event, "message_id"),
        direction="inbound",
        sender_id=visitor,
        kind=_kind(fields),
    )
    if email := scalar(fields.get("email", NOTHING)):
        place.tell_of_contact(item, "source.email", email)


def _kind(fields: dict[str, Raw]) -> str:
    """Return what the message is by its `type`; Airy's widget sends none with the answer to a button."""
    kind = KINDS.get(scalar(fields.get("type", NOTHING)) or "")
    return kind or ("postback" if is_given(fields.get("postbackData", NOTHING)) else "message")


def _attribute(event: RawEvent, name: str) -> str:
    value = event.attributes.get(name)
    if not value:
        raise MissingAttributeError(f"raw event without the attribute {name!r}")
    return value
