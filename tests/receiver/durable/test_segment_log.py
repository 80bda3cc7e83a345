import errno
import shutil
import time

import pytest
from receiver_support import archived, event, events

from receiver.durable.segment_log import SegmentLog, archive_log
from receiver.durable.segments import Segment

EARLIER = "2026-03-01T09:59:59.999999Z"


def names(tmp_path):
    return sorted(str(path.relative_to(tmp_path).parent) for path in tmp_path.rglob("*.avro*"))


def test_lays_events_out_by_source_day_and_hour(tmp_path):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    log.append([event(1), event(2, at=EARLIER), event(3), event(4, at="2026-03-01T11:00:00.000000Z")])
    assert names(tmp_path) == [
        "source=facebook/date=2026-03-01/hour=09",
        "source=facebook/date=2026-03-01/hour=10",
        "source=facebook/date=2026-03-01/hour=11",
    ]
    log.close()
    assert {e.event_id for e in archived(tmp_path)} == {e.event_id for e in events(4, first=1)}


def test_closes_a_segment_that_is_big_enough(tmp_path):
    log = archive_log(tmp_path, "facebook", 2000, 60)
    log.append(events(1))
    log.rotate()
    assert not archived(tmp_path)
    log.append(events(2, size=1000))
    log.rotate()
    assert len(archived(tmp_path)) == 3


def test_closes_a_segment_that_is_old_enough(tmp_path, monkeypatch):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    log.append(events(1))
    later = time.monotonic() + 61
    monkeypatch.setattr("time.monotonic", lambda: later)
    log.rotate()
    assert len(archived(tmp_path)) == 1


def test_closes_the_segment_of_an_hour_that_is_over(tmp_path):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    log.append([event(1, at=EARLIER)])
    log.rotate()
    assert not archived(tmp_path)
    log.append([event(2)])
    log.rotate()
    assert archived(tmp_path) == [event(1, at=EARLIER)]
    log.close()


def test_keeps_events_of_a_clock_that_was_set_back(tmp_path):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    for number, at in enumerate([event().attributes["received_at"], EARLIER, EARLIER]):
        log.append([event(number, at=at)])
        log.rotate()
    log.close()
    assert {e.event_id for e in archived(tmp_path)} == {e.event_id for e in events(3)}


def test_a_clock_that_was_set_back_does_not_make_a_segment_for_each_group(tmp_path):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    log.append([event(0)])
    log.rotate()
    for number in range(1, 30):
        log.append([event(number, at=EARLIER)])
        log.rotate()
    log.close()
    assert len(list(tmp_path.rglob("*.avro"))) == 2


def test_a_clock_that_goes_back_and_forth_closes_only_the_earlier_hour(tmp_path):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    for number in range(8):
        log.append([event(number, **({"at": EARLIER} if number % 2 else {}))])
        log.rotate()
    log.close()
    assert names(tmp_path).count("source=facebook/date=2026-03-01/hour=10") == 1


def test_a_group_is_in_all_its_segments_or_in_none(tmp_path, monkeypatch):
    log = archive_log(tmp_path, "facebook", 1 << 20, 60)
    append = Segment.append

    def fail_for_later(self, group):
        if "hour=10" in str(self.path):
            raise OSError(errno.ENOSPC, "full")
        append(self, group)

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "append", fail_for_later)
        with pytest.raises(OSError, match="full"):
            log.append([event(1, at=EARLIER), event(2)])
    assert not archived(tmp_path, open_too=True)
    log.append([event(3)])
    log.close()
    assert archived(tmp_path) == [event(3)]


def test_undo_takes_back_the_last_group_only(tmp_path):
    log = SegmentLog(lambda _: tmp_path, 1 << 20, 60)
    log.append(events(2))
    log.append(events(2, first=2))
    log.undo()
    log.undo()
    log.append(events(1, first=4))
    log.close()
    assert archived(tmp_path) == [*events(2), event(4)]


@pytest.mark.parametrize("exchanged", [False, True])
def test_notices_at_the_next_commit_that_its_folder_is_gone(tmp_path, exchanged):
    log = SegmentLog(lambda _: tmp_path / "a" / "b", 1 << 20, 60)
    log.append(events(2))
    shutil.rmtree(tmp_path / "a")
    if exchanged:
        (tmp_path / "a" / "b").mkdir(parents=True)
    log.append(events(2, first=2))
    assert archived(tmp_path, open_too=True) == events(4)
    shutil.rmtree(tmp_path / "a")
    log.close()
    assert archived(tmp_path) == events(4)


def test_keeps_what_it_has_while_a_lost_folder_cannot_be_made_again(tmp_path):
    log = SegmentLog(lambda _: tmp_path / "a" / "b", 1 << 20, 60)
    log.append(events(2))
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        log.append(events(2, first=2))
    (tmp_path / "a").unlink()
    log.append(events(2, first=4))
    log.close()
    assert archived(tmp_path) == [*events(2), *events(2, first=4)]
