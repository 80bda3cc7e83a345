"""Text, choice or attachment of every message that carries one, over all that senders are known to send.

What a message carries is looked for here by the names of its members, wherever they stand; the view looks for each
in its place.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from analyst import Analyst
from msgspec import structs

from pipelines.core.rows import Message
from pipelines.sources import PARSERS
from pipelines.sources.normalization import normalize
from tests import material

ELSEWHERE = {
    "context",
    "sender",
    "recipient",
    "nlp",
    "metadata",
    "errors",
    "referral",
    "dialogflowResponse",
    "reply_to",
}
"""Members that tell about a message, not what is in it."""
TEXTS = {"text", "body", "caption", "Body", "ButtonText", "ListTitle", "Label", "Address"}
CHOICES = {
    "quick_reply",
    "postback",
    "button_reply",
    "list_reply",
    "nfm_reply",
    "call_permission_reply",
    "button",
    "postbackData",
    "suggestionResponse",
    "ButtonText",
    "ButtonPayload",
    "ListId",
    "InteractiveData",
}
FILES = {"image", "video", "audio", "voice", "document", "sticker", "location", "order", "template", "attachment"}
LISTS = {"attachments", "contacts"}
LEAST = 0.99


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every member of a content, however deep, that is not empty."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ELSEWHERE and each not in (None, "", [], {}):
                yield name, each
                yield from members(each)
    elif isinstance(value, list):
        for each in value:
            yield from members(each)


def carried(row: Message) -> dict[str, int]:
    """Return how much text, choice and how many attachments a message carries."""
    if row.content_type == material.FORM:
        form = {name: values[0] for name, values in parse_qs(row.content or "").items()}
        found = list(form.items())
        files = sum(name.startswith("MediaUrl") for name in form)
    else:
        content = json.loads(row.content or "", strict=False)
        found = [("text", content)] if isinstance(content, str) and content else list(members(content))
        files = sum(name in FILES and isinstance(each, dict) for name, each in found)
        files += sum(len(each) for name, each in found if name in LISTS and isinstance(each, list))
    return {
        "text": any(name in TEXTS and isinstance(each, str) and each.strip("\0") for name, each in found),
        "choice": any(name in CHOICES for name, _ in found),
        "attachments": files,
    }


@pytest.fixture(scope="module")
def messages(emulator_environment) -> Iterator[list[tuple[str, Message, dict[str, Any]]]]:
    """Every message of every body, and what the view makes of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, parse in material.own_parsers().items():
            patch.setitem(PARSERS, name, parse)
        bodies = [*material.samples(), *material.fixtures(), *material.faults()]
        told = [(name, row) for name, event in bodies for row in normalize(event) if isinstance(row, Message)]
    # Bodies of several hands have the same ids.
    rows = {str(number): structs.replace(row, message_id=str(number)) for number, (_, row) in enumerate(told)}
    analyst = Analyst()
    analyst.load(rows.values())
    read = {row["message_id"]: row for row in analyst.query("SELECT * FROM parley.message_texts")}
    yield [(name, rows[number], read[number]) for number, (name, _) in zip(rows, told, strict=True)]
    analyst.close()


@pytest.mark.parametrize("what", ["text", "choice", "attachments"])
def test_what_a_message_carries_is_found(messages, what, capsys):
    carrying = [(name, row, read, count) for name, row, read in messages if (count := carried(row)[what])]
    missing = [
        (name, row.content)
        for name, row, read, count in carrying
        if not read[what] or (what == "attachments" and len(read[what]) < count)
    ]

    with capsys.disabled():
        found = f"{what}: found in {len(carrying) - len(missing)} of {len(carrying)} messages that carry one"
        sys.stdout.write(f"\n{found}\n")
    assert len(carrying) - len(missing) >= LEAST * len(carrying), missing


def test_nothing_is_found_where_nothing_is(messages):
    """A message without any of them has none: an invented text would be worse than a missing one."""
    empty = [(name, row, read) for name, row, read in messages if not any(carried(row).values())]

    invented = [(name, read["text"], read["choice"]) for name, row, read in empty if read["choice"] is not None]
    assert invented == []
