"""A segment is rewritten whole or not at all, and what does not change is copied byte for byte."""

import io
from pathlib import Path

import fastavro
import pytest
from fastavro.write import Writer

from pipelines.erase.segments import Rewritten, rewrite
from pipelines.io.archive_segments import read_segment
from receiver.durable.segments import lock
from schemas.raw_event import AVRO_SCHEMA, RawEvent
from tests.raw_events import text_message, write_segment

EVENTS = [text_message(number) for number in range(9)]


def without_third(event: RawEvent) -> RawEvent | None:
    if event.event_id != EVENTS[3].event_id:
        return None
    return RawEvent(b"", {**event.attributes, "erased": "run"})


def test_only_blocks_with_changes_are_written_anew(tmp_path: Path):
    path = write_segment(tmp_path, EVENTS)
    before = path.read_bytes()

    done = rewrite(str(path), without_third)

    after = path.read_bytes()
    assert done == Rewritten(1, len(after))
    assert list(read_segment(str(path), [])) == [without_third(each) or each for each in EVENTS]
    # Of five blocks the second has it.
    start, end = before.index(b"text 2"), before.index(b"text 4")
    assert after.startswith(before[: start - 400])
    assert after.endswith(before[end:])
    assert rewrite(str(path), lambda _: None) == Rewritten()
    assert path.read_bytes() == after
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_an_export_of_pubsub_keeps_what_it_says_of_each_message(tmp_path: Path, codec: str):
    path = tmp_path / "export.avro"
    records = [{**each.to_avro(), "message_id": f"m{number}"} for number, each in enumerate(EVENTS)]
    with path.open("wb") as file:
        fastavro.writer(file, AVRO_SCHEMA, records, codec=codec)

    assert rewrite(str(path), without_third).events == 1

    with path.open("rb") as file:
        reader = fastavro.reader(file)
        left = list(reader)
        assert reader.metadata["avro.codec"] == codec
    assert [each["message_id"] for each in left] == [f"m{number}" for number in range(9)]
    assert [each["data"] == b"" for each in left].index(True) == 3


def test_what_somebody_holds_or_writes_waits(tmp_path: Path):
    path = write_segment(tmp_path, EVENTS)
    before = path.read_bytes()
    with lock(path):
        assert rewrite(str(path), without_third) == Rewritten(waits=True)
    being_written = path.rename(f"{path}.open")

    assert rewrite(str(being_written), without_third) == Rewritten(waits=True)
    assert rewrite(str(being_written), lambda _: None) == Rewritten()
    assert being_written.read_bytes() == before
    assert rewrite(str(path), without_third) == Rewritten(waits=True)


def test_what_is_damaged_stays_as_it_is_and_is_told(tmp_path: Path):
    path = write_segment(tmp_path, EVENTS)
    content = path.read_bytes()[:-100]
    path.write_bytes(content)

    done = rewrite(str(path), without_third)

    assert (done.events, bool(done.damage)) == (0, True)
    assert path.read_bytes() == content
    assert len(list(path.parent.iterdir())) == 1


def test_killed_before_the_new_file_takes_its_place_the_old_one_is_there(tmp_path: Path):
    path = write_segment(tmp_path, EVENTS)
    before = path.read_bytes()

    def die() -> None:
        assert len(list(path.parent.iterdir())) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrite(str(path), without_third, die)

    assert path.read_bytes() == before
    # Of one that was killed hard the part is left, and is replaced.
    path.with_name(f"{path.name}.erasing").write_bytes(b"a part")
    assert rewrite(str(path), without_third).events == 1
    assert len(list(path.parent.iterdir())) == 1


def test_an_empty_segment_is_none_the_worse(tmp_path: Path):
    buffer = io.BytesIO()
    Writer(buffer, AVRO_SCHEMA)
    path = tmp_path / "empty.avro"
    path.write_bytes(buffer.getvalue())

    assert rewrite(str(path), without_third) == Rewritten()
