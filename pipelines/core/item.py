"""What a parser holds while it reads one item of a body: the item's bytes, and how to make rows of it.

Rows are given their columns in the table's order: by name, a row took five times as long to make.
"""

from typing import NamedTuple

import msgspec

from pipelines.core import ids, phones, rows
from pipelines.core.bounds import MOST_LETTERS, Allowance, TooMuchError
from pipelines.core.generation import GENERATION
from pipelines.core.noted import Noted, SightingT
from pipelines.core.times import EventTime, Written, as_written, event_time, partition_day

JSON = "application/json"
_UNKNOWN_BODY = 1024 * 1024


class Failure(NamedTuple):
    """An item that could not be read."""

    pointer: str
    error: Exception
    raw: bytes
    """The item's bytes."""


class Span(NamedTuple):
    """An item that was read, and which rows it has made, its parts' among them."""

    pointer: str
    raw: bytes
    first: int
    """The place of its first row among the event's."""
    end: int


class Lineage:
    """What every row of one raw event carries, and the rows made of it so far."""

    def __init__(
        self,
        event_id: str,
        received_micros: int,
        body_bytes: int = _UNKNOWN_BODY,
        *,
        is_erased: bool = False,
        spans: list[Span] | None = None,
    ) -> None:
        """Begin with no row.

        `is_erased` says that a `null` in the place of an item was somebody's who is forgotten; `spans`, where it
        is given, takes every item in the order in which they end, the inner before the outer, and every sighting
        has a row.
        """
        self.event_id = event_id
        self.received_micros = received_micros
        self.rows: list[rows.Row] = []
        self.failures: list[Failure] = []
        self.unlisted_failures = 0
        """How many items failed beyond those that `failures` names."""
        self._allowance = Allowance(body_bytes)
        self._is_erased = is_erased
        self._spans = spans
        self.is_watched = is_erased or spans is not None
        self.keeps_every_sighting = spans is not None
        """Whether sightings have rows of their own though other rows of their item tell them."""

    def keep(self, row: rows.Row) -> None:
        """Take a row.

        Raises:
            TooMuchError: the event has made too many of them.
        """
        self.rows.append(row)
        if len(self.rows) > self._allowance.rows:
            self._allowance.look(self.rows)

    def fail(self, failure: Failure, rows_before: int) -> None:
        """Note that an item failed, and drop the rows that it had made."""
        del self.rows[rows_before:]
        self._allowance.dropped(rows_before)
        if self._spans is not None:
            self._spans[:] = [span for span in self._spans if span.end <= rows_before]
        if len(self.failures) < MOST_LETTERS:
            self.failures.append(failure)
        else:
            self.unlisted_failures += 1

    def left(self, pointer: str, raw: bytes, rows_before: int) -> bool:
        """Hear that an item was read; tell whether it is nothing, as one that was erased."""
        if self._is_erased and raw == b"null":
            del self.rows[rows_before:]
            self._allowance.dropped(rows_before)
            return True
        if self._spans is not None:
            self._spans.append(Span(pointer, raw, rows_before, len(self.rows)))
        return False

    def item(
        self,
        pointer: str,
        raw: bytes,
        *,
        source: str,
        content_type: str = JSON,
        time: Written = None,
        envelope_time: Written = None,
    ) -> "Item":
        """Return the item at a JSON Pointer, to be read in a `with` block; what fails there fails alone.

        The rows that the item had made before it failed are dropped with it.
        """
        return Item(self, len(self.rows), pointer, raw, source, content_type, time, envelope_time)


