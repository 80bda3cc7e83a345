import errno
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from receiver_support import PROJECT, archived, event, events, wait_until

from receiver.config import Config
from receiver.durable import committer, salvage
from receiver.durable.committer import Committers, UnavailableError
from receiver.durable.outbox import Outbox
from receiver.durable.publisher import Publisher
from receiver.durable.segment_log import SegmentLog
from receiver.durable.segments import Segment
from receiver.durable.spool import Spool, measure


@pytest.fixture
def make(tmp_path, bus):
    """Make committers whose configuration has some settings changed."""
    made = []

    def make(**settings) -> Committers:
        defaults = {"archive": str(tmp_path / "archive"), "data_dir": tmp_path, "publish_seconds": 0.5}
        made.append(Committers(Config(project=PROJECT, **(defaults | settings))))
        return made[-1]

    yield make
    bus.faults.clear()
    for committers in made:
        committers.close()


def ids(group):
    return {each.event_id for each in group}


def test_an_event_is_archived_and_published_when_commit_returns(make, bus, tmp_path):
    make().commit(event(1))
    assert archived(tmp_path / "archive", open_too=True) == [event(1)]
    assert bus.published() == [event(1)]


def test_commits_together_what_comes_meanwhile(make, bus, monkeypatch):
    groups = []
    started, go_on = threading.Event(), threading.Event()
    send = Outbox.send

    def slow(self, group):
        groups.append(len(group))
        started.set()
        assert go_on.wait(20)
        send(self, group)

    monkeypatch.setattr(Outbox, "send", slow)
    committers = make(group_events=20)
    with ThreadPoolExecutor(31) as requests:
        requests.submit(committers.commit, event(0))
        assert started.wait(20)
        rest = [requests.submit(committers.commit, each) for each in events(30, first=1)]
        lane = committers._lanes["facebook"]
        wait_until(lambda: lane._waiting_events == 30)
        go_on.set()
        for each in rest:
            each.result(20)
    assert groups == [1, 20, 10]
    assert bus.ids() == ids(events(31))


@pytest.fixture
def stuck(monkeypatch):
    """Let the next group hang where it would be published; give what tells that, and what ends it."""
    started, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(Outbox, "send", lambda *_: (started.set(), go_on.wait(20)))
    return started, go_on


def test_refuses_at_once_when_the_queue_is_full(make, stuck):
    started, go_on = stuck
    committers = make(queue_events=3)
    with ThreadPoolExecutor(8) as requests:
        first = requests.submit(committers.commit, event(0))
        assert started.wait(20)
        waiting = [requests.submit(committers.commit, each) for each in events(3, first=1)]
        wait_until(lambda: committers._lanes["facebook"]._waiting_events == 3)
        with pytest.raises(UnavailableError, match="queue is full"):
            committers.commit(event(9))
        go_on.set()
        for each in (first, *waiting):
            each.result(20)


def test_bounds_the_bytes_in_the_queue_too(make, stuck):
    started, go_on = stuck
    committers = make(queue_bytes=100_000)
    with ThreadPoolExecutor(8) as requests:
        first = requests.submit(committers.commit, event(0))
        assert started.wait(20)
        big = requests.submit(committers.commit, event(1, size=200_000))
        wait_until(lambda: committers._lanes["facebook"]._waiting_events == 1)
        with pytest.raises(UnavailableError, match="queue is full"):
            committers.commit(event(2))
        go_on.set()
        first.result(20)
        big.result(20)


def test_one_source_does_not_wait_for_the_topic_of_another(make, bus, monkeypatch):
    go_on = threading.Event()
    publish = Publisher.publish

    def hang_for_other(self, source, *args):
        assert source != "other" or go_on.wait(20)
        publish(self, source, *args)

    monkeypatch.setattr(Publisher, "publish", hang_for_other)
    committers = make()
    with ThreadPoolExecutor(1) as requests:
        other = requests.submit(committers.commit, event(1, source="other"))
        committers.commit(event(2))
        assert not other.done()
        go_on.set()
        other.result(20)


def test_accepts_events_by_the_spool_while_pubsub_is_down(make, bus, tmp_path):
    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    committers = make()
    for each in events(5):
        committers.commit(each)
    assert measure(tmp_path / "spool").events == 5
    assert committers.directness() == {"facebook": False}
    bus.faults.clear()
    wait_until(lambda: bus.ids() == ids(events(5)))


def test_refuses_and_keeps_nothing_where_the_archive_cannot_be_written(make, bus, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "full")

    committers = make()
    committers.commit(event(1))
    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", fail)
        with pytest.raises(UnavailableError, match="full"):
            committers.commit(event(2))
    committers.commit(event(3))
    assert ids(archived(tmp_path / "archive", open_too=True)) == ids([event(1), event(3)])
    assert bus.ids() == ids([event(1), event(3)])


