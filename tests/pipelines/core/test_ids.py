"""Ids are forever: whatever the code becomes, these must come of these names."""

import uuid
from hashlib import sha1, sha256

import pytest

from pipelines.core import ids

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "parley")
TEXTS = ("a", "Grüße", "日本", "👋🏽", "e\u0301", "é", "", "1:a,", "\u200f", "x" * 300)


def by_the_book(*parts: str) -> str:
    """Return the id by the specification alone: parts as netstrings of their UTF-8, and Python's own UUIDv5."""
    name = b"".join(b"%d:%b," % (len(part.encode()), part.encode()) for part in parts)
    digest = sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_specification_whatever_the_characters(text):
    assert ids.channel_id("facebook", text) == by_the_book("channel", "facebook", text)
    assert ids.conversation_id("c", text) == by_the_book("conversation", "c", text)
    assert ids.contact_id("s", text, text) == by_the_book("contact", "s", text, text)
    assert ids.message_id("s", "", text) == by_the_book("message", "s", "", text)
    item = sha256(text.encode()).hexdigest()
    assert ids.message_id_of_item("c", ids.fingerprint(text.encode())) == by_the_book("message-item", "c", item)
    assert ids.metadata_id("m", text, ids.fingerprint(text.encode())) == by_the_book("metadata", "m", text, item)


def test_known_ids_have_not_changed():
    assert str(ids.PARLEY_NAMESPACE) == str(NAMESPACE) == "1f19de65-bcc8-564c-a0ce-ae43aa7e8dfa"
    assert ids.contact_id("whatsapp", "", "Grüße 👋") == "15445257-a8bb-54d7-b675-a91bb8577483"
    assert ids.message_id("facebook", "channel", "mid.日本") == "5a859b2f-32b8-55ec-ad65-f6ab15cb91a2"


def test_no_two_lists_of_parts_share_an_id():
    lists = [("a", "b"), ("ab", ""), ("", "ab"), ("a", "b", ""), ("a,1:b",), ("1:a,1:b,",), ("é",), ("e\u0301",)]
    assert len({ids.derive(*parts) for parts in lists}) == len(lists)
