"""Finds ids in bytes, however they are spelt: plain, escaped as in JSON or in a URL, or within base64.

What is looked for is an id's text; what is searched may be a body, a row as JSON, or a whole file. The id of a
WhatsApp message holds a phone number in base64, for example.
"""

import functools
import re
import string
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

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
_STEP: Final = 4
_WORD_BYTES: Final = 4
_DOUBLE_BYTES: Final = 8
_UNDONE: Final = 9
"""Ids of so many characters are looked for with escapes undone first, which is a thousand times as fast."""
_SWALLOWED: Final = 5
"""Characters of an id, at most, that may be taken for a part of an escape before it."""
_ASCII: Final = 128
_HEX: Final = rb"[0-9A-Fa-f]"
_UNITS: Final = rb"\\{1,8}(?:u(?P<unit>" + _HEX + rb"{4})|(?P<itself>[/\"]))"
_BEHIND_A_BACKSLASH: Final = ("/", '"', "\\")
"""Characters that JSON may write, or does, with a backslash before them."""
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
        plain = [known.encode() for known in self.ids if len(known) >= _ALONE]
        self._coded: dict[bytes, list[str]] = {}
        for each in (each for known in long for each in in_base64(known)):
            self._coded.setdefault(each.inside.encode(), []).append(each.pattern)
        self._plain, self._certain = _Needles(plain), _Needles([*plain, *self._coded])
        short = [known.encode() for known in self.ids if len(known) < _ALONE]
        self._short = _Needles(short)
        self._alone = _whole_words(b"|".join(map(re.escape, short))) if short else None
        undone = [
            known for known in self.ids if len(known) >= _UNDONE and known.isascii() and not {*known} & {*"%\\"}
        ]
        # Where an escape stands before an id that begins like the rest of one, it swallows some characters.
        self._rests: dict[bytes, list[str]] = {}
        for known in undone:
            self._rests.setdefault(known[_SWALLOWED:].encode().replace(b"+", b" "), []).append(known)
        self._undone = _Needles(self._rests)
        self._always = _expression(_pattern(always)) if (always := sorted(set(self.ids) - set(undone))) else None
        written = {*"".join(self.ids)}
        behind = [each for each in _BEHIND_A_BACKSLASH if each in written]
        self._marks = [b"\\u", b"%", *(f"\\{each}".encode() for each in behind)]
        self._is_plain = all(each.isascii() for each in written) and "\\" not in written

    def are_in(self, data: bytes) -> bool:
        """Return whether any of the ids is in some bytes."""
        # First what is certain, all at once: mostly nothing of it is there.
        if self._certain.are_in(data) and (self._plain.are_in(data) or self._are_coded_in(data)):
            return True
        if self._alone is not None and self._short.are_in(data) and self._alone.search(data):
            return True
        # Most bytes have no escapes, and an expression takes a thousand times as long.
        return any(each in data for each in self._marks) and self._are_escaped_in(data)

    def _are_coded_in(self, data: bytes) -> bool:
        patterns = (each for inside in self._certain.found_in(data) for each in self._coded.get(inside, ()))
        return any(_expression(each).search(data) for each in patterns)

    def _are_escaped_in(self, data: bytes) -> bool:
        if self._always is not None and self._always.search(data):
            return True
        found = {rest for bare in _without_escapes(data) for rest in self._undone.found_in(bare)}
        return any(_written(known).search(data) for rest in found for known in self._rests[rest])

    def pattern(self) -> str:
        """Return a regular expression of bytes that finds any of the ids in every spelling.

        Each character may be escaped or not; base64 is searched for in its three alignments. It is ASCII.
        """
        return _pattern(self.ids)

    def hints(self, longest: int) -> list[str]:
        """Return regular expressions of text, as RE2 has them, of which one finds whatever `are_in` finds.

        They are short and fast, and find more: what they find is to be looked at by `are_in`. None has more
        characters than `longest`, unless a single id has.
        """
        needles = {re.escape(known) for known in self.ids} | {re.escape(each.decode()) for each in self._coded}
        if not needles:
            return []
        # Whatever is escaped otherwise is no character of an id.
        marks = (r"\\u00[2-7]", r"%(?:25)*[2-7]") if self._is_plain else (r"\\u", "%")
        found = ["|".join([*marks, *(re.escape(each.decode()) for each in self._marks[2:])])]
        for each in sorted(needles):
            if len(found) > 1 and len(found[-1]) + len(each) < longest:
                found[-1] += f"|{each}"
            else:
                found.append(each)
        return found


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


