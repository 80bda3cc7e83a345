import errno
import io
import os
import random
from pathlib import Path

import fastavro
import pytest
from receiver_support import archived, event, events

from receiver.durable.segments import Segment, _read_all, lock, recover


def left_open(tmp_path):
    """Return the segment of a process that died after it had written three blocks."""
    segment = Segment(tmp_path)
    for first in (0, 2, 4):
        segment.append(events(2, first=first))
    segment._file.close()
    return segment.path


def test_what_is_appended_can_be_read_before_the_segment_is_closed(tmp_path):
    segment = Segment(tmp_path / "a" / "b")
    segment.append(events(3))
    assert archived(tmp_path, open_too=True) == events(3)
    assert not archived(tmp_path)
    segment.close()
    assert archived(tmp_path) == events(3)


def test_holds_the_record_of_pubsubs_own_export(tmp_path):
    segment = Segment(tmp_path)
    segment.append([event(7)])
    path = segment.close()
    with path.open("rb") as file:
        (record,) = fastavro.reader(file)
    assert list(record) == ["subscription_name", "message_id", "publish_time", "attributes", "data"]
    assert record["publish_time"] == event(7).received_at


def test_writes_a_group_as_one_block(tmp_path):
    segment = Segment(tmp_path)
    segment.append(events(500, size=1000))
    segment.append(events(1))
    path = segment.close()
    with path.open("rb") as file:
        assert [block.num_records for block in fastavro.block_reader(file)] == [500, 1]


def test_syncs_before_it_returns(tmp_path, monkeypatch):
    synced = []
    sync = os.fdatasync
    monkeypatch.setattr("os.fdatasync", lambda fd: (synced.append(os.fstat(fd).st_size), sync(fd)))
    segment = Segment(tmp_path)
    segment.append(events(2))
    assert synced[-1] == segment.size == segment.path.stat().st_size
    segment.close()


@pytest.mark.parametrize("failing", ["pwrite", "fdatasync"])
def test_leaves_nothing_of_a_group_that_could_not_be_written(tmp_path, monkeypatch, failing):
    segment = Segment(tmp_path)
    segment.append(events(2))
    size = segment.size
    write = os.pwrite

    def fail(descriptor, *args):
        if failing == "pwrite" and args:
            write(descriptor, args[0][:10], args[1])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{failing}", fail)
        with pytest.raises(OSError, match="full"):
            segment.append(events(2, first=2))
    assert segment.path.stat().st_size == size
    segment.append(events(1, first=4))
    segment.close()
    assert archived(tmp_path) == [*events(2), event(4)]


