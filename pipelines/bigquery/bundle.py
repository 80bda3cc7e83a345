"""Stores the batches of one bundle: rows first, then dead letters, and the ledger last of all."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pipelines.bigquery.appender import Append, Appender
from pipelines.bigquery.chunks import RefusedRow
from pipelines.bigquery.faults import RowRefusedError
from pipelines.core import rows
from pipelines.core.batches import NormalizedBatch
from pipelines.core.dead_letter import LONGEST_MESSAGE, dead_letter, storable
from schemas.raw_event import EVENT_ID

LEDGER = "events"
DEAD_LETTERS = "dead_letters"
ROWS_PER_APPEND = 1_000
"""Rows of a table that are collected, over batches, before they are sent."""
MOST_HELD = 64_000_000
"""Bytes of bodies and rows that wait for confirmation before the next batch has to wait for them: some requests
for each of the connections."""
MOST_COLLECTED = 8_000_000
"""Bytes of rows that are collected, however few they are: they are encoded at once."""
_SEEN = {"conversations": "conversation_id", "contacts": "contact_id", "channels": "channel_id"}
"""Tables of sightings, which do not say in which item they were made, and how an item names what was seen."""
_MOST_TELLING = ("messages", "metadata", "aliases", *_SEEN)


class Stored(msgspec.Struct):
    """What became of the rows of a bundle."""

    confirmed: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows that BigQuery has stored, by table."""
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows that became dead letters instead, by table."""
    delays: list[int] = msgspec.field(default_factory=list)
    """Milliseconds from the receipt of each event to the confirmation of all its rows."""


class Bundle:
    """Batches that are stored together. Not thread safe: every bundle has its own."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._batches: list[NormalizedBatch] = []
        self._collected: defaultdict[str, list[rows.Row]] = defaultdict(list)
        self._appends: list[Append] = []
        self._collected_bytes = 0
        self._held = 0
        self._stored = Stored()

    def add(self, batch: NormalizedBatch) -> None:
        """Take a batch, and send rows once enough have come, without waiting for confirmations.

        Raises:
            TableUnavailableError, AppenderClosedError: as `Append.result`.
        """
        self._batches.append(batch)
        for table, made in batch.rows.items():
            if table != LEDGER:
                self._collected[table] += made
        self._collected_bytes += batch.weight
        self._send(at_least=ROWS_PER_APPEND if self._collected_bytes < MOST_COLLECTED else 1)
        self._held += sum(len(event.data) for event in batch.events)
        if self._held + sum(append.bytes_sent for append in self._appends) > MOST_HELD:
            self._settle()

    def finish(self) -> Stored:
        """Wait until everything is stored, and say what became of it.

        The ledger is written last, so that it never claims a row that is not there. A row that
        BigQuery refuses becomes a dead letter, and its event's ledger row counts it as such.

        Raises:
            TableUnavailableError, AppenderClosedError: as `Append.result`.
            RowRefusedError: BigQuery refuses even a dead letter.
        """
        self._settle()
        stored, self._stored = self._stored, Stored()
        return stored

    def _send(self, at_least: int) -> None:
        for table in [table for table, made in self._collected.items() if len(made) >= at_least]:
            self._appends.append(self._appender.append(table, self._collected.pop(table)))
        if at_least == 1:
            self._collected_bytes = 0

    def _settle(self) -> None:
        self._send(at_least=1)
        batches, self._batches = self._batches, []
        appends, self._appends = self._appends, []
        self._held = 0
        refused = [failure for append in appends for failure in self._confirm(append)]
        # The same event twice in a bundle makes the same rows twice: one failure of each is enough.
        failures = list({failure.row: failure for failure in refused}.values())
        items = _items(failures)
        letters = _dead_letters(batches, items)
        ledger = list(_corrected(batches, failures, items))
        self._store_dead_letters(letters)
        unlisted = self._store(LEDGER, ledger)
        self._store_dead_letters(_dead_letters(batches, unlisted))
        now = time.time_ns() // 1_000_000
        self._stored.delays += [now - row.received_at // 1_000 for row in ledger]

    def _store_dead_letters(self, letters: Sequence[rows.Row]) -> None:
        """Store dead letters, and those that BigQuery refuses without what they carry.

        Those that are refused even so are of a time of receipt that no partition takes: of a host whose clock was
        years off. They are stored as of now, or what had been acknowledged behind them would wait for ever.

        Raises:
            RowRefusedError: BigQuery refuses even that.
        """
        refused = self._store(DEAD_LETTERS, letters)
        refused = self._store(DEAD_LETTERS, _dead_letters((), refused))
        for failure in self._store(DEAD_LETTERS, _of_now(refused)):
            raise failure.error

    def _store(self, table: str, made: Sequence[rows.Row]) -> list[RefusedRow]:
        return self._confirm(self._appender.append(table, made)) if made else []

    def _confirm(self, append: Append) -> list[RefusedRow]:
        refused = append.result()
        self._stored.confirmed[append.table] += append.count - len(refused)
        self._stored.refused[append.table] += len(refused)
        return refused


def _items(failures: Iterable[RefusedRow]) -> list[RefusedRow]:
    """Return of each item one of its refused rows, and every dead letter.

    Several tables may refuse rows of one item. A sighting belongs to a refused item that names what was seen; the
    others of an event count as one.
    """
    found = [failure for failure in failures if isinstance(failure.row, rows.DeadLetter)]
    items: dict[tuple[str, str], RefusedRow] = {}
    named = set[tuple[str, str, str | None]]()
    refused = [failure for failure in failures if not isinstance(failure.row, rows.DeadLetter)]
    for failure in sorted(refused, key=lambda each: _MOST_TELLING.index(rows.TABLE_OF[type(each.row)])):
        row, event_id = failure.row, _event_id(failure.row)
        column = _SEEN.get(rows.TABLE_OF[type(row)])
        if column is None:
            named.update((event_id, name, getattr(row, name, None)) for name in _SEEN.values())
        elif (event_id, column, getattr(row, column)) in named:
            continue
        items.setdefault((event_id, getattr(row, "pointer", "")), failure)
    return [*found, *items.values()]


def _dead_letters(batches: Iterable[NormalizedBatch], failures: Iterable[RefusedRow]) -> list[rows.Row]:
    """Return what is stored in place of refused rows."""
    events = {event.attributes.get(EVENT_ID): event for batch in batches for event in batch.events}
    letters: list[rows.Row] = []
    bodies = set[str]()
    for row, error in failures:
        if isinstance(row, rows.DeadLetter):
            # All that can be wrong with it is what it carries, and the archive has that as well.
            letters.append(msgspec.structs.replace(row, data=None, traceback=None, attributes="{}"))
            continue
        event, received = events[_event_id(row)], getattr(row, "received_at", 0)
        pointer, content = getattr(row, "pointer", ""), getattr(row, "content", None)
        data = content.encode(errors="replace") if content is not None else None
        if data is None and _event_id(row) not in bodies:
            # A sighting has no content: the first of an event's carries the body.
            bodies.add(_event_id(row))
            data = event.data
        table = rows.TABLE_OF[type(row)]
        letters.append(dead_letter(event, received, "store", pointer, error, data=data, table_name=table))
    return letters


def _of_now(failures: Iterable[RefusedRow]) -> list[rows.Row]:
    now = time.time_ns() // 1_000
    return [msgspec.structs.replace(row, received_at=now) for row, _ in failures]


def _corrected(
    batches: Iterable[NormalizedBatch], failures: Iterable[RefusedRow], items: Iterable[RefusedRow]
) -> Iterator[rows.Event]:
    """Yield the ledger rows, those of events with refused rows corrected; `items` are those with a dead letter."""
    refused, letters = (
        Counter(_event_id(row) for row, _ in some if not isinstance(row, rows.DeadLetter))
        for some in (failures, items)
    )
    errors = {_event_id(row): error for row, error in items if not isinstance(row, rows.DeadLetter)}
    for batch in batches:
        for row in batch.rows.get(LEDGER, ()):
            if isinstance(row, rows.Event):
                error = errors.get(row.event_id)
                gone, told = refused[row.event_id], letters[row.event_id]
                yield row if error is None else _corrected_row(row, error, gone, told)


def _corrected_row(row: rows.Event, error: RowRefusedError, refused: int, letters: int) -> rows.Event:
    left = row.rows - refused
    reason = storable(f"{type(error).__name__}: {error}")[:LONGEST_MESSAGE]
    return msgspec.structs.replace(
        row,
        outcome="partial" if left else "failed",
        reason=row.reason or reason,
        rows=left,
        dead_letters=row.dead_letters + letters,
    )


def _event_id(row: rows.Row) -> str:
    event_id: str = getattr(row, "event_id", "")
    return event_id
