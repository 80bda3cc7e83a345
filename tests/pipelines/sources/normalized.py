"""What every parser's test needs: an event of a body, and its rows by table."""

import datetime as dt
from pathlib import Path
from typing import Any

from pipelines.core.rows import TABLE_OF, TABLES, Row
from pipelines.sources.normalization import every_row
from schemas.raw_event import RawEvent, format_received_at

RECEIVED_AT = dt.datetime(2026, 11, 22, 18, 30, 0, 250_000, tzinfo=dt.UTC)
RECEIVED = int(RECEIVED_AT.timestamp() * 1_000_000)
SAMPLES = Path(__file__).parents[2] / "samples"
FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"


def raw_event(source: str, data: bytes, **attributes: str) -> RawEvent:
    known = {
        "event_id": "0193aaaa-0000-7000-8000-000000000001",
        "source": source,
        "received_at": format_received_at(RECEIVED_AT),
        "verified_by": "test",
    }
    return RawEvent(data=data, attributes=known | attributes)


class Rows(dict[str, list[Any]]):
    """Rows by table; a table's only row by attribute."""

    def __getattr__(self, table: str) -> Any:
        (row,) = self[table]
        return row

    def facts(self) -> dict[str, str]:
        return {row.key: row.value for row in self["metadata"]}


def rows_of(event: RawEvent) -> Rows:
    made = Rows({table: [] for table in TABLES})
    for row in every_row(event):
        made[TABLE_OF[type(row)]].append(row)
    return made


def normalized(source: str, data: bytes, **attributes: str) -> Rows:
    return rows_of(raw_event(source, data, **attributes))


def without_lineage(rows: list[Row]) -> set[tuple[Any, ...]]:
    """Rows as they are apart from the event that told them and the place where it did."""
    hidden = {"event_id", "pointer"}
    return {
        (type(row).__name__, *(getattr(row, f) for f in row.__struct_fields__ if f not in hidden)) for row in rows
    }
