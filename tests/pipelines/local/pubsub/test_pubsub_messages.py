import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics

SECOND = "projects/parley-test/subscriptions/second"


def test_a_message_arrives_as_published(client):
    data = bytes(range(256))
    attributes = {"source": "facebook", "header.x-hub": "ü"}
    before = time.time()
    id_ = client.publisher.publish(client.topic, data, **attributes).result(timeout=20)
    (received,) = client.pull()
    assert received.message.data == data
    assert received.message.attributes == attributes
    assert received.message.message_id == id_
    assert before - 1 <= received.message.publish_time.timestamp() <= time.time() + 1


def test_ids_are_unique_and_increase(client):
    client.subscriber.create_subscription(name=SECOND, topic=client.topic)
    ids = [int(id_) for _ in range(3) for id_ in client.publish(*[b"x"] * 10)]
    assert ids == sorted(set(ids))
    assert [int(each.message.message_id) for each in client.pull(30)] == ids


def test_each_subscription_receives_every_message(client):
    client.subscriber.create_subscription(name=SECOND, topic=client.topic)
    client.publish(b"1", b"2")
    client.acknowledge(*client.pull(2))
    assert client.pull_data(2, SECOND) == [b"1", b"2"]
    assert client.finds_nothing()


def test_what_is_published_before_a_subscription_is_not_for_it(client):
    client.publish(b"early")
    client.subscriber.create_subscription(name=SECOND, topic=client.topic)
    client.publish(b"late")
    assert client.pull_data(1, SECOND) == [b"late"]


MESSAGE = {"data": b"x"}


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([], id="none"),
        pytest.param([{}], id="empty"),
        pytest.param([MESSAGE] * 1001, id="too many"),
        pytest.param([{"data": b"x" * 10_000_001}], id="too large"),
        pytest.param([{"data": b"x" * 6_000_000}] * 2, id="together too large"),
        pytest.param([{"attributes": {str(n): "" for n in range(101)}}], id="too many attributes"),
        pytest.param([{"attributes": {"k" * 257: ""}}], id="long key"),
        pytest.param([{"attributes": {"": "v"}}], id="empty key"),
        pytest.param([{"attributes": {"key": "ü" * 513}}], id="long value"),
        pytest.param([{"attributes": {"googclient": "v"}}], id="reserved key"),
        pytest.param([MESSAGE, {}], id="one bad among good"),
    ],
)
def test_a_publish_over_a_limit_is_refused_as_a_whole(client, messages):
    with pytest.raises(exceptions.InvalidArgument):
        client.publish_messages(messages)
    assert client.finds_nothing()


def test_a_publish_at_the_limits_is_taken(pubsub, client):
    attributes = {f"{n:0256}": "v" * 1024 for n in range(100)}
    client.publish_messages([{"data": b"x" * 9_000_000, "attributes": attributes}])
    client.publish(*[b"x"] * 1000)
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(pubsub.address, options=unlimited) as channel:
        client.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        received = client.pull(1001)
    assert len(received[0].message.data) == 9_000_000
    assert received[0].message.attributes == attributes


def test_large_messages_come_in_answers_that_the_client_can_take(client):
    for _ in range(4):
        client.publish(b"x" * 1_500_000)
    assert {len(data) for data in client.pull_data(4)} == {1_500_000}


def test_no_more_is_kept_than_allowed(connect):
    with PubSubServer(max_bytes=10_000) as server:
        client = connect(server.address)
        client.publish(b"x" * 8_000)
        with pytest.raises(exceptions.ResourceExhausted):
            client.publish(b"x" * 8_000)
        client.acknowledge(*client.pull())
        client.publish(b"y" * 8_000)
        client.subscriber.delete_subscription(subscription=client.subscription)
        create_topics("parley-test", {"raw-facebook": "parley-facebook"})
        client.publish(b"z" * 8_000)
        assert client.pull_data() == [b"z" * 8_000]


def test_an_acknowledged_message_is_gone(pubsub, client):
    client.publish(b"1", b"2")
    first, second = client.pull(2)
    client.acknowledge(first)
    client.give_back(first, second)
    assert client.pull_data() == [b"2"]
    assert len(pubsub.broker.resources.backlog(client.subscription)) == 1


def test_a_message_given_back_comes_again_at_once(client):
    client.publish(b"x")
    (first,) = client.pull()
    assert client.finds_nothing()
    client.give_back(first)
    (second,) = client.pull()
    assert second.message == first.message
    assert second.ack_id != first.ack_id


