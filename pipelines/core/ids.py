"""Identity: every id is an RFC 4122 UUIDv5 derived from what the source says, so that it never depends on when."""

from functools import lru_cache
from hashlib import sha256

from uuid_utils import UUID, uuid5

# The UUIDv5 of the name "parley" in RFC 4122's DNS namespace. It never changes: every id rests on it.
PARLEY_NAMESPACE = UUID("1f19de65-bcc8-564c-a0ce-ae43aa7e8dfa")
_REMEMBERED = 16_384
"""Ids of each kind that are remembered: statuses follow their message soon, so more are found no more often."""


def derive(*parts: str) -> str:
    """Return the UUIDv5 of a list of parts; no two different lists share a name.

    Each part is preceded by its length in bytes (a netstring), so that a separator inside a part
    cannot be taken for one between two.
    """
    name = "".join([f"{len(part) if part.isascii() else len(part.encode())}:{part}," for part in parts])
    return str(uuid5(PARLEY_NAMESPACE, name))


@lru_cache(_REMEMBERED)
def channel_id(source: str, source_channel_id: str) -> str:
    """Return the id of a channel: a Page, a phone number, an agent."""
    return derive("channel", source, source_channel_id)


@lru_cache(_REMEMBERED)
def conversation_id(channel: str, source_conversation_id: str) -> str:
    """Return the id of a conversation on a channel (a Parley id)."""
    return derive("conversation", channel, source_conversation_id)


@lru_cache(_REMEMBERED)
def contact_id(source: str, scope: str, source_contact_id: str) -> str:
    """Return the id of a contact.

    The scope is the channel's id where the source numbers people per channel (Messenger's page-scoped
    ids), and empty where its ids are the same everywhere (phone numbers).
    """
    return derive("contact", source, scope, source_contact_id)


@lru_cache(_REMEMBERED)
def message_id(source: str, scope: str, source_message_id: str) -> str:
    """Return the id of a message, also as the target of a receipt, reaction, edit or deletion.

    The scope is the channel's id where the source's message ids need it, else empty.
    """
    return derive("message", source, scope, source_message_id)


def fingerprint(item: bytes) -> str:
    """Return the hash of an item's exact bytes."""
    return sha256(item).hexdigest()


def alias_id(contact: str, kind: str, other_contact: str) -> str:
    """Return the id of an alias: of the two contacts (Parley ids) and how they were told to be one person."""
    return derive("alias", contact, kind, other_contact)


def message_id_of_item(channel: str, item: str) -> str:
    """Return the id of a message without an id: by its item's `fingerprint`, never that of the whole request."""
    return derive("message-item", channel, item)


def metadata_id(subject_id: str, key: str, item: str) -> str:
    """Return the id of metadata by its item's `fingerprint`: two statuses differ, a redelivery of one does not."""
    return derive("metadata", subject_id, key, item)
