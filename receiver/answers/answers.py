"""What visitors are told: the conversation so far, then each event as it comes."""

import logging
import random
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from receiver.answers.conversations import Conversations, conversation_key, open_conversations
from receiver.answers.entries import Entry
from receiver.answers.news import ENTRIES, Notice
from receiver.answers.watch import Listener, Watch
from receiver.chatplugin.tokens import Visitor
from receiver.config import PREFIX, Settings
from receiver.event_loop import in_thread

HEARTBEAT_SECONDS: Final = 15.0
"""Proxies close connections that say nothing for a minute."""
LIFE_SECONDS: Final = 300.0
"""Then a browser comes again, perhaps to another receiver: so no connection outlives who has left it for long."""
_RETRY_MILLISECONDS: Final = 2000
_FOLDER_LOOK_SECONDS: Final = 0.25
_BUCKET_LOOK_SECONDS: Final = 1.0
_MOST_OF_CONVERSATION: Final = 12
_MOST_OF_ADDRESS: Final = 64
_log = logging.getLogger(__name__)

Event = dict[str, Any]
"""What one event says: `event`, `data`, and of those that can be told again `id`."""


class History(msgspec.Struct, frozen=True):
    """A conversation so far."""

    messages: list[dict[str, Any]]
    last_event_id: int
    seen_at: str | None
    """When the business's side has seen it last."""


NOTHING: Final = History([], 0, None)
"""Of a conversation that has just been opened."""


class Answers:
    """The visitors' side of the store of conversations, for one process."""

    def __init__(
        self, conversations: Conversations, most: int, look_seconds: float = _FOLDER_LOOK_SECONDS
    ) -> None:
        """Take the store, how many may wait at once, and how often to look what is new."""
        self._conversations = conversations
        self._watch = Watch(
            conversations.news.read,
            look_seconds,
            most=most,
            most_of_conversation=_MOST_OF_CONVERSATION,
            most_of_address=min(_MOST_OF_ADDRESS, most),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> "Answers | None":
        """Read the settings, leaving problems in them; None where there is no archive to keep answers beside."""
        connections = settings.integer("CONNECTIONS", 2048, 16, 65536)
        most = settings.integer("CHATPLUGIN_STREAMS", min(256, connections // 4), 0, 65536)
        if most > connections // 2:
            # Who waits is never closed to make room for webhooks.
            settings.problems.append(f"{PREFIX}CHATPLUGIN_STREAMS is more than half of {PREFIX}CONNECTIONS")
        archive = settings.text("ARCHIVE")
        if archive in {"", "none"}:
            return None
        look = _BUCKET_LOOK_SECONDS if archive.startswith("gs://") else _FOLDER_LOOK_SECONDS
        return cls(open_conversations(archive), most, look)

    def history(self, visitor: Visitor) -> History:
        """Return a conversation so far; nothing where it cannot be read, as a visitor can write all the same."""
        found = self._entries(_key(visitor), 0)
        messages = {entry.id: entry for _, entry in found if entry.kind == "message"}
        seen = [entry.sent_at for _, entry in found if entry.kind == "seen"]
        return History(
            [entry.message() for entry in sorted(messages.values(), key=lambda entry: entry.order)],
            found[-1][0] if found else 0,
            max(seen, default=None),
        )

    def listen(self, visitor: Visitor, address: str) -> Listener:
        """Return who waits for what is new in a conversation.

        Raises:
            TooManyError: too many wait already.
        """
        return self._watch.listen(_key(visitor), address)

    def events(self, visitor: Visitor, after: int) -> list[Event]:
        """Return what is new after an event."""
        return [_event(*each) for each in self._entries(_key(visitor), after)]

    def wait(self, listener: Listener, after: int, seconds: float) -> list[Event]:
        """Return what is new after an event, as soon as there is something, or nothing after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            # Before it is looked: who stores something meanwhile is not passed over.
            notices = listener.take()
            found = _with_typing(notices, [_event(*each) for each in self._entries(listener.key, after)])
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            listener.wait(left)

    def stream(self, listener: Listener, after: int) -> Iterator[bytes]:
        """Yield what is new after an event, and what comes, as server-sent events.

        https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        # Not all browsers at the same moment.
        until = time.monotonic() + LIFE_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311
        yield b"retry: %d\nevent: ready\ndata: {}\n\n" % _RETRY_MILLISECONDS
        while time.monotonic() < until:
            # Also after a pause: whoever stored something may have died before it let us know.
            # And what is new since is taken before: who stores something meanwhile is not passed over.
            notices = listener.take()
            for event in _with_typing(notices, [_event(*each) for each in self._entries(listener.key, after)]):
                after = event.get("id", after)
                yield _encoded(event)
            if not listener.wait(HEARTBEAT_SECONDS):
                yield b":\n\n"

    def _entries(self, key: str, after: int) -> list[tuple[int, Entry]]:
        try:
            return in_thread(lambda: self._conversations.read(key, after))
        except Exception as error:
            # Whatever it is, from a full disk to missing credentials: it comes with the next look.
            _log.warning("a conversation cannot be read: %s", error)
            return []


def _key(visitor: Visitor) -> str:
    return conversation_key(visitor.channel_id, visitor.conversation_id)


def _event(number: int, entry: Entry) -> Event:
    return {"id": number, "event": entry.kind, "data": entry.event()}


def _with_typing(notices: list[Notice], entries: list[Event]) -> list[Event]:
    """Add to what is new whether somebody types, where it is: the last counts, and an answer is the end of it."""
    told = [notice.what for notice in notices if notice.what != "entry"]
    if not told or told[-1] in ENTRIES:
        return entries
    typing: Event = {"event": "typing", "data": {"on": told[-1] == "typing_on"}}
    # An answer that is there before anybody was told of it is what they typed.
    return [*entries, typing] if "answer" in told else [typing, *entries]


def _encoded(event: Event) -> bytes:
    number = f"id: {event['id']}\n" if "id" in event else ""
    # Content keeps the line breaks between its members: each line is a field of its own.
    data = b"\ndata: ".join(msgspec.json.encode(event["data"]).splitlines())
    return f"{number}event: {event['event']}\ndata: ".encode() + data + b"\n\n"
