"""Replies: what was posted to be sent, and what became of it.

A message is made of what a provider has accepted, or others have sent, under the provider's id: so the source's
echo and receipts are of the same message. Ids of channels and contacts are made as the source's own parser makes
them. `docs/sending.md` describes the bodies for those who post.
"""

from typing import Final

from pipelines.core.item import Item, Lineage
from pipelines.sources import twilio
from pipelines.sources.json_body import NOTHING, Body, members, scalar
from pipelines.sources.place import Place
from pipelines.sources.whatsapp_people import Line, Person
from schemas.raw_event import RawEvent
from schemas.replies import ATTEMPT_TYPE, OUTCOME, OUTCOME_TYPE, REPLY, REPLY_ID, Addressed, Outcome, Reply, kind

STATE: Final = "source.reply_state"
"""The key of metadata about a reply: `posted`, or what came of it."""
REPLY_OF: Final = "source.reply"
"""The key of metadata about a message: the id of the reply that it was."""
ANSWERED_BY: Final = "source.answered_by"
"""The key of metadata about a message: `human`, `bot` or `system`."""
ACTIONS: Final = {
    "typing_on": ("source.is_typing", "true"),
    "typing_off": ("source.is_typing", "false"),
    "mark_seen": ("source.marked_seen", "true"),
}
"""Sender actions of Messenger, Instagram and the live chat: no messages, but metadata about the conversation.

https://developers.facebook.com/docs/messenger-platform/send-messages/sender-actions
"""


class MissingAttributeError(ValueError):
    """A raw event lacks the id that the receiver gave the reply."""


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a reply or of an outcome; an attempt alone says nothing of a message."""
    body = Body(event.data)
    match kind(event.content_type or ""):
        case str(told) if told == ATTEMPT_TYPE:
            return "an attempt: its outcome tells what came of it"
        case str(told) if told == OUTCOME_TYPE:
            _outcome(body, body.decode(OUTCOME), event, lineage)
        case _:
            reply_id = event.attributes.get(REPLY_ID)
            if not reply_id:
                raise MissingAttributeError(f"raw event without the attribute {REPLY_ID!r}")
            _posted(body, body.decode(REPLY), reply_id, event, lineage)
    return None


def _posted(body: Body, reply: Reply, reply_id: str, event: RawEvent, lineage: Lineage) -> None:
    state = "reported" if reply.sent_by_others else "posted"
    with lineage.item("", event.data, source=reply.source) as item:
        _tell_state(item, _place(item, reply), reply, reply_id, state)
    if not reply.sent_by_others:
        return
    sent_at = reply.sent_at.isoformat() if reply.sent_at else None
    with lineage.item("/content", body.exact(reply.content), source=reply.source, time=sent_at) as item:
        item.flags.append("reported")
        _message(item, reply, reply_id, reply.source_message_id)


def _outcome(body: Body, outcome: Outcome, event: RawEvent, lineage: Lineage) -> None:
    reply, at = outcome.reply, outcome.at.isoformat()
    with lineage.item("", event.data, source=reply.source, time=at) as item:
        _tell_state(item, _place(item, reply), reply, outcome.reply_id, outcome.result)
    if outcome.result == "accepted":
        with lineage.item("/reply/content", body.exact(reply.content), source=reply.source, time=at) as item:
            if actions := _actions(body, reply):
                actor, place = (reply.actor.id if reply.actor else None) or reply.channel, _place(item, reply)
                for action in actions:
                    place.tell(item, *action, actor=actor)
            else:
                _message(item, reply, outcome.reply_id, outcome.source_message_id)


def _actions(body: Body, reply: Addressed) -> list[tuple[str, str]]:
    """Return the metadata that a reply's content is, where it is no message."""
    if reply.source == "whatsapp" and reply.is_action:
        types = "typing_indicator" in members(body, reply.content)
        return [ACTIONS["mark_seen"], *([ACTIONS["typing_on"]] if types else [])]
    if reply.source not in {"facebook", "instagram", "chatplugin"}:
        return []
    action = ACTIONS.get(scalar(members(body, reply.content).get("sender_action", NOTHING)) or "")
    return [action] if action else []


def _tell_state(item: Item, place: Place, reply: Addressed, reply_id: str, state: str) -> None:
    item.metadata(
        "reply",
        reply_id,
        STATE,
        state,
        channel_id=place.channel_id,
        conversation_id=place.conversation_id,
        contact_id=place.contact_id,
        actor_id=reply.actor.id if reply.actor else None,
    )


def _message(item: Item, reply: Addressed, reply_id: str, source_message_id: str | None) -> None:
    """Make the message, and tell of which reply it is and who answered."""
    item.flags.append("reply")
    place = _place(item, reply)
    actor = reply.actor
    message_id = item.message(
        channel_id=place.channel_id,
        contact_id=place.contact_id or "",
        conversation_id=place.conversation_id or "",
        # Where the provider gave none: two replies that say the same are two messages.
        source_message_id=source_message_id or reply_id,
        direction="outbound",
        sender_id=(actor.id if actor else None) or reply.channel,
        scope=place.channel_id if reply.source in {"facebook", "instagram", "whatsapp"} else "",
    )
    place.tell(item, REPLY_OF, reply_id, message_id=message_id)
    if actor:
        place.tell(item, ANSWERED_BY, actor.kind, message_id=message_id, actor=actor.id)


def _place(item: Item, reply: Addressed) -> Place:
    """Note that channel, contact and conversation were seen, by the ids that the source's own webhooks give."""
    if reply.source == "twilio":
        return twilio.reply_place(item, reply.channel, reply.to)
    if reply.source == "whatsapp":
        number = reply.to.removeprefix("+")
        person = Person(phone=number) if number.isdecimal() else Person(user_id=reply.to)
        return Line(reply.channel).place(item, person)
    channel_id = item.channel(reply.channel)
    contact_id = item.contact(channel_id, reply.to, scope=channel_id)
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, reply.to))
