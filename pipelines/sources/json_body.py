"""What sources that send JSON share: typed reading, exact slices, tolerance of what is no strict JSON."""

import re
from typing import Final, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Raw

Id = str | int | None
"""An id as sources write it; `text` makes one form of it."""
NOTHING: Final = Raw()
"""The value of a `Raw` field that the payload does not have."""

TELLING: Final = (
    "status",
    "state",
    "action",
    "event",
    "event_name",
    "event_type",
    "verb",
    "decision",
    "type",
    "reason",
    "value",
    "name",
    "title",
    "id",
)
"""Members by which events of all sources say what has happened, the most telling first."""
PEOPLE: Final = frozenset({"from", "sender", "recipient", "contact", "contacts", "profile"})
"""Members that say whom an event is of, not what it says."""
DEEPEST: Final = 100
"""Levels of nesting that are read; what lies deeper is still part of the content."""

_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\n\r"
_REPAIRABLE: Final = frozenset(bytes([byte]) for byte in b'{["NI-')
"""What a text begins with that is JSON after its repair, `NaN` and infinities included."""
# A string may end with the text, so that an unbalanced quote is read over once and not again from each quote.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]++|[\]}]++|-?Infinity|NaN', re.DOTALL)
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lost>\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000))"
    rb"|\\.|(?P<control>[\x00-\x1f])",
    re.DOTALL,
)
_STRING: Final = msgspec.json.Decoder(str)
_LIST: Final = msgspec.json.Decoder(list[Raw])
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|\W+")
_LONGEST_KEY: Final = 64

T = TypeVar("T")


class Body:
    """A JSON body: read by typed decoders, with the exact bytes of whatever they give as `Raw`.

    A strict decoder refuses a whole body for one lone surrogate, `NaN`, bare control character, byte that
    is no UTF-8 or very deep nesting anywhere in it. Only then is a copy of the same length read instead, in
    which these are replaced; the slices are of the original all the same.
    """

    def __init__(self, data: bytes) -> None:
        self._original = data.removeprefix(_BOM)
        self._repaired: bytes | None = None
        self._readable = self._original
        # Strict JSON, but no text that every database and language takes.
        if b"\\u0000" in data:
            self._repair()

    def decode(self, decoder: "msgspec.json.Decoder[T]", part: Raw | None = None) -> T:
        """Return what a decoder reads in the body, or in a part of it.

        Raises:
            msgspec.DecodeError: it is not JSON, or not of the decoder's shape.
        """
        try:
            return decoder.decode(self._readable if part is None else part)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if self._repaired is not None and part is None:
                raise
            if part is None and self._original.lstrip(_BLANKS)[:1] not in _REPAIRABLE:
                # Nothing makes JSON of it, and trying costs most where there is most of it.
                raise
        if part is None:
            return decoder.decode(self._repair())
        start, end = self.span(part)
        return decoder.decode(memoryview(self._repair())[start:end])

    def exact(self, part: Raw) -> bytes:
        """Return the original bytes of a part that a decoder gave."""
        if self._repaired is None:
            return bytes(part)
        start, end = self.span(part)
        return self._original[start:end]

    def _repair(self) -> bytes:
        if self._repaired is None:
            self._repaired = self._readable = repaired(self._original)
        return self._repaired

    def span(self, part: Raw) -> tuple[int, int]:
        """Return where a part lies in the body, behind its byte order mark: a view's address tells it.

        Raises:
            ValueError: it is no part of this body.
        """
        view = pa.py_buffer(part)
        for whole in (self._original, self._repaired or b""):
            start = view.address - pa.py_buffer(whole).address
            if 0 <= start <= len(whole) - view.size:
                return start, start + view.size
        raise ValueError("not a part of this body")


def repaired(data: bytes) -> bytes:
    """Return a copy of the same length in which what strict JSON decoders refuse is replaced.

    Lone surrogates and NUL become U+FFFD, bytes that are no UTF-8 question marks, bare control characters
    blanks; `NaN`, infinities and what is nested too deeply become empty strings. What is no JSON beyond
    that stays so.
    """
    # One surrogate for each byte that is no UTF-8, and for each of these a question mark.
    data = data.decode("utf-8", "surrogateescape").encode("utf-8", "replace")
    copy = bytearray(data)
    depth = too_deep = 0
    for token in _TOKEN.finditer(data):
        start, end = token.span()
        match data[start]:
            case 0x22:  # "
                copy[start:end] = _ESCAPE.sub(_readable_escape, token[0])
            # Brackets in a row are one token: millions of them must not take seconds.
            case 0x5B | 0x7B:  # [ {
                if depth <= DEEPEST < depth + end - start:
                    too_deep = start + DEEPEST - depth
                depth += end - start
            case 0x5D | 0x7D:  # ] }
                if depth - (end - start) <= DEEPEST < depth:
                    whole = start + depth - DEEPEST
                    copy[too_deep:whole] = _blank(whole - too_deep)
                depth -= end - start
            case _:
                copy[start:end] = _blank(end - start)
    return bytes(copy)


def text(value: Id) -> str | None:
    """Return an id as text; an empty one counts as absent."""
    return (value or None) if value is None or isinstance(value, str) else str(value)


def scalar(value: Raw) -> str | None:
    """Return a string's text or a number's or truth value's literal; else None.

    Numbers stay as they are written, however large.
    """
    written = bytes(value)
    match written[:1]:
        case b'"':
            return _STRING.decode(written)
        case b"" | b"n" | b"{" | b"[":
            return None
        case _:
            return written.decode()


def is_given(value: Raw) -> bool:
    """Return whether a field is there and not null."""
    return bytes(value) not in {b"", b"null"}


def is_array(value: Raw) -> bool:
    """Return whether a value is an array."""
    return _first(value) == b"["


def members(body: Body, value: Raw) -> dict[str, Raw]:
    """Return an object's members; none for anything else."""
    return body.decode(_MEMBERS, value) if _first(value) == b"{" else {}


def says(body: Body, value: Raw, *names: str, depth: int = 3) -> str:
    """Return in one word what an event says: itself where it is a scalar, else its member that tells most.

    That is the first of `names` that is not empty, else of `TELLING`; else what the objects in it say, in their
    order, down to some depth, and of a list its first; empty where nothing does. Whatever is not named, as tokens
    and codes, is left alone, and so is whom it names.
    """
    if word := scalar(value):
        return word
    found = members(body, value)
    for name in (*names, *TELLING):
        if name in found and (word := scalar(found[name])):
            return word
    for name, each in found.items() if depth else ():
        nested = each
        if is_array(each):
            listed = body.decode(_LIST, each)
            nested = listed[0] if listed else NOTHING
        if name not in PEOPLE and _first(nested) == b"{" and (word := says(body, nested, *names, depth=depth - 1)):
            return word
    return ""


def fact_key(name: str) -> str:
    """Return the metadata key of an event by the source's name for it, in snake case."""
    word = _WORD.sub("_", name).strip("_").lower()[:_LONGEST_KEY]
    return f"source.{word or 'unknown'}"


def _first(value: Raw) -> bytes:
    # A copy of it all takes less time than a view of its beginning.
    return bytes(value)[:1]


def _readable_escape(found: "re.Match[bytes]") -> bytes:
    if found["lost"]:
        return rb"\ufffd"
    return b" " if found["control"] else found[0]


def _blank(length: int) -> bytes:
    return b'""'.ljust(length)
