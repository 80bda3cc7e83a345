"""The ways that the bench compares make the same rows: batch, the bare loop, and an element a row."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.core.rows import TABLES
from pipelines.generate import delivery
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.io.archive_segments import Selection
from schemas.raw_event import CONTENT_TYPE, RawEvent
from tests.bench.ways import FORM, WAYS, Given
from tests.raw_events import raw_event, write_segment

pytestmark = pytest.mark.thorough

SAMPLES = Path(__file__).parent.parent / "samples"
ENDPOINTS = {"instagram": "facebook"}


def samples() -> Iterator[RawEvent]:
    """Yield every sample, and one that no parser can read."""
    numbers = itertools.count(1)
    for path in sorted(SAMPLES.glob("*/*")):
        if path.parent.name != "custom":
            source = ENDPOINTS.get(path.parent.name, path.parent.name)
            event = raw_event(path.read_bytes(), source=source, number=next(numbers))
            kind = {} if path.suffix == ".json" else {CONTENT_TYPE: FORM}
            yield RawEvent(event.data, {**event.attributes, **kind})
    yield raw_event(b"no json", number=next(numbers))


def sample_world() -> Iterator[RawEvent]:
    """Yield two days of a small world of all sources."""
    world = World(200, 0, int(DEFAULT_START.timestamp()) * 1_000_000, 2, tuple(WEIGHTS))
    for day in range(world.days):
        yield from (item.event for item in delivery.of_day(world, day))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    for name, events in (("samples", samples()), ("world", sample_world())):
        of_source = sorted(events, key=lambda event: event.source)
        for source, members in itertools.groupby(of_source, key=lambda event: event.source):
            write_segment(root, list(members), f"{source}-{name}.avro")
    return root


def rows(way: str, archive: Path, output: Path) -> dict[str, list[str]]:
    """Return every row that a way writes, as text and in order, but for when it was made."""
    WAYS[way](Given(str(archive), str(output), Selection()))
    files = {table: sorted((output / table).glob("*.parquet")) for table in TABLES}
    return {
        table: sorted(
            repr(row) for path in paths for row in pq.read_table(path).drop_columns("processed_at").to_pylist()
        )
        for table, paths in files.items()
    }


def test_all_ways_make_the_same_rows(archive: Path, tmp_path: Path):
    made = {way: rows(way, archive, tmp_path / way) for way in ("one_core", "bare", "per_row")}

    assert made["one_core"] == made["per_row"]
    assert made["bare"] == made["per_row"]
    assert all(len(made["per_row"][table]) > 20 for table in ("messages", "contacts", "metadata"))
    assert made["per_row"]["dead_letters"]
