"""The pulling reader: every message once through the pipeline, and acknowledged only when that is done."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1 import types

from pipelines.io import pull, read_pubsub
from pipelines.io.pull import Pull
from pipelines.io.read_pubsub import PullSubscriptions, ReadSubscriptions
from pipelines.io.streaming_pull import Pulled
from pipelines.local.pubsub import PubSubServer
from pipelines.local.ready import wait_for
from pipelines.local.topics import create_topics
from pipelines.normalize import build
from schemas.raw_event import RawEvent
from tests.raw_events import text_message

pytestmark = pytest.mark.thorough

PROJECT = "parley-test"
SOON = 60
"""Seconds; the client lets Pub/Sub wait for sixty until it delivers again what it does not hear of."""
TOPICS = {"raw-facebook": "parley-facebook", "raw-twilio": "parley-twilio"}
SUBSCRIPTIONS = [f"projects/{PROJECT}/subscriptions/{name}" for name in TOPICS.values()]

stored: list[str] = []
refuse = threading.Event()


class Store(beam.PTransform):
    """Stands where the sink is: keeps ids, or fails as a sink does that cannot store."""

    def expand(self, batches):
        return batches | beam.ParDo(_Store())


class _Store(beam.DoFn):
    def start_bundle(self):
        self._events = []

    def process(self, batch):
        self._events += [event.event_id for event in batch.events]

    def finish_bundle(self):
        if refuse.is_set():
            raise RuntimeError("cannot store")
        stored.extend(self._events)


@pytest.fixture(autouse=True)
def _fresh(pubsub: PubSubServer) -> Iterator[None]:
    stored.clear()
    refuse.clear()
    read_pubsub.stopping.clear()
    yield
    read_pubsub.stop_pulling()
    read_pubsub.stopping.clear()


def publish(events) -> None:
    publisher = pubsub_v1.PublisherClient()
    topics = [f"projects/{PROJECT}/topics/raw-{event.source}" for event in events]
    sent = [publisher.publish(t, e.data, **e.attributes) for t, e in zip(topics, events, strict=True)]
    for each in sent:
        each.result()
    publisher.stop()


def run() -> beam.runners.runner.PipelineResult:
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    build(pipeline, PullSubscriptions(SUBSCRIPTIONS), Store())
    return pipeline.run()


def run_until(done) -> None:
    def watch() -> None:
        deadline = time.monotonic() + SOON
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)
        read_pubsub.stopping.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run().wait_until_finish()
    finally:
        watcher.join()


def backlog(subscriptions: Sequence[str] = SUBSCRIPTIONS) -> int:
    with pubsub_v1.SubscriberClient() as client:
        found = 0
        for name in subscriptions:
            received = client.pull(subscription=name, max_messages=1000, timeout=30).received_messages
            found += len(received)
        return found


def test_messages_of_all_subscriptions_are_stored_and_acknowledged(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    events = [text_message(n) for n in range(300)]
    events += [event_of_twilio(n) for n in range(300, 310)]
    publish(events)

    run_until(lambda: len(stored) >= len(events))

    assert sorted(stored) == sorted(event.event_id for event in events)
    assert backlog() == 0


def test_the_longest_body_that_the_receiver_takes_is_stored(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    event = text_message(1)
    longest = RawEvent(event.data.ljust(9_000_000), event.attributes)
    publish([longest])

    run_until(lambda: stored)

    assert stored == [longest.event_id]


def test_what_could_not_be_stored_comes_again(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    events = [text_message(n) for n in range(20)]
    publish(events)
    refuse.set()
    with pytest.raises(RuntimeError, match="cannot store"):
        run().wait_until_finish()
    assert stored == []

    refuse.clear()
    run_until(lambda: set(stored) == {event.event_id for event in events})

    assert set(stored) == {event.event_id for event in events}


def event_of_twilio(number: int):
    event = text_message(number)
    event.attributes["source"] = "twilio"
    return event


def test_the_runners_own_source_feeds_the_same_pipeline(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    events = [text_message(n) for n in range(25)]
    publish(events)
    pipeline = beam.Pipeline(BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))
    build(pipeline, ReadSubscriptions(SUBSCRIPTIONS), Store())

    result = pipeline.run()
    wait_for("all events", lambda: len(stored) >= len(events), 60)
    result.cancel()

    assert sorted(stored) == sorted(event.event_id for event in events)


def test_a_long_read_ends_by_itself_and_the_next_goes_on_with_what_was_pulled(pubsub: PubSubServer, monkeypatch):
    monkeypatch.setattr(read_pubsub, "_LONGEST_RUN_BATCHES", 1)
    monkeypatch.setattr(pull, "LARGEST_BATCH", 50)
    create_topics(PROJECT, TOPICS)
    events = [text_message(n) for n in range(2_000)]

    # While the next read begins messages come, too.
    publisher = threading.Thread(target=publish, args=[events])
    publisher.start()
    until = time.monotonic() + 5 * SOON  # Each run starts a pipeline: on a busy machine, seconds each
    while len(stored) < len(events) and time.monotonic() < until:
        run().wait_until_finish()
    publisher.join()

    assert sorted(stored) == sorted(event.event_id for event in events)
    assert backlog() == 0


def test_a_subscription_that_is_gone_does_not_keep_the_messages_of_others(pubsub: PubSubServer):
    create_topics(PROJECT, {"raw-facebook": TOPICS["raw-facebook"]})
    publish([text_message(n) for n in range(10)])
    pulling = Pull(tuple(SUBSCRIPTIONS))
    wait_for("all messages", lambda: len(pulling._arrived) == 10, SOON)
    wait_for("the end of what is gone", lambda: pulling.failure() is not None, SOON)
    # Whoever starts it again and again would otherwise use up the attempts of their dead-letter policy.
    assert len(pulling.take()) == 10
    with pytest.raises(NotFound, match="parley-twilio"):
        pulling.take()
    pulling.acknowledge(pulling.batch)

    pulling.close()

    assert backlog(SUBSCRIPTIONS[:1]) == 0


def test_what_was_pulled_and_not_taken_is_given_back_at_once(pubsub: PubSubServer, monkeypatch):
    monkeypatch.setattr(pull, "LARGEST_BATCH", 100)
    monkeypatch.setattr(read_pubsub, "_LONGEST_RUN_BATCHES", 1)
    create_topics(PROJECT, TOPICS)
    events = [text_message(n) for n in range(1_000)]
    publish(events)
    run().wait_until_finish()
    ((_, pulling),) = read_pubsub._pulls.items()
    told: list[str] = []
    modify = pulling._client.modify_ack_deadline

    def modifying(*, ack_ids: list[str], ack_deadline_seconds: int, **more: Any) -> None:
        assert ack_deadline_seconds == 0
        told.extend(ack_ids)
        modify(ack_ids=ack_ids, ack_deadline_seconds=0, **more)

    monkeypatch.setattr(pulling._client, "modify_ack_deadline", modifying)

    read_pubsub.stop_pulling()

    # Without a word they would come again as well, but only after their deadline.
    assert told
    taken, given_back = len(stored), 0
    until = time.monotonic() + SOON
    while taken + given_back < len(events) and time.monotonic() < until:
        given_back += backlog()
    assert 0 < taken <= 100
    assert taken + given_back == len(events)


@pytest.mark.parametrize("deaths", [1, 2])
def test_messages_on_which_a_process_died_are_taken_by_themselves_and_then_alone(
    deaths: int, pubsub: PubSubServer, tmp_path
):
    create_topics(PROJECT, TOPICS)
    publish([text_message(n) for n in range(20)])
    names = tuple(SUBSCRIPTIONS)
    first = Pull(names, tmp_path)
    wait_for("all messages", lambda: len(first._arrived) == 20, SOON)
    died_on = [each.message.message_id for each in list(first._arrived)[:2]]
    # As a process leaves them that dies, with all it has pulled.
    for death in range(deaths):
        (tmp_path / f"{death}.hand").write_text(json.dumps(died_on))
    first.close()

    pulling = Pull(names, tmp_path)
    taken: list[list[str]] = []
    until = time.monotonic() + SOON
    while sum(map(len, taken)) < 20 and time.monotonic() < until:
        if messages := pulling.take():
            taken.append([each.message.message_id for each in messages])
            pulling.acknowledge(pulling.batch)
    pulling.close()

    assert sum(map(len, taken)) == 20
    suspects = sorted(sorted(each) for each in taken if set(each) & set(died_on))
    assert suspects == ([sorted(died_on)] if deaths == 1 else [[each] for each in sorted(died_on)])
    assert json.loads((tmp_path / "suspects.json").read_text()) == {}


def test_a_batch_ends_at_so_many_bytes(pubsub: PubSubServer, monkeypatch):
    monkeypatch.setattr(pull, "LARGEST_BATCH_BYTES", 3 * len(text_message(0).data))
    create_topics(PROJECT, TOPICS)
    publish([text_message(n) for n in range(10)])
    pulling = Pull(tuple(SUBSCRIPTIONS))
    wait_for("all messages", lambda: len(pulling._arrived) == 10, SOON)

    assert len(pulling.take()) == 3
    pulling.close()


def test_what_streams_bring_that_were_opened_again_waits_while_too_many_bytes_are_held(
    pubsub: PubSubServer, monkeypatch
):
    monkeypatch.setattr(pull, "_BUFFERED_BYTES", 1_000)
    create_topics(PROJECT, TOPICS)
    pulling = Pull(tuple(SUBSCRIPTIONS))

    def answers() -> None:
        # Each of a stream that knows nothing of what the one before has delivered.
        for n in range(20):
            pulling._arrive([Pulled(SUBSCRIPTIONS[0], f"{n}-1", types.PubsubMessage(data=bytes(500)))])

    arriving = threading.Thread(target=answers)
    arriving.start()
    wait_for("no more room", lambda: pulling._changed._waiters or not arriving.is_alive(), SOON)
    held = len(pulling._arrived)
    taken = sum(len(pulling.take()) for _ in range(20) if arriving.is_alive() or pulling._arrived)
    arriving.join(SOON)
    pulling.close()

    assert held == 2
    assert taken == 20


def source_of_a_cluster() -> read_pubsub._Subscriptions:
    source, _ = read_pubsub._Subscriptions(tuple(SUBSCRIPTIONS), None, readers=2).split(20)
    return source


def texts(reader: read_pubsub._Reader, count: int) -> list[str]:
    """Return the ids of events that a reader hands out until they are so many."""
    found: list[str] = []
    until = time.monotonic() + SOON
    while len(found) < count and time.monotonic() < until:
        if reader.advance():
            found += [event.event_id for event in reader.get_current().events]
    return found


def test_readers_of_a_cluster_pull_each_for_itself(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    source = read_pubsub._Subscriptions(tuple(SUBSCRIPTIONS), None, readers=2)
    readers = [each.create_reader(None, None) for each in source.split(20)]

    assert len({reader.get_checkpoint_mark().pull for reader in readers}) == 2
    assert len(list(read_pubsub._Subscriptions(tuple(SUBSCRIPTIONS), None).split(20))) == 1
    for reader in readers:
        reader.close()
    assert not read_pubsub._pulls


def test_a_reader_of_a_cluster_goes_on_behind_what_is_kept(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    source = source_of_a_cluster()
    publish([text_message(1)])
    first = source.create_reader(None, None)
    assert len(texts(first, 1)) == 1
    publish([text_message(2)])

    second = source.create_reader(None, first.get_checkpoint_mark())
    # A runner may keep the first one, and close it later.
    first.close()

    assert texts(second, 1) == [text_message(2).event_id]
    second.get_checkpoint_mark().finalize_checkpoint()
    second.close()
    assert backlog() == 0


def test_what_a_cluster_has_lost_is_read_again(pubsub: PubSubServer):
    create_topics(PROJECT, TOPICS)
    source = source_of_a_cluster()
    publish([text_message(1)])
    reader = source.create_reader(None, None)
    texts(reader, 1)
    kept = reader.get_checkpoint_mark()
    publish([text_message(2)])
    texts(reader, 1)
    lost = reader.get_checkpoint_mark()
    kept.finalize_checkpoint()

    restored = source.create_reader(None, kept)
    # Too late: what the mark names is being read again.
    lost.finalize_checkpoint()

    assert texts(restored, 1) == [text_message(2).event_id]
    restored.close()


def test_a_reader_of_a_cluster_does_not_end(pubsub: PubSubServer, monkeypatch):
    monkeypatch.setattr(read_pubsub, "_LONGEST_RUN_BATCHES", 0)
    create_topics(PROJECT, TOPICS)
    publish([text_message(1)])
    reader = source_of_a_cluster().create_reader(None, None)

    assert len(texts(reader, 1)) == 1
    reader.close()
