"""Reads the archive for a person: what the ids are, and which events have something of theirs."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from typing import Final

import msgspec

from pipelines.core import rows
from pipelines.erase.person import Person, Told
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import Selection, find_segments, read_segment
from pipelines.normalize import every_row_or_dead_letter
from pipelines.reprocess.steps import Steps
from pipelines.sources.erasing import InseparableError, Left, tombstone, without
from schemas.raw_event import ERASED, EVENT_ID, InvalidRawEventError, RawEvent

_EPOCH: Final = dt.date(1970, 1, 1)
_MOST_PASSES: Final = 12
"""How often the archive is read for further ids: each pass follows aliases by one step more."""
Different = frozenset[frozenset[str]]


class Found(msgspec.Struct):
    """What an archive, or a spool, has of a person."""

    alone: int = 0
    """Events in which nobody else is."""
    beside: int = 0
    """Events with items of others."""
    mentions: int = 0
    """Events in which others speak of the person, in items of their own."""
    inseparable: list[str] = []
    """Ids of events that cannot be parted."""
    erased: list[str] = []
    """Ids of events of which something is to be erased."""
    earlier: list[str] = []
    """Ids of events of which the same erasure has erased something before."""
    bodies: set[str] = set()
    """Hashes of the bodies of these."""
    messages: set[str] = set()
    """Parley's ids of the person's messages in these, up to the erasure."""
    rows: dict[str, int] = {}
    """How many rows they make, by table and day as in `messages 2026-03-01`."""
    damages: list[Damage] = []


def gather(archive: str, person: Person, different: Different, steps: Steps) -> Person:
    """Return a person with all ids that the archive tells, read until nothing new is told.

    Raises:
        FileNotFoundError: there is no archive.
    """
    for _ in range(_MOST_PASSES):
        told = Told(person, different)
        for event in events(archive, steps, "looking for ids", []):
            for row in every_row_or_dead_letter(event):
                told.hear(row)
        grown = told.person()
        if grown == person:
            break
        person = grown
    return person


def events(archive: str, steps: Steps, what: str, damages: list[Damage]) -> Iterator[RawEvent]:
    """Yield every event of an archive.

    Raises:
        FileNotFoundError: there is no archive.
    """
    segments = find_segments(archive, Selection())
    for done, segment in enumerate(segments):
        steps.progress(what, done, len(segments), "segments")
        yield from read_segment(segment, damages)
    steps.progress(what, len(segments), len(segments), "segments")


def received(archive: str, person: Person, steps: Steps) -> Iterator[tuple[str, dt.datetime]]:
    """Yield of every event that has something of a person its source and when it was received."""
    for event in events(archive, steps, "looking for what is held", []):
        if any(map(person.owns, every_row_or_dead_letter(event))):
            yield event.source, event.received_at


class Eraser:
    """Takes a person out of events, and remembers of how many."""

    def __init__(self, person: Person, run_id: str, until: dt.datetime | None, *, forced: bool = False) -> None:
        """Take the person and the erasure.

        Of what was received after `until` only what tells messages of before is taken out: the person may have
        come back. `forced` also takes out whole events that cannot be parted.
        """
        self._person = person
        self._run_id = run_id
        self._until = until
        self._forced = forced
        self._spelt = person.spellings()
        self._late = Person(messages=person.messages)
        self.found = Found()

    def change(self, event: RawEvent) -> RawEvent | None:
        """Return what is left of an event; None where it stays as it is."""
        known = event.attributes.get(EVENT_ID)
        if known and self._run_id in event.attributes.get(ERASED, "").split(","):
            self.found.earlier.append(known)
        try:
            left = self._without(event)
        except InvalidRawEventError:
            # Without id, source or time: it makes a dead letter, whose data is all that there is of it.
            left = tombstone(event, self._run_id) if self._spelt.are_in(event.data) else None
        except InseparableError:
            self.found.inseparable.append(event.event_id)
            left = tombstone(event, self._run_id) if self._forced else None
        if left is None:
            return None
        self.found.mentions += left.mentions
        if left.event is event:
            return None
        self._count(event, left)
        return left.event

    def _without(self, event: RawEvent) -> Left | None:
        if self._is_late(event):
            # What tells nothing of before is left alone, though it names the person.
            late = without(event, self._late.owns, None, self._run_id)
            return late and without(event, self._late.owns, self._spelt, self._run_id)
        return without(event, self._person.owns, self._spelt, self._run_id)

    def _is_late(self, event: RawEvent) -> bool:
        return self._until is not None and event.received_at > self._until

    def _count(self, event: RawEvent, left: Left) -> None:
        found = self.found
        found.alone += left.is_alone
        found.beside += not left.is_alone
        if known := event.attributes.get(EVENT_ID):
            found.erased.append(known)
        if event.data:
            found.bodies.add(hashlib.sha256(event.data).hexdigest())
        if left.removed and not self._is_late(event):
            # Items of others of which a part was the person's are among these.
            own = (row for row in left.removed if isinstance(row, rows.Message) and self._person.owns(row))
            found.messages.update(row.message_id for row in own)
        for row in left.removed:
            name = f"{rows.TABLE_OF[type(row)]} {_day(row)}"
            found.rows[name] = found.rows.get(name, 0) + 1


def _day(row: rows.Row) -> dt.date:
    """Return the day of the partition in which a row lies."""
    for name in ("sent_date", "seen_date", "occurred_date", "told_date"):
        if (day := getattr(row, name, None)) is not None:
            return _EPOCH + dt.timedelta(days=day)
    received: int = getattr(row, "received_at", 0)
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=received)).date()
