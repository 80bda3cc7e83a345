"""Takes a person out of a raw event: the whole body where nobody else is in it, else item by item.

An item of that person becomes `null`, every other byte stays, so that everybody else's content is still an exact
slice of the body. Whether it worked is not assumed but checked: what the rest tells is what it told before.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from pipelines.core import rows
from pipelines.core.spellings import Spellings
from pipelines.sources.json_body import Body
from pipelines.sources.normalization import LARGEST_DECODED, Trace, every_row, traced
from schemas.encodings import decoded
from schemas.raw_event import CONTENT_ENCODING, CONTENT_TYPE, ERASED, EVENT_ID, RECEIVED_AT, SOURCE, RawEvent

MOST_RUNS: Final = 20
"""Of so many erasures an event says that they have touched it: the last ones."""
MOST_NAMED: Final = 100
"""So many parts of an event that name the person are tried one by one, where others need one of them."""
_LEFT: Final = frozenset({EVENT_ID, SOURCE, RECEIVED_AT, ERASED})
"""The attributes that an event keeps of which nothing else is left."""
_OURS: Final = _LEFT | {CONTENT_TYPE, "verified_by"}
_WHOLE: Final = msgspec.json.Decoder(Raw)
_LIST: Final[msgspec.json.Decoder[list[Raw]]] = msgspec.json.Decoder(list[Raw])
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_BOM: Final = b"\xef\xbb\xbf"

IsTheirs = Callable[[rows.Row], bool]


class Left(msgspec.Struct, frozen=True):
    """What is left of an event without a person."""

    event: RawEvent
    is_alone: bool
    """Whether nobody else was in it: it has no body any more."""
    removed: list[rows.Row]
    """The rows that it does not make any more."""
    mentions: bool
    """Whether others speak of the person in items of their own, which stay as they are."""


class InseparableError(Exception):
    """An event has items of others that would not be what they were without the person's."""


def without(event: RawEvent, is_theirs: IsTheirs, spelt: Spellings | None, run_id: str) -> Left | None:
    """Return what is left of an event without a person; None where nothing of that person is in it.

    Args:
        event: any event; one that was erased before is none the worse.
        is_theirs: tells a row of the person.
        spelt: the person's ids, to be looked for in what makes no row; None where they are not known.
        run_id: the erasure that the event says it was touched by.

    Raises:
        InseparableError: others would lose something.
        InvalidRawEventError: as `normalize`.
    """
    trace = traced(event)
    theirs = [row for row in trace.made[1:] if _is_theirs(row, is_theirs, spelt)]
    if not theirs and not _names(event, spelt):
        return None
    chosen = _items(trace, is_theirs, spelt)
    others = [row for row in trace.made[1:] if row not in chosen.rows]
    if not others or (theirs and not any(map(_tells, others))):
        # Nobody else's; or it makes no row at all, and names the person.
        return tombstone(event, run_id, trace.made[1:])
    data = _plain(event)
    attributes = {name: value for name, value in event.attributes.items() if not _names_in(name, value, spelt)}
    bare = {name: value for name, value in attributes.items() if name != CONTENT_ENCODING}
    cut = _cut(data, chosen, spelt)
    is_changed = bool(theirs) or len(attributes) < len(event.attributes)
    if cut.spans or is_changed:
        cut = _separable(event.event_id, cut, bare, others)
    if not (cut.spans or is_changed):
        return Left(event, False, [], cut.mentions)
    rest = RawEvent(cut.data, _marked(bare, run_id))
    holders = [row for row in others if _holds(row, cut.pointers)]
    return Left(rest, False, [row for row in trace.made[1:] if row in chosen.rows or row in holders], cut.mentions)


def tombstone(event: RawEvent, run_id: str, removed: Sequence[rows.Row] = ()) -> Left:
    """Return an event of which nothing is left but that it was there: id, source, time, and what erased it."""
    attributes = {name: value for name, value in event.attributes.items() if name in _LEFT}
    return Left(RawEvent(b"", _marked(attributes, run_id)), True, list(removed), False)


class _Chosen(msgspec.Struct, frozen=True):
    """The items of a person, and those of others, by their pointers."""

    theirs: set[str]
    others: set[str]
    rows: set[rows.Row]
    """All rows of the person's items."""


