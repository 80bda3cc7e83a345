"""Finds ids in bytes, however they are spelt: plain, escaped as in JSON or in a URL, or within base64.

What is looked for is an id's text; what is searched may be a body, a row as JSON, or a whole file. The id of a
WhatsApp message holds a phone number in base64, for example.
"""

import re
import string
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

SHORTEST: Final = 4
"""Characters: a shorter id would be found everywhere, and is not looked for."""
_ALONE: Final = 8
"""A shorter id than this is only found where no letter or digit is next to it."""
_SHORTEST_IN_BASE64: Final = 6
_BASE64: Final = f"{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}+/"
_BASE64_URL: Final = f"{_BASE64[:-2]}-_"
_WORD: Final = b"[0-9A-Za-z]"
_FEW: Final = 40
_START: Final = 4
_UNDONE: Final = 9
"""Ids of so many characters are looked for with escapes undone first, which is a thousand times as fast."""
_SWALLOWED: Final = 5
"""Characters of an id, at most, that may be taken for a part of an escape before it."""
_ASCII: Final = 128
_HEX: Final = rb"[0-9A-Fa-f]"
_UNITS: Final = rb"\\{1,8}(?:u(?P<unit>" + _HEX + rb"{4})|/)"
_ESCAPES: Final = tuple(
    re.compile(_UNITS + rb"|%" + percent + rb"(?P<byte>" + _HEX + rb"{2})") for percent in (rb"(?:25)*", rb"")
)


class Spellings:
    """Several ids, to be looked for together."""

    def __init__(self, ids: Iterable[str]) -> None:
        """Take the ids; those that are too short are in `left_out`."""
        every = {each for each in ids if each}
        self.left_out = sorted(each for each in every if len(each) < SHORTEST)
        self.ids = sorted(every - set(self.left_out))
        long = [known for known in self.ids if len(known) >= _SHORTEST_IN_BASE64]
        self._plain = _Needles(known.encode() for known in self.ids if len(known) >= _ALONE)
        coded = [each for known in long for each in in_base64(known)]
        self._coded = _Needles(each.inside.encode() for each in coded)
        self._codes = re.compile("|".join(each.pattern for each in coded).encode()) if coded else None
        short = [re.escape(known.encode()) for known in self.ids if len(known) < _ALONE]
        self._short = _whole_words(b"|".join(short)) if short else None
        undone = {
            known for known in self.ids if len(known) >= _UNDONE and known.isascii() and not {*known} & {*"%\\"}
        }
        # Where an escape stands before an id that begins like the rest of one, it swallows some characters.
        self._undone = _Needles(known[_SWALLOWED:].encode().replace(b"+", b" ") for known in undone)
        self._escaped = _expression(sorted(undone))
        self._always = _expression(sorted(set(self.ids) - undone))

    def are_in(self, data: bytes) -> bool:
        """Return whether any of the ids is in some bytes."""
        if self._plain.are_in(data):
            return True
        # Of base64 first what is certain of it, which is found fast.
        if self._codes and self._coded.are_in(data) and self._codes.search(data):
            return True
        if self._short is not None and self._short.search(data):
            return True
        # Most bytes have no escapes, and the expression takes a thousand times as long.
        return (b"\\u" in data or b"%" in data) and self._are_escaped_in(data)

    def _are_escaped_in(self, data: bytes) -> bool:
        if self._always is not None and self._always.search(data):
            return True
        if self._escaped is None or not any(map(self._undone.are_in, _without_escapes(data))):
            return False
        return bool(self._escaped.search(data))

    def pattern(self) -> str:
        """Return a regular expression, of RE2 and of Python, that finds any of the ids in every spelling.

        Each character may be escaped or not; base64 is searched for in its three alignments. It is ASCII.
        """
        return _pattern(self.ids)


def _pattern(ids: Iterable[str]) -> str:
    found = []
    for known in ids:
        written = "".join(map(_any_form, known))
        if len(known) < _ALONE:
            # Behind the letter of an escape, as in \\n, or of a percent sign's digits, too.
            edge = r"(?:^|[^0-9A-Za-z]|\\[bfnrt]|%[0-9A-Fa-f]{2})"
            written = f"{edge}{written}(?:[^0-9A-Za-z]|$)"
        found.append(written)
        if len(known) >= _SHORTEST_IN_BASE64:
            found += [each.pattern for each in in_base64(known)]
    return f"(?:{'|'.join(found)})"


def _expression(ids: list[str]) -> re.Pattern[bytes] | None:
    return re.compile(_pattern(ids).encode()) if ids else None


