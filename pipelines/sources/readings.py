"""Where in a message's content its text and attachments lie, as a mapping says.

A reading is JSON in which what lies in the content is not written out: `|12:5|` stands for the five characters
from the twelfth one on. The view `message_texts` fills them in, and reads the result as it reads what built-in
sources send. What an expression makes that does not lie in the content (joined texts, what a form escapes) is
written out.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pipelines.sources.interpreter import scalar_text

MARK: Final = "|"
MOST_ATTACHMENTS: Final = 100
_ESCAPED_MARK: Final = "\\u007c"
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_STRING: Final = msgspec.json.Decoder(str)

Attachment = dict[str, Any]


class Reader:
    """Writes readings of one item."""

    def __init__(self, content: bytes, *, is_json: bool) -> None:
        self._content = content if is_json else b""
        # Made once for all of the item's texts: a hostile item has hundreds, and megabytes in which they are not.
        self._escaped: dict[str, tuple[int, int]] | None = None

    def reading(
        self, text: Any, choice: Any = None, reply_to: Any = None, attachments: Sequence[Attachment] = ()
    ) -> str:
        """Return the reading of a message; of what there is nothing, it says nothing."""
        parts = [
            *self._members({"text": text, "postbackData": choice}),
            *([f'"context":{{{member}}}'] if (member := "".join(self._members({"id": reply_to}))) else []),
        ]
        listed = [
            f"{{{','.join(members)}}}"
            for each in attachments[:MOST_ATTACHMENTS]
            if (members := list(self._members(each)))
        ]
        if listed:
            parts.append(f'"attachments":[{",".join(listed)}]')
        return f"{{{','.join(parts)}}}"

    def _members(self, values: Attachment) -> Iterator[str]:
        for name, value in values.items():
            if value_text := scalar_text(value):
                yield f'"{name}":{self._written(value_text)}'

    def _written(self, text: str) -> str:
        span = self._span(text)
        if span is None:
            return json.dumps(text, ensure_ascii=False).replace(MARK, _ESCAPED_MARK)
        start, end = span
        before = len(self._content[:start].decode("utf-8", "replace"))
        length = len(self._content[start:end].decode("utf-8", "replace"))
        return f"{MARK}{before + 1}:{length}{MARK}"

    def _span(self, text: str) -> tuple[int, int] | None:
        """Return where the content has a text as JSON: as it is usually written, else anyhow."""
        if not self._content:
            return None
        usual = [json.dumps(text, ensure_ascii=each).encode("utf-8", "surrogatepass") for each in (False, True)]
        # Mostly these are one: what is not in the content is looked for in all of it.
        for written in dict.fromkeys(each for one in usual for each in (one, one.replace(b"/", rb"\/"))):
            if (start := self._content.find(written)) >= 0:
                return start, start + len(written)
        if self._escaped is None:
            self._escaped = _escaped_strings(self._content)
        return self._escaped.get(text)


def _escaped_strings(content: bytes) -> dict[str, tuple[int, int]]:
    """Return where JSON first has each text that it writes with escapes."""
    found: dict[str, tuple[int, int]] = {}
    for token in _TOKEN.finditer(content):
        text = _said(token[0]) if b"\\" in token[0] else None
        # A character takes six bytes at most.
        if text is not None and len(token[0]) <= 6 * len(text) + 2:
            found.setdefault(text, token.span())
    return found


def _said(token: bytes) -> str | None:
    try:
        return _STRING.decode(token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
