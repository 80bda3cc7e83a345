import errno
import os
import time

from receiver_support import event, events

from receiver.durable import salvage
from receiver.durable.spool import Spool, folder, measure, sources


def take_all(spool: Spool) -> list[list]:
    taken_segments = []
    for path in spool.closed():
        with spool.take(path) as taken:
            if taken is not None:
                taken_segments.append(list(taken))
                taken.finish()
    return taken_segments


def test_gives_back_in_order_what_was_kept(tmp_path):
    spool = Spool(tmp_path, "facebook")
    spool.append(events(2))
    spool.append(events(2, first=2))
    assert not spool.closed()
    spool.seal()
    spool.append(events(1, first=4))
    spool.seal()
    assert take_all(spool) == [events(4), [event(4)]]
    assert take_all(spool) == []
    assert list(folder(tmp_path, "facebook").iterdir()) == []


def test_a_segment_stays_until_it_is_finished(tmp_path):
    spool = Spool(tmp_path, "facebook")
    spool.append(events(2))
    spool.seal()
    with spool.take(spool.closed()[0]) as taken:
        assert next(iter(taken)) == event(0)
    assert take_all(spool) == [events(2)]


def test_two_processes_never_take_the_same_segment(tmp_path):
    one, two = Spool(tmp_path, "facebook"), Spool(tmp_path, "facebook")
    one.append(events(2))
    two.seal()
    assert not two.closed()
    one.seal()
    (path,) = two.closed()
    with one.take(path) as mine, two.take(path) as theirs:
        assert mine is not None
        assert theirs is None
        mine.finish()
    with two.take(path) as gone:
        assert gone is None


def test_takes_over_what_a_dead_process_kept(tmp_path):
    dead = Spool(tmp_path, "facebook")
    dead.append(events(3))
    (segment,) = dead._segments._open.values()
    segment._file.close()
    heir = Spool(tmp_path, "facebook")
    heir.seal()
    assert take_all(heir) == [events(3)]


def test_what_cannot_be_taken_over_is_told_once_and_tried_again(tmp_path, monkeypatch, caplog):
    def fail(_):
        raise OSError(errno.EIO, "bad sector")

    spool = Spool(tmp_path, "facebook")
    spool.append(events(3))
    with monkeypatch.context() as patch:
        patch.setattr("receiver.durable.spool.recover", fail)
        spool.seal()
        spool.seal()
    assert [record.message for record in caplog.records] == ["segment of a dead process not taken over"]
    spool.seal()
    assert take_all(spool) == [events(3)]


def test_sets_a_damaged_segment_aside_after_what_is_whole(tmp_path, caplog):
    spool = Spool(tmp_path, "facebook")
    spool.append(events(2))
    spool.append(events(2, first=2))
    spool.seal()
    (path,) = spool.closed()
    os.truncate(path, path.stat().st_size - 20)
    size, whole = path.stat().st_size, salvage.read(path.read_bytes(), "facebook").end
    assert take_all(spool) == [events(2)]
    assert f": {size - whole} bytes at offset {whole}: the file ends within a block" in caplog.text
    assert spool.closed() == []
    assert [each.suffix for each in path.parent.iterdir()] == [".corrupt"]
    assert measure(tmp_path).events == 0


def test_gives_the_blocks_behind_a_damaged_one(tmp_path, caplog):
    spool = Spool(tmp_path, "facebook")
    for first in (0, 2, 4):
        spool.append(events(2, first=first))
    spool.seal()
    (path,) = spool.closed()
    content = path.read_bytes()
    place = content.index(event(2).event_id.encode()) - 12
    path.write_bytes(content[:place] + b"\xff" * 12 + content[place + 12 :])
    assert take_all(spool) == [[*events(2), *events(2, first=4)]]
    assert [each.suffix for each in path.parent.iterdir()] == [".corrupt"]
    assert f"damaged segment {path}" in caplog.text


def test_rotates_so_that_a_segment_can_be_taken_while_others_come(tmp_path):
    spool = Spool(tmp_path, "facebook")
    for number in range(3):
        spool.append([event(number, size=5_000_000)])
    assert len(spool.closed()) == 1
    spool.seal()


def test_measures_open_and_closed_segments_of_all_processes(tmp_path, monkeypatch):
    assert measure(tmp_path).events == 0
    one, two = Spool(tmp_path, "facebook"), Spool(tmp_path, "other")
    one.append(events(2))
    one.seal()
    one.append(events(1))
    two.append(events(4))
    later = time.time() + 100
    monkeypatch.setattr("time.time", lambda: later)
    found = measure(tmp_path)
    assert (found.events, found.segments) == (7, 3)
    assert 99 < found.oldest_seconds < 160
    assert sources(tmp_path) == ["facebook", "other"]
    one.seal()
    two.seal()


def test_a_file_of_another_name_counts_as_the_oldest(tmp_path, monkeypatch):
    """Somebody has put it there, or an older version: it is measured, and is in nobody's way."""
    spool = Spool(tmp_path, "facebook")
    spool.append(events(2))
    spool.seal()
    (path,) = spool.closed()
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    for name in ("another.avro", "12-another.avro"):
        path = path.rename(path.with_name(name))
        assert measure(tmp_path).oldest_seconds == 1_000_000


def test_reads_no_segment_twice_however_many_wait(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr("receiver.durable.spool.fastavro.block_reader", lambda file: read.append(file.name) or [])
    for number in range(5000):
        (tmp_path / f"{number}.avro").write_bytes(b"")
    assert (measure(tmp_path).segments, len(read)) == (5000, 5000)

    (tmp_path / "1.avro").write_bytes(b"grown")
    (tmp_path / "2.avro").unlink()

    assert (measure(tmp_path).segments, len(read)) == (4999, 5001)
    assert read[-1] == str(tmp_path / "1.avro")
