"""Rows for tests that care about storing them, not about what they say."""

import datetime as dt
import json
from typing import Any

import msgspec

from pipelines.bigquery.arrow import UNMADE
from pipelines.core import rows
from pipelines.core.batches import NormalizedBatch
from pipelines.core.times import to_micros
from schemas import loader
from schemas.raw_event import RawEvent, format_received_at

RECEIVED = dt.datetime(2026, 11, 22, 12, 30, 0, 123456, dt.UTC)
_VALUES: dict[str, Any] = {
    "STRING": "grüße 👋",
    "BYTES": b"\x00\xff",
    "INT64": 7,
    "DATE": (RECEIVED.date() - dt.date(1970, 1, 1)).days,
    "TIMESTAMP": to_micros(RECEIVED),
}


def sample(table: str, **values: Any) -> Any:
    """Return a row of a table with a value in every column, or the given ones."""
    made: dict[str, Any] = {}
    for column in loader.tables()[table].columns:
        if column.name in UNMADE:
            continue
        value = _VALUES[column.type]
        made[column.name] = (value, "") if column.mode == "REPEATED" else value
    return rows.TABLES[table](**{**made, **values})


def channel(name: str, event_id: str = "e", display_name: str | None = None) -> rows.Channel:
    """Return a small row."""
    made: rows.Channel = sample("channels", channel_id=name, event_id=event_id, display_name=display_name)
    return made


def event(event_id: str, body: bytes = b"{}") -> RawEvent:
    """Return a raw event as the receiver makes it."""
    attributes = {"event_id": event_id, "source": "facebook", "received_at": format_received_at(RECEIVED)}
    return RawEvent(body, attributes)


def batch(made: dict[str, list[rows.Row]], index: int = 0) -> NormalizedBatch:
    """Return a batch of the events that the rows name, with their ledger rows."""
    counts: dict[str, int] = {}
    for each in (row for table in made.values() for row in table):
        event_id = msgspec.structs.asdict(each)["event_id"]
        counts[event_id] = counts.get(event_id, 0) + 1
    ledger: list[rows.Row] = [
        sample("events", event_id=name, outcome="normalized", reason=None, rows=count, dead_letters=0)
        for name, count in counts.items()
    ]
    events = [event(name, json.dumps({"id": name}).encode()) for name in counts]
    return NormalizedBatch(events, {"events": ledger, **made}, "test", index)
