"""What all webhooks of a generated world have: how they are written, and who is in them."""

from collections.abc import Mapping
from json import dumps
from typing import Any, Final, NamedTuple

from pipelines.core import ids
from pipelines.generate.phrases import NAMES
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening

ACCOUNT: Final = "102290129340398"
"""The id of our WhatsApp Business Account."""
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class Webhook(NamedTuple):
    """A webhook that is not sent yet."""

    endpoint: str
    body: bytes
    content_type: str = JSON
    attributes: Mapping[str, str] = {}
    """What the receiver would know besides."""


def json(body: Any, *, escape: bool = False) -> bytes:
    """Return a body as JSON, escaped as Meta does or not."""
    # Meta escapes whatever is not ASCII, and slashes.
    text = dumps(body, ensure_ascii=escape, separators=(",", ":"))
    return (text.replace("/", "\\/") if escape else text).encode()


def message_id(talk: Conversation, said: Happening) -> str:
    """Return the id of the message that happens, or that something is about."""
    return ids.derive("sample", str(talk.number), str(said.message))


def group_id(talk: Conversation) -> str:
    """Return the id of the group in which a conversation is."""
    return f"Z3JvdXA6{talk.number}"


def name(person: int) -> str:
    """Return a person's name."""
    return NAMES[person % len(NAMES)]