@functools.lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


@functools.lru_cache(maxsize=4096)
def _written(known: str) -> re.Pattern[bytes]:
    """Return what finds an id of at least `_ALONE` characters with any of its characters escaped."""
    return re.compile("".join(map(_any_form, known)).encode())


class _Needles:
    """Many byte strings, to be looked for at once.

    Of the data only every fourth place is looked at: in whatever is long enough one of them is among the first,
    and a whole word begins there. That such words occur is found without a loop in Python.
    """

    def __init__(self, needles: Iterable[bytes]) -> None:
        self._needles = frozenset(needles)
        self._short = [each for each in self._needles if len(each) < _WORD_BYTES + _STEP - 1]
        self._by_word: dict[int, set[tuple[int, int]]] = {}
        self._by_double: dict[int, set[tuple[int, int]]] = {}
        for each in self._needles.difference(self._short):
            if len(each) < _DOUBLE_BYTES + _STEP - 1:
                _note(self._by_word, each, _WORD_BYTES)
            else:
                _note(self._by_double, each, _DOUBLE_BYTES)
        self._words, self._doubles = frozenset(self._by_word), frozenset(self._by_double)

    def are_in(self, data: bytes) -> bool:
        """Return whether any of them is in some bytes."""
        return next(self.found_in(data), None) is not None

    def found_in(self, data: bytes) -> Iterator[bytes]:
        """Yield those that are in some bytes, perhaps more than once."""
        yield from (each for each in self._short if each in data)
        if self._words:
            words = _words(data, 0, "I", _WORD_BYTES)
            if not self._words.isdisjoint(words):
                yield from self._at(self._by_word, data, words, 0, _WORD_BYTES)
        for start in (0, _STEP) if self._doubles else ():
            words = _words(data, start, "Q", _DOUBLE_BYTES)
            if not self._doubles.isdisjoint(words):
                yield from self._at(self._by_double, data, words, start, _DOUBLE_BYTES)

    def _at(
        self, by_word: dict[int, set[tuple[int, int]]], data: bytes, words: Sequence[int], start: int, size: int
    ) -> Iterator[bytes]:
        """Yield the needles that are where one of their words is."""
        for number in (number for number, word in enumerate(words) if word in by_word):
            for place, length in by_word[words[number]]:
                at = start + number * size - place
                if at >= 0 and data[at : at + length] in self._needles:
                    yield data[at : at + length]


def _note(by_word: dict[int, set[tuple[int, int]]], needle: bytes, size: int) -> None:
    """Note of the words that begin in a needle's first places where they do, and how long it is."""
    for place in range(_STEP):
        word = int.from_bytes(needle[place : place + size], sys.byteorder)
        by_word.setdefault(word, set()).add((place, len(needle)))


def _words(data: bytes, start: int, kind: Literal["I", "Q"], size: int) -> Sequence[int]:
    """Return the whole words of some bytes, one behind the other."""
    end = start + max(0, len(data) - start) // size * size
    return memoryview(data)[start:end].cast(kind)


def _without_escapes(data: bytes) -> Iterator[bytes]:
    """Yield bytes with what is escaped of ASCII as it is, and blanks for plus signs.

    Twice, as a percent sign may be escaped itself, or stand before digits that are no escape.
    """
    for expression in _ESCAPES:
        yield expression.sub(_unescaped, data).replace(b"+", b" ")


def _unescaped(found: re.Match[bytes]) -> bytes:
    digits = found["unit"] or found["byte"]
    if digits is None:
        return found["itself"]
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
    if character in _BEHIND_A_BACKSLASH:
        plain.append(r"\\{1,8}" + re.escape(character))
    return f"(?:{'|'.join([*plain, escapes, percent])})"


def _hex(digit: str) -> str:
    return digit if digit.isdigit() else f"[{digit}{digit.upper()}]"


def _whole_words(written: bytes) -> re.Pattern[bytes]:
    edge = rb"(?:(?<!" + _WORD + rb")|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2}))"
    return re.compile(edge + rb"(?:" + written + rb")(?!" + _WORD + rb")")
