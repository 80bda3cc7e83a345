"""Keeps what was erased from coming back, by keyed hashes: nobody can tell from them whom they mean.

An entry means a contact, up to a moment of receipt, or a message, or a whole body, whenever it is received: so a
late redelivery makes no row, and who writes again later is a new contact without a past.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from pipelines.core import rows
from schemas.raw_event import InvalidRawEventError, RawEvent

CONTACT: Final = "contact"
MESSAGE: Final = "message"
BODY: Final = "body"
SHORTEST_KEY: Final = 32
"""Characters of the operator's secret at least."""
_REMEMBERED: Final = 65_536
_KEY_ID: Final = 16


class Key:
    """The operator's secret, and what is made with it."""

    def __init__(self, secret: str) -> None:
        """Take the secret.

        Raises:
            ValueError: it is too short to keep anything secret.
        """
        if len(secret) < SHORTEST_KEY:
            raise ValueError(f"a key has {SHORTEST_KEY} characters at least")
        self.bytes = hashlib.sha256(secret.encode()).digest()
        self.id = hashlib.sha256(b"id" + self.bytes).hexdigest()[:_KEY_ID]
        """Tells two keys apart, and nothing of either."""

    def hash(self, kind: str, value: str) -> str:
        """Return what stands for an id of a kind."""
        return hashlib.blake2b(f"{kind}\0{value}".encode(), key=self.bytes, digest_size=16).hexdigest()

    def hash_of_body(self, data: bytes) -> str:
        """Return what stands for a body, by which a redelivery of it is known."""
        return self.hash(BODY, hashlib.sha256(data).hexdigest())


class Entry(msgspec.Struct, frozen=True):
    """What is suppressed."""

    kind: str
    """`contact`, `message` or `body`."""
    hash: str
    until: dt.datetime
    """Events received up to then are without the contact; of messages and bodies, when they were erased."""


class Suppression:
    """All entries, ready to be held against events."""

    def __init__(self, key: Key, entries: Iterable[Entry]) -> None:
        self._key = key
        self._until: dict[str, dt.datetime] = {}
        self._messages: set[str] = set()
        self._bodies: set[str] = set()
        for entry in entries:
            if entry.kind == CONTACT:
                self._until[entry.hash] = max(entry.until, self._until.get(entry.hash, entry.until))
            else:
                (self._messages if entry.kind == MESSAGE else self._bodies).add(entry.hash)
        self._last = max(self._until.values(), default=None)
        # People come again and again, messages do not.
        self._hash_of_contact = lru_cache(_REMEMBERED)(lambda contact: key.hash(CONTACT, contact))

    def __bool__(self) -> bool:
        """Return whether there is anything to suppress."""
        return bool(self._until or self._messages or self._bodies)

    def theirs(self, event: RawEvent) -> "Theirs":
        """Return what tells which rows of an event are suppressed."""
        try:
            received = event.received_at
        except InvalidRawEventError:
            return Theirs(self, None)
        is_known = bool(self._bodies and event.data) and self._key.hash_of_body(event.data) in self._bodies
        if is_known:
            received = dt.datetime.min.replace(tzinfo=dt.UTC)
        is_old = self._last is not None and received <= self._last
        return Theirs(self, received if is_old else None, is_known)

    def is_old(self, contact: str, received: dt.datetime) -> bool:
        """Return whether a contact is suppressed in what was received at a time."""
        until = self._until.get(self._hash_of_contact(contact))
        return until is not None and received <= until

    def is_message(self, message_id: str) -> bool:
        """Return whether a message is suppressed."""
        return bool(self._messages) and self._key.hash(MESSAGE, message_id) in self._messages


class Theirs(msgspec.Struct, frozen=True):
    """Tells which rows of one event are suppressed."""

    suppression: Suppression
    received: dt.datetime | None
    """When the event was received; None where that is after all erasures."""
    is_known: bool = False
    """Whether its body is one of which something was erased: then nothing that cannot be read in it is kept."""

    def __call__(self, row: rows.Row) -> bool:
        """Return whether a row is suppressed."""
        match row:
            case rows.Message():
                return self._any([row.contact_id], row.message_id)
            case rows.Metadata():
                about = row.subject_id if row.subject_type == "message" else None
                return self._any([row.contact_id, row.subject_id], about)
            case rows.Alias():
                return self._any([row.contact_id, row.other_contact_id])
            case rows.Contact() | rows.Conversation():
                return self._any([row.contact_id])
        return self.is_known and isinstance(row, rows.DeadLetter)

    def any(self, made: Iterable[rows.Row]) -> bool:
        """Return whether any of some rows is suppressed."""
        return any(map(self, made))

    def _any(self, contacts: Sequence[str | None], message: str | None = None) -> bool:
        if message is not None and self.suppression.is_message(message):
            return True
        received = self.received
        if received is None:
            return False
        return any(each is not None and self.suppression.is_old(each, received) for each in contacts)
