import errno
import threading

import grpc
import pytest
from receiver_support import PROJECT, events, wait_until

from receiver.durable.outbox import Outbox
from receiver.durable.publisher import Publisher
from receiver.durable.spool import Spool, measure


@pytest.fixture
def outbox(tmp_path, publisher):
    outbox = Outbox(Spool(tmp_path, "facebook"), publisher, publish_seconds=0.2)
    yield outbox
    publisher.close()
    outbox.close()


def ids(group):
    return {each.event_id for each in group}


def test_publishes_directly_without_touching_the_disk(outbox, bus, tmp_path):
    outbox.start()
    outbox.send(events(3))
    assert bus.published() == events(3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"code": grpc.StatusCode.UNAVAILABLE},
        {"code": grpc.StatusCode.PERMISSION_DENIED},
        {"code": grpc.StatusCode.NOT_FOUND},
        {"code": grpc.StatusCode.RESOURCE_EXHAUSTED},
        {"hang": True},
        {"delay": 2.0},
        {"code": grpc.StatusCode.INTERNAL, "after": True},
    ],
    ids=str,
)
def test_keeps_events_while_pubsub_fails_and_publishes_them_in_order_after(outbox, bus, tmp_path, fault):
    bus.faults.set("Publish", **fault)
    outbox.start()
    for number in range(5):
        outbox.send(events(10, first=10 * number))
    assert not outbox.direct
    if not fault.get("delay"):
        assert measure(tmp_path).events == 50
    bus.faults.clear()
    wait_until(lambda: bus.ids() >= ids(events(50)))
    wait_until(lambda: outbox.direct)
    first_seen = list(dict.fromkeys(each.event_id for each in bus.published()))
    assert first_seen == sorted(first_seen)
    wait_until(lambda: measure(tmp_path).events == 0)
    outbox.send(events(1, first=50))
    assert bus.published()[-1:] == events(1, first=50)


def test_asks_pubsub_only_once_before_all_goes_to_the_spool(outbox, bus, monkeypatch):
    calls = []
    publish = Publisher.publish
    monkeypatch.setattr(Publisher, "publish", lambda self, *args: (calls.append(args), publish(self, *args))[1])
    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    for number in range(20):
        outbox.send(events(1, first=number))
    assert len(calls) == 1


def test_stays_with_the_spool_while_pubsub_is_slower_than_a_request_may_wait(outbox, bus, tmp_path):
    bus.faults.set("Publish", delay=0.5)
    outbox.start()
    outbox.send(events(1))
    wait_until(lambda: bus.ids() >= ids(events(1)))
    wait_until(lambda: measure(tmp_path).events == 0)
    assert not outbox.direct


def test_a_failed_spool_is_told_and_pubsub_is_asked_again(outbox, bus, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Spool, "append", fail)
    bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(OSError, match="full"):
        outbox.send(events(1))
    bus.faults.clear()
    outbox.send(events(1))
    assert bus.published() == events(1)


def test_takes_over_what_was_spooled_before_it_started(outbox, bus, tmp_path):
    before = Spool(tmp_path, "facebook")
    before.append(events(2500))
    before.seal()
    outbox.start()
    wait_until(lambda: bus.ids() >= ids(events(2500)))
    wait_until(lambda: measure(tmp_path).events == 0)


def test_survives_that_the_spool_cannot_be_read_for_a_while(outbox, bus, monkeypatch, caplog):
    failed = threading.Event()

    def fail(_):
        failed.set()
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "closed", fail)
        bus.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
        outbox.start()
        outbox.send(events(1))
        assert failed.wait(10)
    bus.faults.clear()
    wait_until(lambda: bus.published() == events(1))
    assert "spool not drained" in caplog.text


def test_closing_does_not_wait_for_a_pubsub_that_hangs(tmp_path, bus):
    publisher = Publisher(PROJECT, "raw-")
    outbox = Outbox(Spool(tmp_path, "facebook"), publisher, publish_seconds=30)
    outbox.keep(events(1))
    bus.faults.set("Publish", hang=True)
    outbox.start()
    outbox.stop()
    publisher.close()
    outbox.close()
    assert measure(tmp_path).events == 1


def test_drains_without_a_thread(outbox, bus):
    outbox.keep(events(5))
    assert outbox.drain() == 5
    assert outbox.drain() == 0
    assert bus.published() == events(5)


def test_what_comes_while_the_spool_was_found_empty_does_not_wait_for_the_next_look(outbox, bus, monkeypatch):
    """An event is kept just after the thread has found nothing, and before it waits."""
    monkeypatch.setattr("receiver.durable.outbox.IDLE_SECONDS", 60.0)
    drain = outbox.drain
    late = events(1)

    def found_nothing() -> int:
        count = drain()
        while late:
            outbox.keep([late.pop()])
        return count

    monkeypatch.setattr(outbox, "drain", found_nothing)
    outbox.start()
    wait_until(lambda: bus.published() == events(1))
