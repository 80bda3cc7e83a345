"""What every sample becomes: recorded for each generation, so that rows cannot change without a new one.

    make golden

records the rows of all samples. It refuses where rows have changed and `GENERATION` has not: raise it in
pipelines/core/generation.py, and say in docs/generations.md what has changed.
"""

import datetime as dt
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import msgspec

from pipelines.core.generation import GENERATION
from pipelines.core.rows import TABLE_OF, DeadLetter, Row
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent, format_received_at

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "tests" / "samples"
RECORD = Path(__file__).with_name("golden.json")
RECEIVED_AT = dt.datetime(2026, 11, 22, 18, 30, 0, 250_000, tzinfo=dt.UTC)
ENDPOINTS = {"instagram": "facebook", "custom": "desk"}
"""The endpoint of each folder of samples that has another name."""
ATTRIBUTES = {
    "chatplugin": {
        "channel_id": "shop",
        "conversation_id": "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa",
        "message_id": "8a6f2c1e-57b0-5d0e-8c59-0a8f0b7a1c22",
    }
}

Rows = dict[str, str]
"""A fingerprint of the rows of each table that a sample makes."""


class Golden(msgspec.Struct):
    """What a generation makes of the samples."""

    generation: int
    samples: dict[str, Rows]


def changed(recorded: Golden, made: Golden) -> list[str]:
    """Return in words what a generation made otherwise than it has been recorded."""
    return [
        f"{name}: {', '.join(sorted(t for t in {**before, **now} if before.get(t) != now.get(t)))}"
        for name, before in recorded.samples.items()
        if (now := made.samples.get(name)) is not None and now != before
    ]


def made() -> Golden:
    """Normalize every sample."""
    with mock.patch.dict(PARSERS, {"desk": OwnJson("desk").parse}):
        return Golden(GENERATION, {name: _fingerprints(event) for name, event in _samples()})


def read() -> Golden:
    return msgspec.json.decode(RECORD.read_bytes(), type=Golden)


def record() -> None:
    now = made()
    if RECORD.exists() and read().generation == GENERATION and (differing := changed(read(), now)):
        sys.exit("the generation is the same, but not the rows of\n  " + "\n  ".join(differing))
    text = json.dumps(msgspec.to_builtins(now), indent=1, sort_keys=True)
    RECORD.write_text(text + "\n", "utf-8")


def _samples() -> Iterator[tuple[str, RawEvent]]:
    for path in sorted(SAMPLES.glob("*/*")):
        if path.suffix not in {".json", ".form"}:
            continue
        folder = path.parent.name
        attributes = {
            "event_id": "0193aaaa-0000-7000-8000-000000000001",
            "source": ENDPOINTS.get(folder, folder),
            "received_at": format_received_at(RECEIVED_AT),
            "verified_by": "test",
            **ATTRIBUTES.get(folder, {}),
        }
        yield f"{folder}/{path.name}", RawEvent(path.read_bytes(), attributes)


def _fingerprints(event: RawEvent) -> Rows:
    found: dict[str, list[Row]] = {}
    for row in normalize(event):
        found.setdefault(TABLE_OF[type(row)], []).append(_told(row))
    return {
        table: hashlib.sha256(msgspec.json.encode(sorted(rows, key=msgspec.json.encode))).hexdigest()[:12]
        for table, rows in found.items()
    }


def _told(row: Row) -> Row:
    """Return a row without what says by which code it was made."""
    told = msgspec.structs.replace(row, generation=0)
    return msgspec.structs.replace(told, traceback=None) if isinstance(told, DeadLetter) else told


if __name__ == "__main__":
    record()