def _items(trace: Trace, is_theirs: IsTheirs, spelt: Spellings | None) -> _Chosen:
    own: dict[str, list[rows.Row]] = {}
    taken: set[int] = set()
    for span in trace.spans:
        mine = [place for place in range(span.first, span.end) if place not in taken]
        taken.update(mine)
        own.setdefault(span.pointer, []).extend(trace.read[place] for place in mine)
    theirs = {pointer for pointer, made in own.items() if any(map(is_theirs, made))}
    letters = [row for row in trace.made if isinstance(row, rows.DeadLetter)]
    theirs |= {each.pointer for each in letters if _is_theirs(each, is_theirs, spelt)}
    # What lies in an item goes with it.
    inner = {pointer for pointer in own if any(_lies_in(pointer, each) for each in theirs)}
    others = {pointer for pointer, made in own.items() if any(map(_tells, made))} - theirs - inner
    others |= {each.pointer for each in letters} - theirs
    gone = {row for pointer in theirs | inner for row in own.get(pointer, ())}
    gone |= {each for each in letters if any(_lies_in(each.pointer, one) for one in theirs)}
    kept = {row for pointer in others for row in own.get(pointer, ())}
    return _Chosen(theirs, others, gone - kept)


class _Span(msgspec.Struct, frozen=True):
    """A part of a body that may go."""

    first: int
    end: int
    pointer: str
    is_item: bool
    """Whether it is an item of the person; else it names the person, and makes no row of theirs."""


class _Rest(msgspec.Struct, frozen=True):
    """A body without what is to go."""

    body: bytes
    """As it was."""
    spans: list[_Span]
    """What was taken out."""
    mentions: bool

    @property
    def pointers(self) -> list[str]:
        """Where something was taken out."""
        return [span.pointer for span in self.spans]

    @property
    def data(self) -> bytes:
        """What is left."""
        left = self.body
        for span in sorted(self.spans, key=lambda span: span.first, reverse=True):
            left = left[: span.first] + b"null" + left[span.end :]
        return left


def _separable(known: str, cut: _Rest, attributes: dict[str, str], others: list[rows.Row]) -> _Rest:
    """Return what can be taken out so that others' rows stay.

    What names the person, and what others' rows are made of, is theirs: as the profile of somebody who has the
    same number in another source, and is not erased. It stays, and counts as others speaking of the person.
    """
    if _others_stay(cut, attributes, others):
        return cut
    named = [span for span in cut.spans if not span.is_item]
    left = _Rest(cut.body, [span for span in cut.spans if span.is_item], mentions=True)
    if not named or len(named) > MOST_NAMED or not _others_stay(left, attributes, others):
        raise InseparableError(f"event {known}: others in it would lose something")
    for span in named:
        further = _Rest(cut.body, [*left.spans, span], mentions=True)
        if _others_stay(further, attributes, others):
            left = further
    return left


def _others_stay(cut: _Rest, attributes: dict[str, str], others: list[rows.Row]) -> bool:
    """Return whether a rest makes the rows of others, but for those of items of which a part was taken out."""
    made = every_row(RawEvent(cut.data, attributes))[1:]
    told = {_as_told(row) for row in made if not _holds(row, cut.pointers)}
    holders = {_as_told(row) for row in others if _holds(row, cut.pointers)}
    return told == set(map(_as_told, others)) - holders


def _cut(data: bytes, chosen: _Chosen, spelt: Spellings | None) -> _Rest:
    """Return a JSON body with `null` in the place of the person's items and of what else names the person."""
    body = Body(data)
    start = len(_BOM) if data.startswith(_BOM) else 0
    cutter = _Cutter(body, chosen, spelt, start)
    try:
        cutter.look(body.decode(_WHOLE), "")
    except (msgspec.DecodeError, UnicodeError, ValueError):
        return _Rest(data, [], mentions=False)
    return _Rest(data, cutter.spans, cutter.mentions)


