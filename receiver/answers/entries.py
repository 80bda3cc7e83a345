"""What a conversation holds for its visitor: messages of both sides, and that one was seen."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

SOURCE: Final = "chatplugin"
DELIVERED: Final = "delivered"
SEEN: Final = "seen"

Kind = Literal["message", "seen"]
"""`seen`: somebody on the business's side has read what the visitor wrote before."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them; `id` is a message's, so that a browser shows it once, however often it is told."""

    id: str
    kind: Kind = "message"
    from_contact: bool
    sent_at: str
    """RFC 3339."""
    content: Raw = Raw(b"null")
    """The message as it was written, byte for byte."""
    sender_id: str = ""
    sender_name: str = ""
    sender_kind: str = ""
    """`human`, `bot` or `system`, of an answer."""
    received_at: float = 0.0
    """When the receiver took it, in seconds since 1970; 0 where an earlier version stored it."""
    stored_at: float = 0.0
    """Seconds since 1970: later, where the sender was not there, and then in no certain order."""

    @property
    def order(self) -> float:
        """Return by what a conversation's messages are in order."""
        return self.received_at or self.stored_at

    def message(self) -> dict[str, Any]:
        """Return a message as Airy's API gives it."""
        sender = {"id": self.sender_id, "name": self.sender_name, "kind": self.sender_kind}
        return {
            "id": self.id,
            "content": self.content,
            "delivery_state": DELIVERED,
            "from_contact": self.from_contact,
            "sent_at": self.sent_at,
            "source": SOURCE,
            "sender": {name: value for name, value in sender.items() if value},
            "metadata": {},
        }

    def event(self) -> dict[str, Any]:
        """Return what a browser is told of an entry."""
        return self.message() if self.kind == "message" else {"sent_at": self.sent_at}


def decode(data: bytes) -> Entry:
    """Return an entry.

    Raises:
        ValueError: it is none.
    """
    return msgspec.json.decode(data, type=Entry)


def encode(entry: Entry) -> bytes:
    """Return an entry's bytes."""
    return msgspec.json.encode(entry)
