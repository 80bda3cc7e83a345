"""How many bytes BigQuery keeps of each column for an event, measured on a generated world.

Sizes are the logical ones that Google bills by: https://cloud.google.com/bigquery/pricing#data
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from fastavro import writer

from pipelines.bigquery import resolving
from pipelines.core.rows import TABLE_OF, Alias, Contact, DeadLetter, Row
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.sources.normalization import every_row, normalize
from schemas.raw_event import AVRO_SCHEMA, RawEvent
from schemas.scans import Scan

BROKEN: Final = 0.01
"""Which share of the events is a dead letter. A generated world has none, so this is assumed."""
SMALLEST: Final = 10 * 2**20
"""What a query is billed for each table that it reads at least, in bytes."""
_NUMBER: Final = 8
"""Bytes of an INT64, a DATE, a TIMESTAMP."""
_CONVERSATIONS: Final = 400
_DAYS: Final = 4


class Volume(NamedTuple):
    """What one event is, on average."""

    body: float
    """Bytes of its body."""
    published: float
    """Bytes of its body and attributes."""
    archived: float
    """Bytes of its record in the archive, which is not compressed."""
    rows: Mapping[str, float]
    """How many rows it makes, by table."""
    columns: Mapping[str, Mapping[str, float]]
    """Bytes of these rows, by table and column."""

    def bytes_of(self, tables: Iterable[str]) -> float:
        """Return the bytes that an event becomes in some tables."""
        return sum(sum(self.columns[table].values()) for table in tables)

    def scanned(self, scans: Iterable[Scan], events_a_day: float) -> float:
        """Return the bytes that a query is billed for, where each day's partition has so many events."""
        return sum(
            max(SMALLEST, self._read(scan) * events_a_day * len(scan.days if scan.days is not None else ()))
            for scan in scans
        )

    def _read(self, scan: Scan) -> float:
        known = self.columns.get(scan.table, {})
        return sum(known.get(column, 0) for column in scan.columns)


@cache
def volume(several: int = people.USUAL) -> Volume:
    """Return what an event of the generated world is on average, torn into a dead letter now and then.

    Args:
        several: how many people of a hundred have several ids.
    """
    world = World(_CONVERSATIONS, 7, write_archive.day_of(DEFAULT_START), _DAYS, tuple(WEIGHTS), several)
    events = [item.event for day in range(world.days) for item in delivery.of_day(world, day)]
    rows: dict[str, float] = defaultdict(float)
    columns: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def count(row: Row, share: float) -> None:
        table = TABLE_OF[type(row)]
        rows[table] += share
        columns[table]["processed_at"] += share * _NUMBER
        for column in row.__struct_fields__:
            columns[table][column] += share * _size(getattr(row, column))

    letters, made = [], []
    for event in events:
        for row in normalize(event):
            count(row, 1 / len(events))
        made += every_row(event)
        torn = RawEvent(event.data[: len(event.data) // 2], event.attributes)
        letters += [row for row in normalize(torn) if isinstance(row, DeadLetter)]
    for letter in letters:
        count(letter, BROKEN / len(letters))
    for entry in _resolved(made):
        rows[resolving.TABLE] += 1 / len(events)
        for column, value in entry.items():
            columns[resolving.TABLE][column] += _size(value) / len(events)
    bodies = sum(len(event.data) for event in events) / len(events)
    attributes = sum(len(f"{key}{value}") for event in events for key, value in event.attributes.items())
    with io.BytesIO() as archive:
        writer(archive, AVRO_SCHEMA, (event.to_avro() for event in events))
        archived = archive.tell() / len(events)
    return Volume(bodies, bodies + attributes / len(events), archived, rows, columns)


def _resolved(made: Sequence[Row]) -> Iterator[dict[str, str | int]]:
    """Yield more entries of `resolved_contacts` than would be kept: the ids that a person keeps have none."""
    several = {name for row in made if isinstance(row, Alias) for name in (row.contact_id, row.other_contact_id)}
    seen = {
        (row.seen_date, row.channel_id, row.contact_id): row
        for row in made
        if isinstance(row, Contact) and row.contact_id in several
    }
    for row in seen.values():
        yield {
            "seen_date": row.seen_date,
            "source": row.source,
            "channel_id": row.channel_id,
            "contact_id": row.contact_id,
            "source_contact_id": row.source_contact_id,
            "resolved_contact_id": row.contact_id,
            "resolved_source_contact_id": row.source_contact_id,
            "decided_at": row.seen_at,
        }


def _size(value: Any) -> int:
    """Return the logical bytes of a value: nothing for NULL, two beside those of a text, the sum of a list's."""
    match value:
        case None:
            return 0
        case str():
            return 2 + len(value.encode())
        case bytes():
            return 2 + len(value)
        case tuple():
            return sum(map(_size, value))
        case _:
            return _NUMBER
