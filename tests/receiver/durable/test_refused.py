"""What Pub/Sub refuses for good leaves the spool, is kept, and can be sent again."""

import pytest
from receiver_support import event, events, wait_until

from receiver.durable import refused
from receiver.durable.outbox import Outbox
from receiver.durable.publisher import PublishError, RefusedError
from receiver.durable.spool import Spool, measure


class Picky:
    """Takes requests that have no bad event in them, once it takes any."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.taken: list[str] = []
        self.failure: PublishError | None = None

    def publish(self, source, batch, timeout) -> None:
        if self.failure is not None:
            raise self.failure
        if not self.bad.isdisjoint(each.event_id for each in batch):
            raise RefusedError("INVALID_ARGUMENT")
        self.taken += [each.event_id for each in batch]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr("receiver.durable.outbox.FIRST_BACKOFF_SECONDS", 0.0)


def outbox(tmp_path, publisher) -> Outbox:
    return Outbox(Spool(tmp_path / "spool", "facebook"), publisher, publish_seconds=0.2)


def aside(tmp_path) -> list[str]:
    return [each.event.event_id for each in refused.listed(tmp_path / "spool")]


def test_a_refused_event_keeps_back_no_other_and_is_set_aside(tmp_path):
    publisher = Picky(event(3).event_id, event(7).event_id)
    box = outbox(tmp_path, publisher)
    box.keep(events(10))

    assert box.drain() == 8

    assert sorted(publisher.taken) == [each.event_id for each in events(10) if each.event_id not in publisher.bad]
    assert aside(tmp_path) == sorted(publisher.bad)
    assert measure(tmp_path / "spool").events == 0
    assert box.direct


def test_while_a_topic_takes_nothing_no_event_is_to_blame(tmp_path):
    publisher = Picky(*(each.event_id for each in events(10)))
    box = outbox(tmp_path, publisher)
    box.keep(events(3))
    for _ in range(4):
        assert box.drain() == 0
    assert (aside(tmp_path), measure(tmp_path / "spool").events) == ([], 3)

    publisher.bad.clear()
    assert box.drain() == 3
    assert (aside(tmp_path), measure(tmp_path / "spool").events) == ([], 0)


def test_a_lonely_refused_event_is_set_aside_once_the_topic_has_taken_another(tmp_path):
    publisher = Picky(event(0).event_id)
    box = outbox(tmp_path, publisher)
    box.keep(events(1))
    assert (box.drain(), aside(tmp_path)) == (0, [])

    box.send(events(1, first=1))
    assert publisher.taken == [event(1).event_id]
    box.drain()

    assert aside(tmp_path) == [event(0).event_id]
    assert measure(tmp_path / "spool").events == 0


def test_what_only_fails_is_not_set_aside(tmp_path):
    publisher = Picky()
    publisher.failure = PublishError("UNAVAILABLE")
    box = outbox(tmp_path, publisher)
    box.keep(events(3))
    box.start()
    wait_until(lambda: not box.direct)
    publisher.failure = None
    wait_until(lambda: len(publisher.taken) == 3)
    box.close()
    assert aside(tmp_path) == []


def test_what_was_set_aside_is_sent_again_and_what_is_refused_again_stays(tmp_path):
    bad = Spool(tmp_path / "spool", "facebook")
    refused.set_aside(bad, events(3))
    publisher = Picky(event(1).event_id)

    assert list(refused.resend(tmp_path / "spool", publisher)) == [("facebook", 2, 1)]
    assert publisher.taken == [event(0).event_id, event(2).event_id]
    assert aside(tmp_path) == [event(1).event_id]

    assert list(refused.resend(tmp_path / "spool", publisher)) == [("facebook", 0, 1)]
    publisher.bad.clear()
    assert list(refused.resend(tmp_path / "spool", publisher)) == [("facebook", 1, 0)]
    assert aside(tmp_path) == []
