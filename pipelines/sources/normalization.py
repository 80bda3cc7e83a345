"""From one raw event to its rows: the pure function that streaming and batch share."""

import hashlib
from operator import attrgetter
from typing import Final

import msgspec

from pipelines import sources
from pipelines.core import rows
from pipelines.core.bounds import TooManyFailuresError
from pipelines.core.dead_letter import LARGEST_DATA, LONGEST_MESSAGE, dead_letter
from pipelines.core.generation import GENERATION
from pipelines.core.item import Lineage, Span
from pipelines.core.times import to_micros
from schemas.encodings import decoded
from schemas.raw_event import CONTENT_ENCODING, ERASED, VERIFIED_BY, InvalidRawEventError, RawEvent

LARGEST_DECODED: Final = 32 * 1024 * 1024
"""Bytes of a body that is no longer compressed: many times what any may have that is not."""

_DAY_OF = {
    kind: attrgetter(next(name for name in kind.__struct_fields__ if name.endswith("_date")))
    for kind in rows.TABLES.values()
    if kind not in {rows.Event, rows.DeadLetter}
}
"""What gives, of each kind of row, the day of the partition in which it lies."""


class UnknownSourceError(LookupError):
    """No parser is registered for a raw event's source."""


class WorkerDiedError(Exception):
    """Whoever read this event did not live to say what is wrong with it."""


def normalize(event: RawEvent) -> list[rows.Row]:
    """Return every row that a raw event makes: its ledger row first.

    Pure: no clock, randomness, network or order. Never raises: what cannot be normalized becomes a
    dead letter, item by item. What would make more than `pipelines.core.bounds` allows becomes one as a whole.

    Raises:
        InvalidRawEventError: the event lacks an id, a source or a usable time of receipt, so that no
            row could be traced to it.
    """
    return _normalize(event, None)


class Trace(msgspec.Struct, frozen=True):
    """What an event tells, and which items of it."""

    made: list[rows.Row]
    """What `every_row` returns."""
    read: list[rows.Row]
    """The rows of items in the order in which they were made, repetitions among them."""
    spans: list[Span]
    """The items, the inner before the outer; none where an event failed as a whole."""


def every_row(event: RawEvent) -> list[rows.Row]:
    """Return what `normalize` does, and a row for every sighting, also where another row tells it.

    Raises:
        InvalidRawEventError: as `normalize`.
    """
    return traced(event).made


def traced(event: RawEvent) -> Trace:
    """Return every row that an event tells, and of which items.

    Raises:
        InvalidRawEventError: as `normalize`.
    """
    trace = Trace([], [], [])
    trace.made.extend(_normalize(event, trace))
    return trace


def _normalize(event: RawEvent, trace: Trace | None) -> list[rows.Row]:
    spans = None if trace is None else trace.spans
    source, received = event.source, to_micros(event.received_at)
    erased = event.attributes.get(ERASED)
    lineage = Lineage(event.event_id, received, len(event.data), is_erased=bool(erased), spans=spans)
    ignored = None
    dead: list[rows.DeadLetter] = []
    try:
        parse = sources.PARSERS.get(source)
        if erased and not event.data:
            parse = _erased
        if parse is None:
            raise UnknownSourceError(f"no parser for the source {source!r}")
        if encoding := event.attributes.get(CONTENT_ENCODING):
            read = msgspec.structs.replace(event, data=decoded(event.data, encoding, LARGEST_DECODED))
            lineage = Lineage(event.event_id, received, len(read.data), is_erased=bool(erased), spans=spans)
            ignored = parse(read, lineage)
        else:
            ignored = parse(event, lineage)
    except Exception as error:
        lineage.rows.clear()
        if spans is not None:
            spans.clear()
        dead = [dead_letter(event, received, "parse", "", error, data=event.data)]
    else:
        dead = _letters_of_items(event, received, lineage)
    if trace is not None:
        trace.read.extend(lineage.rows)
    made = _distinct(lineage.rows)
    return [_ledger_row(event, lineage, source, made, dead, ignored), *made, *dead]


def _erased(event: RawEvent, lineage: Lineage) -> str:
    """Return why there is nothing in an event of which nothing was left."""
    return f"erased by {event.attributes[ERASED]}"


def set_aside(event: RawEvent) -> list[rows.Row]:
    """Return the ledger row and the dead letter of an event that is not read, since processes have died on it.

    Raises:
        InvalidRawEventError: as `normalize`.
    """
    received = to_micros(event.received_at)
    error = WorkerDiedError("every process that read it has died; the archive has it")
    letter = dead_letter(event, received, "parse", "", error, data=None)
    return [_ledger_row(event, Lineage(event.event_id, received), event.source, [], [letter], None), letter]


def _letters_of_items(event: RawEvent, received: int, lineage: Lineage) -> list[rows.DeadLetter]:
    """Return a dead letter for each item that failed, and one for all that are too many."""
    letters = []
    left = LARGEST_DATA
    for pointer, error, raw in lineage.failures:
        data = raw if len(raw) <= left else None
        left -= len(data or b"")
        letters.append(dead_letter(event, received, "item", pointer, error, data=data))
    if lineage.unlisted_failures:
        too_many = TooManyFailuresError(f"{lineage.unlisted_failures:,} more items failed")
        letters.append(dead_letter(event, received, "parse", "", too_many, data=None))
    return letters


def _distinct(made: list[rows.Row]) -> list[rows.Row]:
    """Return rows without repetitions; where all are of different tables, there is no need to look."""
    return made if len(set(map(type, made))) == len(made) else list(dict.fromkeys(made))


def _ledger_row(
    event: RawEvent,
    lineage: Lineage,
    source: str,
    made: list[rows.Row],
    dead: list[rows.DeadLetter],
    ignored: str | None,
) -> rows.Event:
    if dead:
        outcome = "partial" if made else "failed"
        reason: str | None = f"{dead[0].error_class}: {dead[0].error_message}"[:LONGEST_MESSAGE]
    elif made:
        outcome, reason = "normalized", None
    else:
        outcome, reason = "ignored", ignored or "nothing in it to keep"
    days = {_DAY_OF[type(row)](row) for row in made}
    return rows.Event(
        lineage.event_id,
        source,
        lineage.received_micros,
        outcome,
        reason,
        len(made),
        len(dead),
        len(event.data),
        _digest(event),
        event.content_type or None,
        event.attributes.get(VERIFIED_BY),
        min(days, default=None),
        max(days, default=None),
        GENERATION,
    )


def _digest(event: RawEvent) -> str:
    """Return the hash by which a redelivery is known: of the body, or of the query where that is all there is.

    A live chat's body does not say whose message it is; the receiver's id of the message does.
    """
    sent = hashlib.sha256(event.data or event.query.encode())
    if known := event.attributes.get("message_id"):
        sent.update(b"\0" + known.encode())
    return sent.hexdigest()


__all__ = [
    "InvalidRawEventError",
    "UnknownSourceError",
    "WorkerDiedError",
    "every_row",
    "normalize",
    "set_aside",
    "traced",
]
