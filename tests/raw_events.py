"""Raw events for tests, as the receiver makes them."""

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import fastavro

from schemas.archive_layout import folder
from schemas.raw_event import AVRO_SCHEMA, RawEvent, format_received_at

NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)


def raw_event(
    body: bytes, *, source: str = "facebook", received_at: dt.datetime = NOON, number: int = 0
) -> RawEvent:
    """Return an event whose id depends on its number alone."""
    return RawEvent(
        body,
        {
            "event_id": str(uuid.UUID(int=number)),
            "source": source,
            "received_at": format_received_at(received_at),
            "content_type": "application/json",
            "verified_by": "x-hub-signature-256",
        },
    )


def text_message(number: int, received_at: dt.datetime = NOON) -> RawEvent:
    """Return a webhook with one Messenger text, all of it depending on the number."""
    moment = int(received_at.timestamp() * 1000)
    item = {
        "sender": {"id": f"contact-{number % 7}"},
        "recipient": {"id": "page-1"},
        "timestamp": moment,
        "message": {"mid": f"m_{number}", "text": f"text {number}"},
    }
    body = {"object": "page", "entry": [{"id": "page-1", "time": moment, "messaging": [item]}]}
    return raw_event(json.dumps(body).encode(), received_at=received_at, number=number)


def write_segment(
    root: Path, events: Sequence[RawEvent], name: str = "host-1-0-0.avro", *, events_per_block: int = 2
) -> Path:
    """Write events into one segment of an archive and return its path."""
    path = root / folder(events[0].source, events[0].received_at) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = fastavro.write.Writer(file, AVRO_SCHEMA, sync_interval=1 << 40)
        for number, event in enumerate(events, 1):
            writer.write(event.to_avro())
            if number % events_per_block == 0:
                writer.flush()
        writer.flush()
    return path
