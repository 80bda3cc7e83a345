"""The live chat, of which Parley is the provider: what was answered, and what visitors wrote, is shown to them.

Both come from raw events that are durable. What is stored again under the same id is one message.
"""

import datetime as dt
import logging
import time
from typing import Final

import msgspec
from msgspec import Raw

from receiver.answers.conversations import MOST_BYTES, Conversations, conversation_key
from receiver.answers.entries import Entry
from receiver.answers.news import What
from schemas.raw_event import InvalidRawEventError, RawEvent
from schemas.replies import Reply

_TIDY_SECONDS: Final = 3600.0
_LONGEST_TIME: Final = 40
_TYPING: Final[dict[str, What]] = {"typing_on": "typing_on", "typing_off": "typing_off"}
_TYPING_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


class _Sent(msgspec.Struct):
    """What a visitor sent."""

    message: Raw = Raw()
    sent_at: Raw = Raw()


class _Content(msgspec.Struct):
    """What the content of an answer may say instead of a message."""

    sender_action: str = ""


_SENT: Final = msgspec.json.Decoder(_Sent)
_CONTENT: Final = msgspec.json.Decoder(_Content)


class Chats:
    """What visitors see; methods may be called by several threads, and raise what the store raises."""

    def __init__(self, conversations: Conversations, days: int) -> None:
        """Take the store, and for how many days visitors see what is in it."""
        self._conversations = conversations
        self._days = days
        self._tidied: float | None = None

    def show(self, reply: Reply, reply_id: str, posted_at: dt.datetime) -> None:
        """Show an answer to its visitor, now or when they come back; once, however often this is called.

        That somebody types is told to who is there, and to nobody later.
        """
        key, actor, action = conversation_key(reply.channel, reply.to), reply.actor, _action(reply)
        if typing := _TYPING.get(action):
            if (dt.datetime.now(dt.UTC) - posted_at).total_seconds() < _TYPING_SECONDS:
                self._conversations.news.tell(key, typing)
            return
        entry = Entry(
            id=reply_id,
            kind="seen" if action == "mark_seen" else "message",
            from_contact=False,
            sent_at=_written(posted_at),
            content=reply.content,
            # Not the id: who answers is known to the visitor by name.
            sender_id=reply.channel,
            sender_name=(actor.name if actor else None) or "",
            sender_kind=actor.kind if actor else "",
            received_at=posted_at.timestamp(),
        )
        self._conversations.append(key, entry)

    def hear(self, event: RawEvent) -> None:
        """Keep what a visitor wrote, for their other devices and their next visits."""
        attributes = event.attributes
        channel_id, conversation_id = attributes.get("channel_id"), attributes.get("conversation_id")
        message_id = attributes.get("message_id")
        if not channel_id or not conversation_id or not message_id:
            return
        try:
            sent, received_at = _SENT.decode(event.data), event.received_at
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidRawEventError) as error:
            _log.warning("a visitor's message cannot be shown: %s", error)
            return
        if not 0 < len(bytes(sent.message)) <= MOST_BYTES:
            return
        entry = Entry(
            id=message_id,
            from_contact=True,
            sent_at=_given(sent.sent_at) or _written(received_at),
            content=sent.message,
            sender_id=conversation_id,
            received_at=received_at.timestamp(),
        )
        self._conversations.append(conversation_key(channel_id, conversation_id), entry)

    def tidy(self) -> None:
        """Remove what is too old, now and then."""
        now = time.monotonic()
        if self._tidied is None or now - self._tidied > _TIDY_SECONDS:
            self._tidied = now
            if removed := self._conversations.forget_older(self._days):
                _log.info("%d entries of live chats were older than %d days: removed", removed, self._days)


def _action(reply: Reply) -> str:
    """Return Messenger's word for what an answer does (typing_on, mark_seen, …), empty where it is a message."""
    try:
        return _CONTENT.decode(reply.content).sender_action
    except msgspec.DecodeError:
        return ""


def _written(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _given(sent_at: Raw) -> str:
    """Return the time that a visitor's browser gave, empty where it gave none."""
    try:
        text = msgspec.json.decode(sent_at, type=str)
        dt.datetime.fromisoformat(text)
    except (msgspec.DecodeError, ValueError):
        return ""
    return text if len(text) <= _LONGEST_TIME else ""