@pytest.mark.parametrize("gone", [False, True])
def test_leaves_no_file_where_not_even_its_header_could_be_written(tmp_path, monkeypatch, gone):
    def fail(*_):
        if gone:
            next(tmp_path.iterdir()).unlink()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.pwrite", fail)
    with pytest.raises(OSError, match="full"):
        Segment(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_segment_leaves_no_file(tmp_path):
    assert Segment(tmp_path).close() is None
    assert list(tmp_path.iterdir()) == []


def test_never_takes_a_name_that_was_used(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: 1)
    paths = set()
    for number in range(3):
        segment = Segment(tmp_path)
        segment.append([event(number)])
        paths.add(segment.close())
    assert len(paths) == 3
    assert len(archived(tmp_path)) == 3


def test_recovers_what_a_dead_process_left(tmp_path):
    left_open(tmp_path)
    kept = []
    recover(tmp_path, keep=kept.append)
    assert archived(tmp_path) == events(6)
    assert kept == [events(2, first=4)]


@pytest.mark.parametrize("cut", [1, 17, 100, 150])
def test_cuts_a_torn_tail_at_the_last_whole_block(tmp_path, cut):
    path = left_open(tmp_path)
    os.truncate(path, path.stat().st_size - cut)
    recover(tmp_path)
    assert archived(tmp_path) == events(4)


@pytest.mark.parametrize("tail", [b"\x00" * 4096, b"\x02", os.urandom(300)])
def test_cuts_what_a_power_failure_left_behind(tmp_path, tail):
    path = left_open(tmp_path)
    with path.open("ab") as file:
        file.write(tail)
    recover(tmp_path)
    assert archived(tmp_path) == events(6)


def test_removes_a_segment_without_a_whole_block(tmp_path):
    for size in (0, 10, 1150):
        os.truncate(left_open(tmp_path), size)
        recover(tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_never_takes_the_segment_of_a_live_writer(tmp_path):
    segment = Segment(tmp_path)
    segment.append(events(2))
    recover(tmp_path)
    assert segment.path.exists()
    segment.append(events(2, first=2))
    segment.close()
    assert archived(tmp_path) == events(4)


def test_keeps_a_segment_open_until_its_last_block_is_kept(tmp_path):
    path = left_open(tmp_path)

    def fail(_):
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        recover(tmp_path, keep=fail)
    assert path.exists()
    recover(tmp_path)
    assert archived(tmp_path) == events(6)


def test_a_lock_is_not_given_twice_nor_for_what_is_gone(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with lock(path) as first, lock(path) as second:
        assert first is not None
        assert second is None
    path.unlink()
    with lock(path) as gone:
        assert gone is None


@pytest.mark.slow
def test_a_flipped_bit_costs_at_most_the_block_that_it_hit(tmp_path, caplog):
    """Avro has no checksum: a flip within text or body that leaves a block readable cannot be told."""
    chance = random.Random(7)
    for number in range(200):
        folder = tmp_path / str(number)
        path = left_open(folder)
        whole = path.read_bytes()
        position = chance.randrange(len(whole))
        hit = bytearray(whole)
        hit[position] ^= 1 << chance.randrange(8)
        path.write_bytes(hit)
        caplog.clear()
        recover(folder)
        (damaged,) = [*folder.glob("*.corrupt")] or [None]
        found = archived(folder)
        missing = [event for event in events(6) if event not in found]
        assert len({int(event.event_id.removeprefix("event-")) // 2 for event in missing}) <= 1, position
        if damaged is None:
            assert len(found) == 6, position
        else:
            assert damaged.read_bytes() == hit
            assert str(path) in caplog.text
            assert "offset" in caplog.text


def test_keeps_the_blocks_behind_a_damaged_one(tmp_path, caplog):
    path = left_open(tmp_path)
    content = path.read_bytes()
    place = content.index(events(1, first=2)[0].event_id.encode()) - 12
    path.write_bytes(content[:place] + b"\xff" * 12 + content[place + 12 :])
    kept = []
    recover(tmp_path, keep=kept.append)
    assert archived(tmp_path) == [*events(2), *events(2, first=4)]
    assert kept == [events(2, first=4)]
    assert [each.name for each in tmp_path.glob("*.corrupt")] == [f"{path.name}.corrupt"]
    assert f"damaged segment {path}" in caplog.text


def test_a_read_error_cuts_nothing_and_keeps_back_no_other_segment(tmp_path, monkeypatch):
    first, second = sorted([left_open(tmp_path), left_open(tmp_path)])
    size = first.stat().st_size
    opened = Path.open

    class Unreadable(io.FileIO):
        def read(self, *_):
            raise OSError(errno.EIO, "bad sector")

    def open_(path, *args, **options):
        return Unreadable(path, "r+") if path == first else opened(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_)
        with pytest.raises(OSError, match="bad sector"):
            recover(tmp_path)
    assert first.stat().st_size == size
    assert not second.exists()
    recover(tmp_path)
    assert len(archived(tmp_path)) == 12


def test_what_is_written_again_is_read_in_pieces_and_no_further_than_it_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)) + b"the torn end of a group that failed" * 10)
    read = os.pread
    monkeypatch.setattr("os.pread", lambda descriptor, size, offset: read(descriptor, min(size, 100), offset))
    with path.open("rb") as file:
        assert _read_all(file.fileno(), 250) == bytes(range(250))
