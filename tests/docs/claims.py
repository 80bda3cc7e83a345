"""What the pages of docs/sources claim of each sample: a table that can be read by a program too.

    python tests/docs/claims.py

writes into each page what its samples become. Look at what has changed: a claim is for people who build on it.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock
from urllib.parse import parse_qs

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from pipelines.core.rows import DeadLetter, Message, Metadata  # noqa: E402
from pipelines.sources import PARSERS  # noqa: E402
from pipelines.sources.custom import OwnJson  # noqa: E402
from pipelines.sources.normalization import normalize  # noqa: E402
from tests import material  # noqa: E402

PAGES = ROOT / "docs" / "sources"
FOLDERS = {
    "airy": ("airy",),
    "chatplugin": ("chatplugin",),
    "facebook": ("facebook", "instagram"),
    "google": ("google",),
    "twilio": ("twilio",),
    "whatsapp": ("whatsapp",),
}
"""Whose samples each page is about."""
HEADING = "## Every sample, and what it becomes"
HEAD = "| sample | what is in it | rows |\n|---|---|---|\n"
ENVELOPE = {"sender", "recipient", "timestamp"}
_LINE = re.compile(r"\| \[(?P<name>[^\]]+)\]\([^)]+\) \| (?P<what>.*) \| (?P<rows>.*) \|")


class Claim(NamedTuple):
    """What a page says of a sample."""

    what: str
    rows: str


def claimed(page: str) -> dict[str, Claim]:
    """Return what a page says of each sample, by folder and name."""
    _, _, table = (PAGES / f"{page}.md").read_text("utf-8").partition(HEADING)
    return {line["name"]: Claim(line["what"], line["rows"]) for line in _LINE.finditer(table)}


def true(page: str) -> dict[str, Claim]:
    """Return what is true of each sample."""
    with mock.patch.dict(PARSERS, {"desk": OwnJson("desk").parse}):
        return {
            f"{path.parent.name}/{path.name}": Claim(_what(path), _rows(path))
            for folder in FOLDERS[page]
            for path in sorted((material.SAMPLES / folder).iterdir())
        }


def write() -> None:
    """Write into each page what is true of its samples."""
    for page in FOLDERS:
        path = PAGES / f"{page}.md"
        before = path.read_text("utf-8").partition(HEADING)[0].rstrip()
        lines = "".join(
            f"| [{name}](../../tests/samples/{name}) | {claim.what} | {claim.rows} |\n"
            for name, claim in true(page).items()
        )
        path.write_text(
            f"{before}\n\n{HEADING}\n\nA test compares this table with the parsers.\n\n{HEAD}{lines}", "utf-8"
        )


def _what(path: Path) -> str:
    """Return the names by which a sample says what it is."""
    data = path.read_bytes()
    if path.suffix == ".form":
        form = parse_qs(data.decode())
        told = ("EventType", "event_type", "MessageStatus", "CallStatus", "OptOutType")
        told += ("ErrorUrl", "MessageType", "ButtonText", "ListId")
        names = [f"`{name}={form[name][0]}`" if name in told[:5] else f"`{name}`" for name in told if name in form]
        return ", ".join(names) or "`Body`"
    return ", ".join(f"`{name}`" for name in dict.fromkeys(_names(json.loads(data))))


def _names(body: object) -> Iterator[str]:
    if isinstance(body, list):
        for each in body:
            yield from _names(each)
    elif isinstance(body, dict) and "entry" in body:
        for entry in body["entry"]:
            for item in (*entry.get("messaging", ()), *entry.get("standby", ())):
                yield from (_flagged(name, item[name]) for name in item if name not in ENVELOPE) if item else ()
            yield from ("calls" for _ in entry.get("calls", ()))
            for change in (*entry.get("changes", ()), *([entry] if "field" in entry else ())):
                yield from _changed(change)
    elif isinstance(body, dict):
        keys = ("type",) if "type" in body else tuple(key for key in body if key not in DESCRIBING)
        yield from (body[key] if key == "type" else key for key in keys)


DESCRIBING = {"agent", "conversationId", "customAgentId", "requestId", "context", "sendTime", "sent_at"}


def _flagged(name: str, payload: object) -> str:
    if name == "message" and isinstance(payload, dict):
        marks = [mark for mark in ("is_echo", "is_deleted", "is_unsupported", "quick_reply") if payload.get(mark)]
        return ".".join(["message", *marks[:1]])
    return name


def _changed(change: dict[str, object]) -> Iterator[str]:
    field, value = change.get("field"), change.get("value")
    lists = {k: v for k, v in value.items() if isinstance(v, list)} if isinstance(value, dict) else {}
    kinds = [
        f"{field}: {each['type']}"
        for name in ("messages", "message_echoes")
        for each in lists.get(name, ())
        if isinstance(each, dict) and "type" in each
    ]
    yield from kinds or [str(field)]


def _rows(path: Path) -> str:
    """Return what a sample becomes: messages, then facts, each said once."""
    source = material.ENDPOINTS.get(path.parent.name, path.parent.name)
    made = normalize(material.event(source, path.read_bytes(), is_form=path.suffix == ".form"))
    told = [_message(row) for row in made if isinstance(row, Message)]
    told += [_fact(row) for row in made if isinstance(row, Metadata)]
    told += ["a dead letter" for row in made if isinstance(row, DeadLetter)]
    return "; ".join(dict.fromkeys(told)) or "none"


def _message(row: Message) -> str:
    kind = "message" if row.kind == "message" else f"message of kind `{row.kind}`"
    flags = "".join(f", `{flag}`" for flag in row.flags)
    return f"{row.direction} {kind}{flags}"


def _fact(row: Metadata) -> str:
    value = f" = `{row.value}`" if row.value else ""
    return f"`{row.key}`{value} about the {row.subject_type}"


if __name__ == "__main__":
    write()