def test_keeps_nothing_in_the_archive_of_what_is_neither_published_nor_spooled(make, bus, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "full")

    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    committers = make()
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", fail)
        with pytest.raises(UnavailableError, match="neither published nor spooled"):
            committers.commit(event(1))
    bus.faults.clear()
    committers.commit(event(2))
    assert archived(tmp_path / "archive", open_too=True) == [event(2)]
    assert bus.published() == [event(2)]


def test_lives_on_after_an_error_that_nobody_thought_of(make, bus, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    committers = make()
    with monkeypatch.context() as patch:
        patch.setattr(SegmentLog, "append", fail)
        with pytest.raises(UnavailableError, match="ZeroDivisionError"):
            committers.commit(event(1))
    committers.commit(event(2))
    assert bus.published() == [event(2)]


def test_a_request_gives_up_in_time_and_its_event_is_not_committed_later(make, bus, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    append = SegmentLog.append

    def hang(self, group):
        started.set()
        assert go_on.wait(20)
        append(self, group)

    committers = make(commit_seconds=0.2)
    monkeypatch.setattr(SegmentLog, "append", hang)
    with ThreadPoolExecutor(1) as requests:
        first = requests.submit(committers.commit, event(1))
        assert started.wait(20)
        with pytest.raises(UnavailableError, match="not committed within"):
            committers.commit(event(2))
        go_on.set()
        with pytest.raises(UnavailableError):
            first.result(20)
    committers.close()
    assert event(2).event_id not in bus.ids()


def test_without_an_archive_there_is_no_segment(make, bus, tmp_path):
    make(archive="none").commit(event(1))
    assert bus.published() == [event(1)]
    assert not list(tmp_path.rglob("*.avro*"))


def test_closing_commits_what_waits_and_refuses_what_comes_later(make, bus, tmp_path):
    committers = make(group_seconds=0.3)
    with ThreadPoolExecutor(20) as requests:
        commits = [requests.submit(committers.commit, each) for each in events(20)]
        wait_until(lambda: "facebook" in committers._lanes)
        wait_until(lambda: committers._lanes["facebook"]._waiting_events == 20)
        committers.close()
        for each in commits:
            each.result(20)
    with pytest.raises(UnavailableError, match="shutting down"):
        committers.commit(event(99))
    assert ids(archived(tmp_path / "archive")) == bus.ids() == ids(events(20))


def test_publishes_what_a_dead_process_had_archived_only(make, bus, tmp_path):
    dead = Segment(tmp_path / "archive" / "source=facebook" / "date=2026-03-01" / "hour=10")
    dead.append(events(2))
    dead.append(events(2, first=2))
    dead._file.close()
    make().start()
    wait_until(lambda: bus.ids() == ids(events(2, first=2)))
    wait_until(lambda: archived(tmp_path / "archive") == events(4))


def test_drains_the_spool_of_a_source_that_no_longer_gets_events(make, bus, tmp_path):
    spool = Spool(tmp_path / "spool", "other")
    spool.append(events(3, source="other"))
    spool.seal()
    make().start()
    wait_until(lambda: bus.published("other") == events(3, source="other"))


def test_one_unreadable_segment_keeps_back_no_other_and_is_tried_again(make, bus, tmp_path, monkeypatch):
    monkeypatch.setattr(committer, "RECOVERY_SECONDS", 0.01)
    folder = tmp_path / "archive" / "source=facebook" / "date=2026-03-01" / "hour=10"
    for number in range(2):
        dead = Segment(folder)
        dead.append([event(number)])
        dead._file.close()
    spool = Spool(tmp_path / "spool", "other")
    spool.append(events(3, first=5, source="other"))
    spool.seal()
    readable = threading.Event()
    read = salvage.read

    def fail_for_the_first(content, source):
        if event(0).event_id.encode() in content and not readable.is_set():
            raise OSError(errno.EIO, "bad sector")
        return read(content, source)

    monkeypatch.setattr(salvage, "read", fail_for_the_first)
    receiver = make()
    receiver.start()
    wait_until(lambda: bus.published("other") == events(3, first=5, source="other"))
    wait_until(lambda: archived(tmp_path / "archive") == [event(1)])
    wait_until(lambda: receiver.recovering)
    readable.set()
    wait_until(lambda: ids(archived(tmp_path / "archive")) == ids(events(2)))
    wait_until(lambda: not receiver.recovering)


def test_one_unreadable_spool_segment_keeps_back_no_other(make, bus, tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool", "facebook")
    for number in range(2):
        spool.append([event(number)])
        spool.seal()
    first, _ = spool.closed()
    read = salvage.read

    def fail_for_the_first(content, source):
        if event(0).event_id.encode() in content:
            raise OSError(errno.EIO, "bad sector")
        return read(content, source)

    monkeypatch.setattr(salvage, "read", fail_for_the_first)
    make().start()
    wait_until(lambda: bus.ids() == {event(1).event_id})
    assert first.exists()