class _Cutter:
    """Looks in a body for what is to go."""

    def __init__(self, body: Body, chosen: _Chosen, spelt: Spellings | None, start: int) -> None:
        """Take a body, and how many bytes lie before it."""
        self._body = body
        self._start = start
        self._chosen = chosen
        self._spelt = spelt
        self.spans: list[_Span] = []
        self.mentions = False

    def look(self, part: Raw, pointer: str, *, is_element: bool = False) -> None:
        if pointer and pointer in self._chosen.theirs:
            self._take_out(part, pointer, is_item=True)
            return
        leads = any(_lies_in(each, pointer) for each in self._chosen.theirs)
        named = self._spelt is not None and self._spelt.are_in(self._body.exact(part))
        if not leads and any(_lies_in(pointer, each) for each in self._chosen.others):
            self.mentions |= named
        elif leads or named:
            holds = leads or any(_lies_in(each, pointer) for each in self._chosen.others)
            self._look_into(part, pointer, is_whole=is_element and not holds)

    def _look_into(self, part: Raw, pointer: str, *, is_whole: bool) -> None:
        first = bytes(part)[:1]
        if is_whole or first not in {b"[", b"{"}:
            self._take_out(part, pointer, is_item=False)
        elif first == b"[":
            elements = self._body.decode(_LIST, part)
            for number, each in enumerate(elements):
                self.look(each, f"{pointer}/{number}", is_element=True)
        else:
            for name, each in self._body.decode(_MEMBERS, part).items():
                self.look(each, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")

    def _take_out(self, part: Raw, pointer: str, *, is_item: bool) -> None:
        first, end = self._body.span(part)
        self.spans.append(_Span(self._start + first, self._start + end, pointer, is_item))


def _lies_in(pointer: str, outer: str) -> bool:
    return pointer == outer or pointer.startswith(f"{outer}/")


def _is_theirs(row: rows.Row, is_theirs: IsTheirs, spelt: Spellings | None) -> bool:
    return is_theirs(row) or (isinstance(row, rows.DeadLetter) and _letter_names(row, spelt))


def _letter_names(letter: rows.DeadLetter, spelt: Spellings | None) -> bool:
    return spelt is not None and (
        spelt.are_in(letter.data or b"") or spelt.are_in(f"{letter.error_message}\n{letter.attributes}".encode())
    )


def _tells(row: rows.Row) -> bool:
    """Return whether a row tells anything of anybody: that a channel was seen does not."""
    return not isinstance(row, rows.Channel)


def _names(event: RawEvent, spelt: Spellings | None) -> bool:
    if spelt is None:
        return False
    told = "\n".join(value for name, value in event.attributes.items() if name not in _OURS)
    if spelt.are_in(_plain(event)):
        return True
    # All at once first: mostly nobody is named in any of them.
    return spelt.are_in(told.encode()) and any(_names_in(*each, spelt) for each in event.attributes.items())


def _plain(event: RawEvent) -> bytes:
    """Return a body that is not compressed; as it came where it cannot be read."""
    encoding = event.attributes.get(CONTENT_ENCODING)
    if not encoding:
        return event.data
    try:
        return decoded(event.data, encoding, LARGEST_DECODED)
    except Exception:
        # Whatever is wrong with it has made its dead letter.
        return event.data


def _names_in(name: str, value: str, spelt: Spellings | None) -> bool:
    """Return whether an attribute names the person: not those by which an event is known."""
    return spelt is not None and name not in _OURS and spelt.are_in(value.encode())


def _holds(row: rows.Row, pointers: list[str]) -> bool:
    """Return whether a row is of an item of which a part was taken out: its content cannot be what it was."""
    where = getattr(row, "pointer", None)
    return where is not None and any(_lies_in(each, where) for each in pointers)


def _as_told(row: rows.Row) -> rows.Row:
    """Return a row without what it says of its event: a body that was compressed is not any more."""
    return msgspec.structs.replace(row, attributes="") if isinstance(row, rows.DeadLetter) else row


def _marked(attributes: dict[str, str], run_id: str) -> dict[str, str]:
    runs = [each for each in attributes.get(ERASED, "").split(",") if each and each != run_id]
    return {**attributes, ERASED: ",".join([*runs[1 - MOST_RUNS :], run_id])}


__all__ = ["InseparableError", "IsTheirs", "Left", "tombstone", "without"]
