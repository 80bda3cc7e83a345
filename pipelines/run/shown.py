"""Rows as a person reads them: for who writes or mends a source."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipelines.core.rows import TABLE_OF, DeadLetter, Event, Message, Row
from pipelines.run.harmless import harmless
from pipelines.run.readable import readable
from pipelines.sources.expressions import Given

LONGEST: Final = 160
HIDDEN: Final = frozenset({"event_id", "received_at", "generation", "reading", "traceback", "attributes"})
"""Columns that are equal in all rows of an event, or are shown otherwise."""


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield an event's rows, the ledger row first as one sentence."""
    for row in rows:
        if isinstance(row, Event):
            yield _outcome(row)
            continue
        yield ""
        yield TABLE_OF[type(row)] + (f" at {pointer}" if (pointer := getattr(row, "pointer", "")) else "")
        for name, value in readable(row).items():
            if name not in HIDDEN and value not in (None, "", []):
                yield f"  {name:<24} {cut(value)}"
        if isinstance(row, Message) and row.reading is not None:
            yield from _read(row)
        if isinstance(row, DeadLetter):
            yield f"  {'':<24} (nothing of this item is in the other tables)"


def given_lines(given: Sequence[Given]) -> Iterator[str]:
    """Yield what each expression gave, once where it gave the same again."""
    for each in dict.fromkeys((one.place, one.name, one.expression, cut(one.value)) for one in given):
        place, name, expression, value = each
        yield f"  {f'{place}.{name}':<32} {expression}"
        yield f"  {'':<32} → {value}"


def filled(content: str, reading: str) -> Any:
    """Return what a message's reading says, its places filled in from the content."""
    pieces = reading.split("|")
    for at in range(1, len(pieces), 2):
        start, _, length = pieces[at].partition(":")
        pieces[at] = content[int(start) - 1 : int(start) - 1 + int(length)]
    return json.loads("".join(pieces))


def cut(value: Any) -> str:
    """Return a value on one line, of a length that a screen has."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = harmless(" ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"


def _outcome(row: Event) -> str:
    counted = _several(row.rows, "row") + (
        f", {_several(row.dead_letters, 'dead letter')}" if row.dead_letters else ""
    )
    return f"{row.outcome}: {counted}" + (f" ({row.reason})" if row.reason else "")


def _several(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _read(row: Message) -> Iterator[str]:
    found = filled(row.content or "", row.reading or "{}")
    names = {"text": "text", "postbackData": "choice"}
    for name, shown in names.items():
        if name in found:
            yield f"  → {shown:<22} {cut(found[name])}"
    if "context" in found:
        yield f"  → {'reply to':<22} {cut(found['context']['id'])}"
    for each in found.get("attachments", ()):
        yield f"  → {'attachment':<22} {cut(each)}"
    if not found:
        yield f"  → {'text':<22} none"
