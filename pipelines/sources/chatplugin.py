"""Messages of the live chat, of one visitor each.

The body says nothing of who sent it: the receiver puts what it verified into the event's attributes.
See `docs/sources/chatplugin.md`.
"""

from typing import Final

import msgspec
from msgspec import Raw

from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, is_given, members, scalar
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


class MissingAttributeError(ValueError):
    """A raw event lacks what the receiver knew of the visitor."""


_SENT: Final = msgspec.json.Decoder(Sent)


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of one message; the conversation stands for the visitor, who needs no account."""
    body = Body(event.data)
    sent = body.decode(_SENT)
    if not is_given(sent.message):
        return "no message"
    with lineage.item("/message", body.exact(sent.message), source=SOURCE, time=scalar(sent.sent_at)) as item:
        _message(item, event, _kind(body, sent.message))
    return None


def _message(item: Item, event: RawEvent, kind: str) -> None:
    visitor = _attribute(event, "conversation_id")
    channel_id = item.channel(_attribute(event, "channel_id"))
    contact_id = item.contact(channel_id, visitor, scope=channel_id)
    item.message(
        channel_id=channel_id,
        contact_id=contact_id,
        conversation_id=item.conversation(channel_id, contact_id, visitor),
        source_message_id=_attribute(event, "message_id"),
        direction="inbound",
        sender_id=visitor,
        kind=kind,
    )


def _kind(body: Body, message: Raw) -> str:
    """Return what the message is by its `type`; Airy's widget sends none with the answer to a button."""
    fields = members(body, message)
    kind = KINDS.get(scalar(fields.get("type", NOTHING)) or "")
    return kind or ("postback" if is_given(fields.get("postbackData", NOTHING)) else "message")


def _attribute(event: RawEvent, name: str) -> str:
    value = event.attributes.get(name)
    if not value:
        raise MissingAttributeError(f"raw event without the attribute {name!r}")
    return value
