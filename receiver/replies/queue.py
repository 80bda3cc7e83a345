"""The queue of replies: which wait, by conversation, in the order in which they were received.

The receiver puts a reply into it before it acknowledges it, so that whatever is posted afterwards comes after it,
in whatever order Pub/Sub tells a sender of the two.
"""

import datetime as dt
import hashlib
from typing import Final

import msgspec

from receiver.replies.store import Store
from schemas.raw_event import format_received_at

_WAITING: Final = "waiting"


class Waiting(msgspec.Struct, frozen=True):
    """A reply that waits, as it was received."""

    reply_id: str
    received_at: dt.datetime
    data: bytes


class Queue:
    """What waits, in a store; each method raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, conversation: str, entry: Waiting) -> bool:
        """Return when a reply waits durably; False where it did before."""
        moment = format_received_at(entry.received_at).translate({ord(each): None for each in "-:.TZ"})
        name = f"{_WAITING}/{conversation}/{moment}-{entry.reply_id}"
        return self._store.create(name, msgspec.msgpack.encode(entry))

    def conversations(self) -> list[str]:
        """Return the conversations in which replies wait."""
        return sorted({name.partition("/")[0] for name in self._store.names(f"{_WAITING}/")})

    def names(self, conversation: str) -> list[str]:
        """Return the names of a conversation's waiting replies, in order."""
        return self._store.names(f"{_WAITING}/{conversation}/")

    def read(self, conversation: str, name: str) -> Waiting | None:
        """Return a waiting reply, None where it no longer waits."""
        data = self._store.read(f"{_WAITING}/{conversation}/{name}")
        return None if data is None else msgspec.msgpack.decode(data, type=Waiting)

    def remove(self, conversation: str, name: str) -> None:
        """Let a reply wait no more."""
        self._store.remove(f"{_WAITING}/{conversation}/{name}")


def queue_name(conversation: tuple[str, str, str]) -> str:
    """Return the name of a conversation (source, channel, person) in the queue: any ids make one."""
    return hashlib.sha256(msgspec.json.encode(conversation)).hexdigest()