def test_a_message_comes_again_after_its_ack_deadline(client):
    client.publish(b"x")
    (first,) = client.pull()
    client.extend(first, seconds=1)
    assert client.finds_nothing()
    (second,) = client.pull()
    assert second.message == first.message


def test_an_extended_message_does_not_come_again_at_its_first_deadline(client):
    client.publish(b"kept longer", b"expires")
    kept, expires = client.pull(2)
    client.extend(kept, expires, seconds=1)
    client.extend(kept, seconds=60)
    assert client.pull_data() == [b"expires"]
    assert client.finds_nothing()


def test_a_late_acknowledgement_counts(client):
    client.publish(b"x")
    (first,) = client.pull()
    client.give_back(first)
    client.acknowledge(first)
    assert client.finds_nothing()


def test_an_old_ack_id_cannot_give_back_a_newer_delivery(client):
    client.publish(b"x")
    (first,) = client.pull()
    client.give_back(first)
    client.pull()
    client.give_back(first)
    assert client.finds_nothing()


def test_malformed_requests_are_refused(client):
    with pytest.raises(exceptions.InvalidArgument, match="ack_id=nonsense"):
        client.subscriber.acknowledge(subscription=client.subscription, ack_ids=["nonsense"])
    with pytest.raises(exceptions.InvalidArgument):
        client.subscriber.pull(subscription=client.subscription, max_messages=0)
    client.publish(b"x")
    with pytest.raises(exceptions.InvalidArgument):
        client.extend(*client.pull(), seconds=601)


def test_a_waiting_pull_takes_what_is_published(client, monkeypatch):
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 60)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.pull_data)
        client.publish(b"x")
        assert waiting.result(timeout=20) == [b"x"]


@pytest.fixture
def idle(client) -> str:
    create_topics("parley-test", {"raw-twilio": "parley-twilio"})
    return "projects/parley-test/subscriptions/parley-twilio"


def test_a_waiting_pull_gives_way_to_a_busy_subscription_read_in_turn(client, idle, monkeypatch):
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 60)
    monkeypatch.setattr("pipelines.local.pubsub.services._IN_TURN", 60)
    client.publish(b"1", b"2")
    client.pull(1)
    assert not client.subscriber.pull(subscription=idle, max_messages=1, timeout=20)
    assert client.pull_data(1) == [b"2"]


def test_a_pull_does_not_wait_after_another_brought_messages(client, idle, monkeypatch):
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 0)
    client.subscriber.pull(subscription=idle, max_messages=1)
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 60)
    client.publish(b"x")
    client.pull()
    assert not client.subscriber.pull(subscription=idle, max_messages=1, timeout=20)
    with pytest.raises(exceptions.DeadlineExceeded):
        client.subscriber.pull(subscription=idle, max_messages=1, retry=None, timeout=0.2)


def test_a_waiting_pull_does_not_give_way_to_a_subscription_that_nobody_reads(client, idle, monkeypatch):
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 0.2)
    client.publish(b"x")
    before = time.monotonic()
    assert not client.subscriber.pull(subscription=idle, max_messages=1)
    assert time.monotonic() - before >= 0.2


def test_a_pull_that_its_client_gave_up_takes_nothing(client, monkeypatch):
    monkeypatch.setattr("pipelines.local.pubsub.services.PULL_WAIT", 60)
    with pytest.raises(exceptions.DeadlineExceeded):
        client.subscriber.pull(subscription=client.subscription, max_messages=1, retry=None, timeout=0.2)
    client.publish(b"x")
    assert client.pull_data() == [b"x"]


def test_concurrent_publishers_and_readers_lose_and_double_nothing(client):
    expected = {f"{thread}-{n}".encode() for thread in range(4) for n in range(250)}
    received: list[bytes] = []
    lock = threading.Lock()

    def publish(thread: int) -> None:
        for start in range(0, 250, 10):
            client.publish(*[f"{thread}-{n}".encode() for n in range(start, start + 10)])

    def read() -> None:
        while True:
            with lock:
                if len(received) >= len(expected):
                    return
            response = client.subscriber.pull(subscription=client.subscription, max_messages=7)
            with lock:
                received.extend(each.message.data for each in response.received_messages)
            if response.received_messages:
                client.acknowledge(*response.received_messages)

    with ThreadPoolExecutor(7) as threads:
        work = [threads.submit(publish, n) for n in range(4)] + [threads.submit(read) for _ in range(3)]
        for each in work:
            each.result(timeout=60)
    assert sorted(received) == sorted(expected)
    assert client.finds_nothing()
