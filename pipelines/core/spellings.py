"""Finds ids in bytes, however they are spelt: plain, escaped as in JSON or in a URL, or within base64.

What is looked for is an id's text; what is searched may be a body, a row as JSON, or a whole file. The id of a
WhatsApp message holds a phone number in base64, for example.
"""

import re
import string
from collections.abc import Iterable
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


class Spellings:
    """Several ids, to be looked for together."""

    def __init__(self, ids: Iterable[str]) -> None:
        """Take the ids; those that are too short are in `left_out`."""
        every = {each for each in ids if each}
        self.left_out = sorted(each for each in every if len(each) < SHORTEST)
        self.ids = sorted(every - set(self.left_out))
        long = [known for known in self.ids if len(known) >= _SHORTEST_IN_BASE64]
        self._plain = tuple(known.encode() for known in self.ids if len(known) >= _ALONE)
        coded = [each for known in long for each in in_base64(known)]
        self._coded = tuple(each.inside.encode() for each in coded)
        self._codes = re.compile("|".join(each.pattern for each in coded).encode()) if coded else None
        short = [re.escape(known.encode()) for known in self.ids if len(known) < _ALONE]
        self._short = _whole_words(b"|".join(short)) if short else None
        self._escaped = re.compile(self.pattern().encode()) if self.ids else None

    def are_in(self, data: bytes) -> bool:
        """Return whether any of the ids is in some bytes."""
        if any(each in data for each in self._plain):
            return True
        # Of base64 first what is certain of it, which is found fast.
        if self._codes and any(each in data for each in self._coded) and self._codes.search(data):
            return True
        if self._short is not None and self._short.search(data):
            return True
        # Most bytes have no escapes, and this takes a hundred times as long.
        return self._escaped is not None and (b"\\u" in data or b"%" in data) and bool(self._escaped.search(data))

    def pattern(self) -> str:
        """Return a regular expression, of RE2 and of Python, that finds any of the ids in every spelling.

        Each character may be escaped or not; base64 is searched for in its three alignments. It is ASCII.
        """
        found = []
        for known in self.ids:
            written = "".join(map(_any_form, known))
            if len(known) < _ALONE:
                # Behind the letter of an escape, as in \\n, or of a percent sign's digits, too.
                edge = r"(?:^|[^0-9A-Za-z]|\\[bfnrt]|%[0-9A-Fa-f]{2})"
                written = f"{edge}{written}(?:[^0-9A-Za-z]|$)"
            found.append(written)
            if len(known) >= _SHORTEST_IN_BASE64:
                found += [each.pattern for each in in_base64(known)]
        return f"(?:{'|'.join(found)})"


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
