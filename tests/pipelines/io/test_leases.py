"""Pulled messages stay ours for as long as they are worked on, and a Pub/Sub that is away delays no end."""

import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from google.cloud import pubsub_v1

from pipelines.io import leases
from pipelines.io.leases import Leases
from pipelines.io.streaming_pull import Pulled, StreamingPull
from pipelines.io.subscriber import subscriber
from pipelines.local.pubsub import PubSubServer
from pipelines.local.ready import wait_for
from pipelines.local.topics import create_topics

PROJECT = "parley-test"
NAME = f"projects/{PROJECT}/subscriptions/parley-shop"
SOON = 20


class Pulling:
    """One subscription, pulled: what has arrived, and what holds it."""

    def __init__(self) -> None:
        self.client = subscriber()
        self.arrived: list[Pulled] = []
        self.room = threading.Event()
        self.room.set()
        self.stream = StreamingPull(self.client, NAME, self._arrive, 1_000, 1_000_000)

    def _arrive(self, messages) -> None:
        self.arrived.extend(messages)
        self.room.wait()

    def close(self) -> None:
        self.room.set()
        self.stream.close()
        self.client.close()


@pytest.fixture
def pulling(pubsub: PubSubServer) -> Iterator[Pulling]:
    create_topics(PROJECT, {"raw-shop": "parley-shop"})
    opened = Pulling()
    yield opened
    opened.close()


def publish(*bodies: bytes) -> None:
    publisher = pubsub_v1.PublisherClient()
    for each in [publisher.publish(f"projects/{PROJECT}/topics/raw-shop", body) for body in bodies]:
        each.result()
    publisher.stop()


def deadlines(pubsub: PubSubServer) -> list[float]:
    """Return until when the messages of the subscription are held."""
    with pubsub.broker.changed:
        entries = pubsub.broker.resources.backlog(NAME)._entries.values()
        return [entry.expires for entry in entries if entry.expires is not None]


def test_what_is_worked_on_is_held_for_longer_and_longer(pubsub: PubSubServer, pulling: Pulling, monkeypatch):
    monkeypatch.setattr(leases, "_PROLONGED_EVERY", 0.05)
    held = Leases(pulling.client)
    publish(b"1", b"2")
    wait_for("both", lambda: len(pulling.arrived) == 2, SOON)
    first = max(deadlines(pubsub))

    held.hold(pulling.arrived)
    wait_for("another deadline", lambda: len(deadlines(pubsub)) == 2 and min(deadlines(pubsub)) > first, SOON)
    held.acknowledge(pulling.arrived[:1])
    wait_for("an acknowledgement", lambda: len(deadlines(pubsub)) == 1, SOON)

    held.close()
    # Given back, it comes again at once.
    wait_for("a second delivery", lambda: len(pulling.arrived) == 3, SOON)
    assert pulling.arrived[2].message.data == pulling.arrived[1].message.data


def test_what_is_worked_on_is_held_however_much_is_acknowledged(
    pubsub: PubSubServer, pulling: Pulling, monkeypatch
):
    monkeypatch.setattr(leases, "_PROLONGED_EVERY", 0.05)
    held = Leases(pulling.client)
    publish(b"1")
    wait_for("the message", lambda: len(pulling.arrived) == 1, SOON)
    first = max(deadlines(pubsub))
    # There is always something more to acknowledge.
    monkeypatch.setattr(held, "_acknowledge", held.acknowledge)
    held.acknowledge([])

    held.hold(pulling.arrived)

    wait_for("another deadline", lambda: max(deadlines(pubsub)) > first, SOON)
    held.close()


def test_a_pubsub_that_is_away_delays_the_end_for_a_moment_alone(
    pubsub: PubSubServer, pulling: Pulling, monkeypatch
):
    monkeypatch.setattr(leases, "_TELLING_SECONDS", 1.0)
    publish(*(b"%d" % number for number in range(20)))
    wait_for("all", lambda: len(pulling.arrived) == 20, SOON)
    held = Leases(pulling.client)
    told: list[float] = []
    pubsub.faults.set("Acknowledge", code=grpc.StatusCode.UNAVAILABLE)
    pubsub.faults.set("ModifyAckDeadline", code=grpc.StatusCode.UNAVAILABLE)
    monkeypatch.setattr(leases, "_TOLD_TOGETHER", 1)
    patience = held._patience

    def patient():
        told.append(patience()["timeout"])
        return patience()

    monkeypatch.setattr(held, "_patience", patient)
    held.hold(pulling.arrived)
    held.acknowledge(pulling.arrived)

    held.close()

    assert len(told) >= 20
    # All of them together had what one has usually.
    assert sorted(told)[len(told) // 2] == pytest.approx(0.1)


def test_a_stream_that_breaks_is_opened_again(pubsub: PubSubServer, pulling: Pulling):
    publish(b"1")
    wait_for("the first", lambda: len(pulling.arrived) == 1, SOON)

    pubsub.faults.set("StreamingPull", code=grpc.StatusCode.UNAVAILABLE, times=1)
    wait_for("the fault", lambda: not pubsub.faults.waiting("StreamingPull"), SOON)
    publish(b"2")

    wait_for("the second", lambda: b"2" in [each.message.data for each in pulling.arrived], SOON)
    assert pulling.stream.failure is None


def test_what_is_delivered_waits_while_there_is_no_room(pubsub: PubSubServer, pulling: Pulling):
    pulling.room.clear()
    publish(b"1")
    wait_for("the first", lambda: len(pulling.arrived) == 1, SOON)
    publish(b"2")
    wait_for("the second's delivery", lambda: len(deadlines(pubsub)) == 2, SOON)
    assert [each.message.data for each in pulling.arrived] == [b"1"]

    pulling.room.set()

    wait_for("the second", lambda: len(pulling.arrived) == 2, SOON)


def test_a_silent_stream_says_that_it_is_there(pubsub: PubSubServer, monkeypatch):
    monkeypatch.setattr("pipelines.io.streaming_pull._HEARTBEAT_SECONDS", 0.02)
    create_topics(PROJECT, {"raw-shop": "parley-shop"})
    opened = Pulling()
    beats: list[float] = []
    send = opened.stream._rpc.send
    monkeypatch.setattr(
        opened.stream._rpc, "send", lambda request: (beats.append(time.monotonic()), send(request))
    )

    wait_for("three beats", lambda: len(beats) >= 3, SOON)
    publish(b"1")
    wait_for("a message", lambda: len(opened.arrived) == 1, SOON)

    assert opened.stream.failure is None
    opened.close()
