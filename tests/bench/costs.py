"""What an event costs: rows and logical bytes in BigQuery by table, and processor time by step.

    python tests/bench/costs.py ARCHIVE [SECONDS]

Prints one line of JSON. Run by its path, so that `PYTHONPATH` says whose code is measured: `bench_costs.py` gives
it that of another commit. It therefore imports only what is old.

Bytes are BigQuery's logical ones, from the values: 2 more than its UTF-8 for a text, 8 for a number or time,
nothing for a null (https://cloud.google.com/bigquery/pricing#data).
"""

import io
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipelines.bigquery import arrow
from pipelines.core.batches import EventBatch, NormalizedBatch
from pipelines.core.rows import Row
from pipelines.io.archive_segments import Group, Selection, find_groups, read_segment
from pipelines.normalize import NormalizeEvents
from schemas.raw_event import RawEvent

SECONDS = 10.0
STEPS = ("read", "normalize", "append", "parquet")
"""Each in turn; `append` is what live makes of rows for the Storage Write API, `parquet` what batch makes."""
_STORED = 8
"""Bytes of `processed_at`, which the writer gives to each row."""


class Costs(msgspec.Struct):
    """What all events of an archive cost, and how many they are."""

    events: int
    rows: dict[str, int]
    """By table."""
    bytes: dict[str, int]
    """By table."""
    seconds: dict[str, float]
    """Processor time by step: of the events that were worked on again and again until the time was over."""
    worked: int
    """How many events these steps took."""


def logical_bytes(row: Row) -> int:
    """Return the bytes that BigQuery bills for a row."""
    return _STORED + sum(map(_logical_bytes, msgspec.structs.astuple(row)))


def _logical_bytes(value: object) -> int:
    match value:
        case None:
            return 0
        case str():
            return 2 + len(value.encode())
        case bytes():
            return 2 + len(value)
        case tuple():
            return sum(map(_logical_bytes, value))
    return 8


def measure(archive: str, seconds: float) -> Costs:
    """Read, normalize and encode an archive, group by group, once and then until the time is over."""
    groups = find_groups(archive, Selection())
    costs = Costs(0, {}, {}, dict.fromkeys(STEPS, 0.0), 0)
    rows: Counter[str] = Counter()
    size: Counter[str] = Counter()
    normalize = NormalizeEvents()
    normalize.setup()
    for group in groups:
        for made in _made(normalize, _read(group)):
            costs.events += len(made.events)
            for table, each in made.rows.items():
                rows[table] += len(each)
                size[table] += sum(map(logical_bytes, each))
    costs.rows, costs.bytes = dict(rows), dict(size)
    end = time.process_time() + seconds
    while time.process_time() < end:
        for group in groups:
            _work(group, normalize, costs)
            if time.process_time() >= end:
                break
    return costs


def _read(group: Group) -> list[RawEvent]:
    return [event for segment in group.segments for event in read_segment(segment, [])]


def _made(normalize: NormalizeEvents, events: Sequence[RawEvent]) -> list[NormalizedBatch]:
    return list(normalize.process(EventBatch(events, "bench")))


def _work(group: Group, normalize: NormalizeEvents, costs: Costs) -> None:
    at = [time.process_time()]
    events = _read(group)
    at.append(time.process_time())
    made = _made(normalize, events)
    at.append(time.process_time())
    for batch in made:
        for table, rows in batch.rows.items():
            arrow.record_batch(table, rows, 0).serialize()
    at.append(time.process_time())
    for batch in made:
        for table, rows in batch.rows.items():
            arrow.write_parquet(table, [rows], io.BytesIO(), 0)
    at.append(time.process_time())
    for step, begun, ended in zip(costs.seconds, at, at[1:], strict=False):
        costs.seconds[step] += ended - begun
    costs.worked += len(events)


if __name__ == "__main__":
    wanted = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    sys.stdout.buffer.write(msgspec.json.encode(measure(str(Path(sys.argv[1]).resolve()), wanted)) + b"\n")
