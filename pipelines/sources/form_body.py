"""What sources that send forms share: fields of a form or a query, whatever bytes they hold."""

import codecs
import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
UTF_8: Final = "utf-8"
MOST_PARTS: Final = 500
_CHARSET: Final = re.compile(r';\s*charset=["\']?([A-Za-z0-9_.:-]{1,40})', re.IGNORECASE)
_ASCII: Final = bytes(range(0x20, 0x7F))
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_DISPOSITION: Final = re.compile(r"^content-disposition:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
"""A part's header that names its field, all lines of it: https://www.rfc-editor.org/rfc/rfc5322#section-2.2.3"""
# Quotes need not be there: .NET's clients write none. A quote with a backslash before it ends no name.
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^\s;"]*))')
_SHORT: Final = 32
"""Characters of what may be an address."""
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"


def is_json(data: bytes, content_type: str) -> bool:
    """Say whether a body is JSON: by its content type, or because no form begins so, whatever its type says."""
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith(("/json", "+json")) or data.lstrip(_BLANK)[:1] in {b"{", b"["}


def is_form(data: bytes, content_type: str) -> bool:
    """Say whether a body is a form: its content type says so, and it is no JSON."""
    return content_type.partition(";")[0].strip().lower() == FORM and not is_json(data, content_type)


def read(form: bytes, charset: str = UTF_8) -> tuple[dict[str, str], bool]:
    """Return each field's first value, and whether one came twice.

    What is not of the charset, escaped or not, is replaced here, and NUL removed: only the content keeps it.

    https://url.spec.whatwg.org/#urlencoded-parsing
    """
    fields: dict[str, str] = {}
    repeated = False
    # Twice as fast as the standard library's, which looks for escapes also where there are none.
    for field in form.decode(charset, "replace").replace("+", " ").split("&"):
        if not field:
            continue
        name, _, value = field.partition("=")
        name = _unquoted(name, charset) if "%" in name else name
        repeated |= name in fields
        if value:
            value = (_unquoted(value, charset) if "%" in value else value).replace("\0", "").strip()
        fields.setdefault(name, value)
    return fields, repeated


def _unquoted(escaped: str, charset: str) -> str:
    if charset != UTF_8 and not escaped.isascii():
        return unquote(escaped, charset, "replace")
    return _remembered(escaped, charset) if len(escaped) <= _SHORT else _read_escapes(escaped, charset)


def _read_escapes(escaped: str, charset: str) -> str:
    # Half the time of `unquote`, which takes text apart into what is ASCII and what is not.
    return unquote_to_bytes(escaped).decode(charset, "replace")


_remembered = lru_cache(16_384)(_read_escapes)
"""Addresses come again and again, and every one is escaped."""


@lru_cache(64)
def charset_of(content_type: str) -> str:
    """Return in which charset a form is by its content type; UTF-8 where that does not say or nobody knows it."""
    told = _CHARSET.search(content_type)
    if told is None:
        return UTF_8
    try:
        charset = codecs.lookup(told[1]).name
        # Of any other, not even the separators could be found; what escapes may stand for what no text has.
        is_read = _ASCII.decode().encode(charset) == _ASCII and not charset.endswith("escape")
        return charset if is_read else UTF_8
    except (LookupError, ValueError):
        return UTF_8


def is_multipart(content_type: str) -> bool:
    """Say whether a body is a form in parts, by its content type."""
    return content_type.partition(";")[0].strip().lower() == MULTIPART


def read_multipart(body: bytes, content_type: str) -> dict[str, str]:
    """Return each field's first value; of a file, its name.

    https://www.rfc-editor.org/rfc/rfc7578

    Raises:
        ValueError: the content type has no boundary, or the body too many parts.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("multipart/form-data without a boundary")
    fields: dict[str, str] = {}
    parts = (b"\r\n" + body).split(b"\r\n--" + (boundary[1] or boundary[2]).encode(), MOST_PARTS + 1)
    if len(parts) > MOST_PARTS:
        raise ValueError(f"more than {MOST_PARTS} parts")
    for part in parts[1:]:
        if part.startswith(b"--"):
            break
        head, _, value = part.partition(b"\r\n\r\n")
        told = _parameters(head.decode("utf-8", "replace"))
        if "name" in told:
            text = told["filename"] if "filename" in told else value.decode("utf-8", "replace")
            fields.setdefault(told["name"], text.replace("\0", "").strip())
    return fields


def _parameters(head: str) -> dict[str, str]:
    """Return what a part's headers say of its field, and nothing of what else has a name there."""
    disposition = _DISPOSITION.search(head)
    found = _PARAMETER.findall(disposition[1]) if disposition else []
    # Whoever names a file may write what looks like another parameter: the first counts.
    return {name.lower(): quoted.replace('\\"', '"') or plain for name, quoted, plain in reversed(found)}