class Item(msgspec.Struct, eq=False):
    """One item of a body: makes the rows of the item. `Lineage.item` and `part` give them."""

    # A body may have a thousand items: a struct of C, and times and text only once somebody asks.
    _lineage: Lineage
    _before: int
    _pointer: str
    _raw: bytes
    source: str
    _content_type: str
    _own_time: Written = None
    _envelope_time: Written = None
    flags: list[str] = []
    told: bool = False
    """Whether the item has made a message or metadata, not only sightings."""
    # Every row asks for the time: `_time or time` spares it a call.
    _time: EventTime | None = None
    _day: int = 0
    _content: str | None = None
    _fingerprint: str | None = None
    _written: Written = None
    """The own time as the source wrote it, where it was read by a form that the source's mapping declares."""
    _noted: Noted = msgspec.field(default_factory=Noted)

    def __enter__(self) -> "Item":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if isinstance(error, TooMuchError):
            return False
        if error is None:
            for row in self._noted.left():
                self._lineage.keep(row)
        if self._lineage.is_watched and self._lineage.left(self._pointer, self._raw, self._before):
            return True
        if not isinstance(error, Exception):
            return False
        self._lineage.fail(Failure(self._pointer, error, self._raw), self._before)
        return True

    def dated(self, time: Written, envelope_time: Written = None, *, written: Written = None) -> None:
        """Set when the item happened: its own time, else its envelope's, else the time of receipt.

        An envelope's time, once given, is also that of the item's parts. Where the source writes its own time
        otherwise than it is given here, `written` is what it writes.
        """
        self._own_time = time
        self._written = written
        if envelope_time is not None:
            self._envelope_time = envelope_time
        self._time = None

    def part(self, path: str, raw: bytes) -> "Item":
        """Return a part of the item as an item for itself, with the same source, flags and times.

        The path, of JSON Pointer's form without the first slash, leads from the item to the part.
        """
        return Item(
            self._lineage,
            len(self._lineage.rows),
            f"{self._pointer}/{path}",
            raw,
            self.source,
            self._content_type,
            self._own_time,
            self._envelope_time,
            self.flags.copy(),
            _noted=self._noted.of_a_part(),
        )

    @property
    def time(self) -> EventTime:
        """When the item happened, and how that is known."""
        if self._time is None:
            received = self._lineage.received_micros
            self._time = event_time(self._own_time, self._envelope_time, received)
            if self._written is not None and self._time.origin != "envelope":
                self._time = as_written(self._time, self._written)
            self._day = partition_day(self._time.micros, received)
        return self._time

    @property
    def content(self) -> str:
        """The exact text of the item.

        Raises:
            UnicodeDecodeError: the item is not UTF-8.
        """
        if self._content is None:
            self._content = self._raw.decode()
        return self._content

    @property
    def fingerprint(self) -> str:
        """The hash of the item's bytes, by which its metadata, and a message without an id, are known."""
        if self._fingerprint is None:
            self._fingerprint = ids.fingerprint(self._raw)
        return self._fingerprint

    def channel(self, source_channel_id: str, *, display_name: str | None = None) -> str:
        """Note that the channel was seen, and return its id."""
        channel_id = ids.channel_id(self.source, source_channel_id)
        time = self._time or self.time
        seen = rows.Channel(
            channel_id,
            self.source,
            source_channel_id,
            display_name,
            time.micros,
            self._day,
            self._lineage.event_id,
            self._lineage.received_micros,
            GENERATION,
        )
        self._note(channel_id, seen, self._noted.channels)
        return channel_id

    def contact(
        self,
        channel_id: str,
        source_contact_id: str,
        *,
        scope: str = "",
        display_name: str | None = None,
        username: str | None = None,
        phone_number: str | None = None,
        locale: str | None = None,
        time_zone: str | None = None,
        avatar_url: str | None = None,
        alternative_ids: tuple[str, ...] = (),
    ) -> str:
        """Note that the contact was seen on a channel, and return the contact's id.

        `scope` is the channel's id where the source numbers people per channel, else empty.
        """
        contact_id = ids.contact_id(self.source, scope, source_contact_id)
        time = self._time or self.time
        seen = rows.Contact(
            contact_id,
            self.source,
            source_contact_id,
            channel_id,
            display_name,
            username,
            phone_number,
            locale,
            time_zone,
            avatar_url,
            alternative_ids,
            phones.e164(phone_number) if phone_number else None,
            time.micros,
            self._day,
            self._lineage.event_id,
            self._lineage.received_micros,
            GENERATION,
        )
        self._note(contact_id, seen, self._noted.contacts)
        return contact_id

    def alias(
        self,
        channel_id: str,
        source_contact_id: str,
        kind: str,
        other_source_contact_id: str,
        *,
        scope: str = "",
        other_scope: str = "",
    ) -> None:
        """Note that the item tells two ids of one person; `kind` says what the other one is.

        Nobody is merged here: views do that, and an alias can be taken out again.
        """
        contact_id = ids.contact_id(self.source, scope, source_contact_id)
        other_contact_id = ids.contact_id(self.source, other_scope, other_source_contact_id)
        if contact_id == other_contact_id:
            return
        time = self._time or self.time
        self._lineage.keep(
            rows.Alias(
                ids.alias_id(contact_id, kind, other_contact_id),
                self.source,
                channel_id,
                contact_id,
                source_contact_id,
                kind,
                other_contact_id,
                other_source_contact_id,
                time.micros,
                self._day,
                self._pointer,
                self._lineage.event_id,
                self._lineage.received_micros,
                GENERATION,
            )
        )

    def conversation(self, channel_id: str, contact_id: str, source_conversation_id: str) -> str:
        """Note that the conversation was seen, and return its id."""
        conversation_id = ids.conversation_id(channel_id, source_conversation_id)
        time = self._time or self.time
        seen = rows.Conversation(
            conversation_id,
            channel_id,
            contact_id,
            self.source,
            source_conversation_id,
            time.micros,
            self._day,
            self._lineage.event_id,
            self._lineage.received_micros,
            GENERATION,
        )
        self._note(conversation_id, seen, self._noted.conversations)
        return conversation_id

    def _note(self, known: str, seen: SightingT, those: dict[str, SightingT]) -> None:
        """Take a sighting, which has a row of its own only if nothing else of the item tells it."""
        if self._lineage.keeps_every_sighting:
            self._lineage.keep(seen)
            those[known] = seen
        elif (other := self._noted.note(known, seen, those)) is not None:
            self._lineage.keep(other)

    def message(
        self,
        *,
        channel_id: str,
        contact_id: str,
        conversation_id: str,
        source_message_id: str | None,
        direction: str,
        sender_id: str | None,
        kind: str = "message",
        scope: str = "",
        reading: str | None = None,
    ) -> str:
        """Make the item's message, its content the item's exact bytes, and return the message's id.

        `scope` is the channel's id where the source's message ids need it. Without a source id the
        message is known by its channel and its bytes. `reading` says where in the content its text lies, where
        that is not known of the source (see `pipelines.sources.readings`).
        """
        self.told = True
        if source_message_id:
            message_id = ids.message_id(self.source, scope, source_message_id)
        else:
            message_id = ids.message_id_of_item(channel_id, self.fingerprint)
        time = self._time or self.time
        self._lineage.keep(
            rows.Message(
                message_id,
                conversation_id,
                contact_id,
                channel_id,
                self.source,
                source_message_id or None,
                direction,
                sender_id,
                kind,
                time.micros,
                time.origin,
                time.raw,
                self._day,
                self.content,
                self._content_type,
                self._pointer,
                tuple(self.flags),
                self._lineage.event_id,
                self._lineage.received_micros,
                GENERATION,
                reading,
                *self._noted.names(channel_id, contact_id, conversation_id, time.micros),
            )
        )
        return message_id

    def metadata(
        self,
        subject_type: str,
        subject_id: str,
        key: str,
        value: str = "",
        *,
        channel_id: str,
        conversation_id: str | None = None,
        contact_id: str | None = None,
        actor_id: str | None = None,
        part: tuple[str, bytes] | None = None,
    ) -> None:
        """Make one row of metadata about a subject, its content the item's exact bytes.

        `contact_id` is Parley's id of the contact whom it concerns, `actor_id` the source's own id of whoever
        did it: reacted, edited, withdrew, read.

        Where an item lists many values, `part` gives each its own: the path from the item to the value, as `part`
        takes it, and the bytes of that. The row is known by the whole item all the same.
        """
        self.told = True
        time = self._time or self.time
        content, pointer = self.content if part is None else part[1].decode(), self._pointer
        if part is not None:
            pointer = f"{pointer}/{part[0]}"
        self._lineage.keep(
            rows.Metadata(
                ids.metadata_id(subject_id, key, self.fingerprint),
                subject_type,
                subject_id,
                channel_id,
                conversation_id,
                contact_id,
                actor_id,
                self.source,
                key,
                value,
                time.micros,
                time.origin,
                time.raw,
                self._day,
                content,
                self._content_type,
                pointer,
                tuple(self.flags),
                self._lineage.event_id,
                self._lineage.received_micros,
                GENERATION,
                *self._noted.names(channel_id, contact_id, conversation_id, time.micros),
            )
        )