class _Needles:
    """Many short byte strings, to be looked for at once."""

    def __init__(self, needles: Iterable[bytes]) -> None:
        every = sorted(set(needles))
        # A few are found fastest one by one, many by what each begins with.
        few = len(every) <= _FEW
        self._single = tuple(each for each in every if few or len(each) < _START)
        self._by_start: dict[bytes, list[bytes]] = {}
        for each in () if few else every:
            if len(each) >= _START:
                self._by_start.setdefault(each[:_START], []).append(each)

    def are_in(self, data: bytes) -> bool:
        """Return whether any of them is in some bytes."""
        if any(each in data for each in self._single):
            return True
        starts = self._by_start
        if not starts:
            return False
        for place in range(len(data) - _START + 1):
            found = starts.get(data[place : place + _START])
            if found and any(data.startswith(each, place) for each in found):
                return True
        return False


def _without_escapes(data: bytes) -> Iterator[bytes]:
    """Yield bytes with what is escaped of ASCII as it is, and blanks for plus signs.

    Twice, as a percent sign may be escaped itself, or stand before digits that are no escape.
    """
    for expression in _ESCAPES:
        yield expression.sub(_unescaped, data).replace(b"+", b" ")


def _unescaped(found: re.Match[bytes]) -> bytes:
    digits = found["unit"] or found["byte"]
    if digits is None:
        return b"/"
    value = int(digits, 16)
    return bytes((value,)) if value < _ASCII else found[0]


class Coded(NamedTuple):
    """How a text is written in base64 at one of three places."""

    inside: str
    """The characters that are certain, of either alphabet."""
    pattern: str
    """A regular expression of all, those at the ends, of which only some bits are certain, among them."""


def in_base64(text: str) -> list[Coded]:
    """Return what of base64, of either alphabet, holds a text whatever comes before and behind it."""
    data = text.encode()
    found = []
    for before in range(3):
        first, end = before * 8, (before + len(data)) * 8
        bits = int.from_bytes(data) << (-end % 6)
        characters = [
            _fitting(bits >> (-(-end // 6) - 1 - place) * 6 & 63, place, first, end)
            for place in range(first // 6, -(-end // 6))
        ]
        pattern = "".join(
            each if len(each) == 1 else f"[{each.replace('-', '')}{'-' * ('-' in each)}]" for each in characters
        )
        certain = "".join(each if len(each) == 1 else " " for each in characters)
        found.append(Coded(max(certain.split(" "), key=len), pattern))
    return found


def _fitting(value: int, place: int, first: int, end: int) -> str:
    """Return the characters of base64 at a place that agree with the bits from `first` to `end`."""
    mask = sum(1 << (5 - bit) for bit in range(6) if first <= place * 6 + bit < end)
    return "".join(
        f"{one}{other}" if one != other else one
        for number, (one, other) in enumerate(zip(_BASE64, _BASE64_URL, strict=True))
        if number & mask == value & mask
    )


def phone_forms(number: str) -> set[str]:
    """Return how an international number may be written; nothing where it is none."""
    try:
        parsed = phonenumbers.parse(f"+{number.removeprefix('+')}", None)
    except NumberParseException:
        return set()
    forms = (PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966)
    found = {phonenumbers.format_number(parsed, form) for form in forms}
    national = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    # Without its country a number is somebody's in each: only its usual writing, not its bare digits.
    return found | {found_form.removeprefix("+") for found_form in found} | {national}


def _any_form(character: str) -> str:
    """Return the expression of a character, escaped or not, in JSON (also within a text of JSON) and in a URL."""
    units = character.encode("utf-16-be").hex()
    escapes = "".join(
        r"\\{1,8}u" + "".join(map(_hex, units[start : start + 4])) for start in range(0, len(units), 4)
    )
    percent = "".join("%(?:25)*" + "".join(map(_hex, f"{byte:02x}")) for byte in character.encode())
    plain = [re.escape(character)] if character.isascii() else []
    plain += ["".join(rf"\x{byte:02x}" for byte in character.encode())] if not character.isascii() else []
    if character == " ":
        plain.append(r"\+")
    if character == "/":
        plain.append(r"\\{1,8}/")
    return f"(?:{'|'.join([*plain, escapes, percent])})"


def _hex(digit: str) -> str:
    return digit if digit.isdigit() else f"[{digit}{digit.upper()}]"


def _whole_words(written: bytes) -> re.Pattern[bytes]:
    edge = rb"(?:(?<!" + _WORD + rb")|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2}))"
    return re.compile(edge + rb"(?:" + written + rb")(?!" + _WORD + rb")")
