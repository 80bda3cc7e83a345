import threading
import time

import grpc
import pytest
from receiver_support import PROJECT, event, events

from receiver.config import PUBSUB_MAX_BYTES
from receiver.durable import publisher as publishers
from receiver.durable.publisher import Publisher, PublishError, RefusedError, batches, published_size


def test_publishes_body_and_attributes_to_the_topic_of_the_source(publisher, bus):
    publisher.publish("other", events(3, source="other"), timeout=10)
    assert bus.published("other") == events(3, source="other")
    assert not bus.published("facebook")


def test_cuts_groups_to_what_one_request_may_hold(publisher, bus):
    group = [*events(1200), *events(3, first=1200, size=9_000_000)]
    publisher.publish("facebook", group, timeout=30)
    assert bus.ids() == {each.event_id for each in group}


def test_batches_keep_order_and_limits():
    group = [*events(2500), *events(4, first=2500, size=4_000_000)]
    cut = list(batches(group))
    assert [each for batch in cut for each in batch] == group
    assert all(len(batch) <= 1000 for batch in cut)
    assert all(sum(map(published_size, batch)) <= PUBSUB_MAX_BYTES for batch in cut)
    assert list(batches([])) == []


def test_measures_at_least_what_protocol_buffers_take(publisher):
    from receiver.durable.publisher import _request

    group = [event(1, size=5000), event(2, source="ü" * 300)]
    sent = _request("", group)
    assert sum(map(published_size, group)) >= sent.ByteSize()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "PERMISSION_DENIED", "NOT_FOUND", "RESOURCE_EXHAUSTED"])
def test_tells_that_pubsub_refused_without_trying_again(publisher, bus, code):
    bus.faults.set("Publish", code=grpc.StatusCode[code], times=1)
    with pytest.raises(PublishError):
        publisher.publish("facebook", events(1), timeout=10)
    publisher.publish("facebook", events(1), timeout=10)


def test_gives_up_after_the_timeout(publisher, bus):
    bus.faults.set("Publish", hang=True)
    with pytest.raises(PublishError, match="DEADLINE_EXCEEDED"):
        publisher.publish("facebook", events(1), timeout=0.1)


def test_reports_missing_credentials_as_not_published(monkeypatch, tmp_path):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(PublishError, match="DefaultCredentialsError"):
        Publisher(PROJECT, "raw-").publish("facebook", events(1), timeout=1)


def test_waits_for_credentials_no_longer_than_for_an_answer(publisher, bus, monkeypatch):
    """Where the metadata server is slow, to look for them takes many seconds."""
    found, channel = threading.Event(), publishers._channel
    monkeypatch.setattr(publishers, "_channel", lambda: (found.wait(20), channel())[1])
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(PublishError, match=r"no connection to Pub/Sub within 0\.1 s"):
            publisher.publish("facebook", events(1), timeout=0.1)
    assert time.monotonic() - began < 5

    found.set()
    publisher.publish("facebook", events(1), timeout=10)
    assert bus.published("facebook") == events(1)


def test_is_closed_while_it_looks_for_credentials(monkeypatch):
    found, closed = threading.Event(), threading.Event()
    made = type("Channel", (), {"unary_unary": lambda *_, **__: None, "close": lambda _: closed.set()})()
    monkeypatch.setattr(publishers, "_channel", lambda: (found.wait(20), made)[1])
    publisher = Publisher(PROJECT, "raw-")
    with pytest.raises(PublishError, match="no connection"):
        publisher.publish("facebook", events(1), timeout=0.1)
    publisher.close()
    found.set()
    assert closed.wait(10)


def test_makes_no_connection_after_it_was_closed(publisher, bus):
    publisher.close()
    with pytest.raises(PublishError, match="shutting down"):
        publisher.publish("facebook", events(1), timeout=1)


def test_what_no_request_can_hold_is_refused_for_good(publisher, bus):
    broken = event()
    broken.attributes["x"] = "\ud800"
    with pytest.raises(RefusedError):
        publisher.publish("facebook", [broken], 5)


def test_a_wrong_request_is_refused_for_good_and_one_in_vain_is_not(publisher, bus):
    for code, permanent in {
        grpc.StatusCode.INVALID_ARGUMENT: True,
        grpc.StatusCode.UNAVAILABLE: False,
        grpc.StatusCode.NOT_FOUND: False,
        grpc.StatusCode.PERMISSION_DENIED: False,
    }.items():
        bus.faults.set("Publish", code=code)
        with pytest.raises(PublishError) as raised:
            publisher.publish("facebook", [event()], 5)
        assert isinstance(raised.value, RefusedError) == permanent
    bus.faults.clear()
