"""The local Pub/Sub, seen through the official clients."""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import FlowControl
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import PublisherClient as GroupPublisher
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage

from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics

PROJECT = "projects/parley-test"
TOPIC = f"{PROJECT}/topics/raw-facebook"
SUBSCRIPTION = f"{PROJECT}/subscriptions/parley-facebook"


@pytest.fixture
def publisher(pubsub: PubSubServer) -> Iterator[PublisherClient]:
    client = PublisherClient()
    with closing(client.transport):
        yield client


@pytest.fixture
def subscriber(pubsub: PubSubServer) -> Iterator[SubscriberClient]:
    with SubscriberClient() as client:
        yield client


@pytest.fixture
def topic(pubsub: PubSubServer) -> str:
    create_topics("parley-test", {"raw-facebook": "parley-facebook"})
    return TOPIC


def publish(client: PublisherClient, *data: bytes, topic: str = TOPIC) -> list[str]:
    """Publish as one call, without the client's retries: what a test asks happens once."""
    messages = [PubsubMessage(data=each, attributes={"source": "facebook"}) for each in data]
    return publish_messages(client, messages, topic=topic)


def publish_messages(client: PublisherClient, messages: list[PubsubMessage], topic: str = TOPIC) -> list[str]:
    response = GroupPublisher.publish(client, topic=topic, messages=messages, retry=None, timeout=20)
    return list(response.message_ids)


def pull(client: SubscriberClient, count: int = 1, subscription: str = SUBSCRIPTION) -> list[ReceivedMessage]:
    """Pull until there are `count` messages."""
    received: list[ReceivedMessage] = []
    deadline = time.monotonic() + 20
    while len(received) < count and time.monotonic() < deadline:
        response = client.pull(subscription=subscription, max_messages=count - len(received))
        received += response.received_messages
    assert len(received) == count
    return received


def nothing_left(client: SubscriberClient, subscription: str = SUBSCRIPTION) -> bool:
    response = client.pull(subscription=subscription, max_messages=1)
    return not response.received_messages


def acknowledge(client: SubscriberClient, *received: ReceivedMessage) -> None:
    client.acknowledge(subscription=SUBSCRIPTION, ack_ids=[each.ack_id for each in received])


def give_back(client: SubscriberClient, *received: ReceivedMessage, after: int = 0) -> None:
    client.modify_ack_deadline(
        subscription=SUBSCRIPTION,
        ack_ids=[each.ack_id for each in received],
        ack_deadline_seconds=after,
    )


# Topics and subscriptions


def test_a_topic_can_be_made_read_listed_and_deleted(publisher):
    publisher.create_topic(request={"name": TOPIC, "labels": {"source": "facebook"}})
    assert publisher.get_topic(topic=TOPIC).labels == {"source": "facebook"}
    assert [each.name for each in publisher.list_topics(project=PROJECT)] == [TOPIC]
    publisher.delete_topic(topic=TOPIC)
    assert not list(publisher.list_topics(project=PROJECT))
    with pytest.raises(exceptions.NotFound):
        publisher.get_topic(topic=TOPIC)


def test_what_exists_already_is_refused(publisher, subscriber, topic):
    with pytest.raises(exceptions.AlreadyExists):
        publisher.create_topic(name=topic)
    with pytest.raises(exceptions.AlreadyExists):
        subscriber.create_subscription(name=SUBSCRIPTION, topic=topic)


def test_what_does_not_exist_is_not_found(publisher, subscriber, topic):
    missing = f"{PROJECT}/subscriptions/missing"
    calls: list[Callable[[], object]] = [
        lambda: publish(publisher, b"x", topic=f"{PROJECT}/topics/missing"),
        lambda: publisher.delete_topic(topic=f"{PROJECT}/topics/missing"),
        lambda: subscriber.create_subscription(name=missing, topic=f"{PROJECT}/topics/missing"),
        lambda: subscriber.get_subscription(subscription=missing),
        lambda: subscriber.delete_subscription(subscription=missing),
        lambda: subscriber.pull(subscription=missing, max_messages=1),
        lambda: subscriber.acknowledge(subscription=missing, ack_ids=["1-1"]),
        lambda: subscriber.subscribe(missing, lambda _: None).result(timeout=20),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            call()


@pytest.mark.parametrize(
    "name",
    [
        "projects/short/topics/raw-facebook",
        "projects/Capital/topics/raw-facebook",
        "projects/parley-test/topics/ab",
        "projects/parley-test/topics/1abc",
        "projects/parley-test/topics/google-topic",
        "projects/parley-test/topics/a b c",
        "projects/parley-test/subscriptions/raw-facebook",
        "raw-facebook",
    ],
)
def test_bad_topic_names_are_refused(publisher, name):
    with pytest.raises(exceptions.InvalidArgument):
        publisher.create_topic(name=name)


def test_a_subscription_has_pubsubs_defaults(subscriber, topic):
    subscription = subscriber.get_subscription(subscription=SUBSCRIPTION)
    assert subscription.topic == topic
    assert subscription.ack_deadline_seconds == 10
    assert subscription.state == subscription.State.ACTIVE


def test_a_feature_that_is_not_there_is_refused_rather_than_ignored(subscriber, topic):
    with pytest.raises(exceptions.MethodNotImplemented, match="filter"):
        subscriber.create_subscription(
            request={"name": f"{PROJECT}/subscriptions/some", "topic": topic, "filter": "a"}
        )


def test_only_the_named_fields_of_a_subscription_are_updated(subscriber, topic):
    update = {"name": SUBSCRIPTION, "ack_deadline_seconds": 60, "labels": {"a": "b"}}
    subscriber.update_subscription(subscription=update, update_mask=FieldMask(paths=["ack_deadline_seconds"]))
    subscription = subscriber.get_subscription(subscription=SUBSCRIPTION)
    assert subscription.ack_deadline_seconds == 60
    assert not subscription.labels
    for paths in ([], ["topic"]):
        with pytest.raises(exceptions.InvalidArgument):
            subscriber.update_subscription(subscription=update, update_mask=FieldMask(paths=paths))


def test_a_topics_labels_are_updated(publisher, topic):
    publisher.update_topic(
        topic={"name": topic, "labels": {"a": "b"}}, update_mask=FieldMask(paths=["labels"])
    )
    assert publisher.get_topic(topic=topic).labels == {"a": "b"}


def test_lists_come_in_pages_and_by_project(publisher, subscriber, topic):
    names = [f"{PROJECT}/subscriptions/paged-{n}" for n in range(5)]
    for name in names:
        subscriber.create_subscription(name=name, topic=topic)
    request = {"project": PROJECT, "page_size": 2}
    pages = list(subscriber.list_subscriptions(request=request).pages)
    assert [len(page.subscriptions) for page in pages] == [2, 2, 2]
    listed = list(publisher.list_topic_subscriptions(request={"topic": topic, "page_size": 2}))
    assert listed == sorted([*names, SUBSCRIPTION])
    assert not list(subscriber.list_subscriptions(project="projects/another-one"))


def test_a_deleted_topics_subscription_keeps_what_it_has(publisher, subscriber, topic):
    publish(publisher, b"kept")
    publisher.delete_topic(topic=topic)
    publisher.create_topic(name=topic)
    publish(publisher, b"not for the old subscription")
    assert subscriber.get_subscription(subscription=SUBSCRIPTION).topic == "_deleted-topic_"
    assert [each.message.data for each in pull(subscriber)] == [b"kept"]
    assert nothing_left(subscriber)


def test_create_topics_can_be_repeated(publisher, topic):
    create_topics("parley-test", {"raw-facebook": "parley-facebook", "raw-twilio": "parley-twilio"})
    assert len(list(publisher.list_topics(project=PROJECT))) == 2


# Publishing


def test_a_message_arrives_as_published(publisher, subscriber, topic):
    data = bytes(range(256))
    attributes = {"source": "facebook", "header.x-hub": "ü"}
    before = time.time()
    id_ = publisher.publish(topic, data, **attributes).result(timeout=20)
    (received,) = pull(subscriber)
    assert received.message.data == data
    assert received.message.attributes == attributes
    assert received.message.message_id == id_
    assert before - 1 <= received.message.publish_time.timestamp() <= time.time() + 1


def test_ids_are_unique_and_increase(publisher, subscriber, topic):
    subscriber.create_subscription(name=f"{PROJECT}/subscriptions/second", topic=topic)
    ids = [int(id_) for _ in range(3) for id_ in publish(publisher, *[b"x"] * 10)]
    assert ids == sorted(set(ids))


def test_each_subscription_receives_every_message(publisher, subscriber, topic):
    second = f"{PROJECT}/subscriptions/second"
    subscriber.create_subscription(name=second, topic=topic)
    publish(publisher, b"1", b"2")
    acknowledge(subscriber, *pull(subscriber, 2))
    assert [each.message.data for each in pull(subscriber, 2, second)] == [b"1", b"2"]
    assert nothing_left(subscriber)


def test_what_is_published_before_a_subscription_is_not_for_it(publisher, subscriber, topic):
    publish(publisher, b"early")
    late = f"{PROJECT}/subscriptions/late"
    subscriber.create_subscription(name=late, topic=topic)
    publish(publisher, b"late")
    assert [each.message.data for each in pull(subscriber, 1, late)] == [b"late"]


MESSAGE = {"data": b"x"}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{}],
        [MESSAGE] * 1001,
        [{"data": b"x" * 10_000_001}],
        [{"data": b"x" * 6_000_000}] * 2,
        [{"attributes": {str(n): "" for n in range(101)}}],
        [{"attributes": {"k" * 257: ""}}],
        [{"attributes": {"": "v"}}],
        [{"attributes": {"key": "ü" * 513}}],
        [{"attributes": {"googclient": "v"}}],
        [MESSAGE, {}],
    ],
    ids=[
        "none",
        "empty",
        "too many",
        "too large",
        "together too large",
        "too many attributes",
        "long key",
        "empty key",
        "long value",
        "reserved key",
        "one bad among good",
    ],
)
def test_a_publish_over_a_limit_is_refused_as_a_whole(publisher, subscriber, topic, messages):
    with pytest.raises(exceptions.InvalidArgument):
        publish_messages(publisher, [PubsubMessage(each) for each in messages])
    assert nothing_left(subscriber)


def test_a_publish_at_the_limits_is_taken(pubsub, publisher, topic):
    attributes = {f"{n:0256}": "v" * 1024 for n in range(100)}
    publish_messages(publisher, [PubsubMessage(data=b"x" * 9_000_000, attributes=attributes)])
    publish(publisher, *[b"x"] * 1000)
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(pubsub.address, options=unlimited) as channel:
        client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        received = pull(client, 1001)
    assert len(received[0].message.data) == 9_000_000
    assert received[0].message.attributes == attributes


def test_large_messages_come_in_answers_that_the_client_can_take(publisher, subscriber, topic):
    for _ in range(4):
        publish(publisher, b"x" * 1_500_000)
    assert {len(each.message.data) for each in pull(subscriber, 4)} == {1_500_000}


def test_no_more_is_kept_than_allowed(monkeypatch):
    with PubSubServer(max_bytes=10_000) as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        create_topics("parley-test", {"raw-facebook": "parley-facebook"})
        with closing((publisher := PublisherClient()).transport), SubscriberClient() as subscriber:
            publish(publisher, b"x" * 8_000)
            with pytest.raises(exceptions.ResourceExhausted):
                publish(publisher, b"x" * 8_000)
            acknowledge(subscriber, *pull(subscriber))
            publish(publisher, b"x" * 8_000)
            subscriber.delete_subscription(subscription=SUBSCRIPTION)
            create_topics("parley-test", {"raw-facebook": "parley-facebook"})
            publish(publisher, b"x" * 8_000)


# Pulling and acknowledging


def test_an_acknowledged_message_is_gone(pubsub, publisher, subscriber, topic):
    publish(publisher, b"1", b"2")
    first, second = pull(subscriber, 2)
    acknowledge(subscriber, first)
    give_back(subscriber, first, second)
    assert [each.message.data for each in pull(subscriber)] == [b"2"]
    assert len(pubsub.broker.resources.backlog(SUBSCRIPTION)) == 1


def test_a_message_given_back_comes_again_at_once(publisher, subscriber, topic):
    publish(publisher, b"x")
    (first,) = pull(subscriber)
    assert nothing_left(subscriber)
    give_back(subscriber, first)
    (second,) = pull(subscriber)
    assert second.message == first.message
    assert second.ack_id != first.ack_id


def test_a_message_comes_again_after_its_ack_deadline(publisher, subscriber, topic):
    publish(publisher, b"x")
    (first,) = pull(subscriber)
    give_back(subscriber, first, after=1)
    assert nothing_left(subscriber)
    (second,) = pull(subscriber)
    assert second.message == first.message


def test_a_late_acknowledgement_counts(publisher, subscriber, topic):
    publish(publisher, b"x")
    (first,) = pull(subscriber)
    give_back(subscriber, first)
    acknowledge(subscriber, first)
    assert nothing_left(subscriber)


def test_an_old_ack_id_cannot_give_back_a_newer_delivery(publisher, subscriber, topic):
    publish(publisher, b"x")
    (first,) = pull(subscriber)
    give_back(subscriber, first)
    pull(subscriber)
    give_back(subscriber, first)
    assert nothing_left(subscriber)


def test_malformed_requests_are_refused(subscriber, topic):
    calls: list[Callable[[], object]] = [
        lambda: subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=["nonsense"]),
        lambda: subscriber.pull(subscription=SUBSCRIPTION, max_messages=0),
        lambda: subscriber.modify_ack_deadline(
            subscription=SUBSCRIPTION, ack_ids=["1-1"], ack_deadline_seconds=601
        ),
        lambda: subscriber.create_subscription(
            request={
                "name": f"{PROJECT}/subscriptions/some",
                "topic": topic,
                "ack_deadline_seconds": 9,
            }
        ),
    ]
    for call in calls:
        with pytest.raises(exceptions.InvalidArgument):
            call()


def test_a_pull_that_finds_nothing_answers_before_the_client_gives_up(subscriber, topic):
    assert not subscriber.pull(subscription=SUBSCRIPTION, max_messages=1, timeout=20)


# Streaming


@contextmanager
def subscribed(
    client: SubscriberClient, callback: Callable[[Message], None], subscription: str = SUBSCRIPTION
) -> Iterator[None]:
    future = client.subscribe(subscription, callback)
    try:
        yield
    finally:
        future.cancel()
        future.result(timeout=20)


def test_the_official_subscriber_receives_and_acknowledges(pubsub, publisher, subscriber, topic):
    received: queue.Queue[bytes] = queue.Queue()

    def take(message: Message) -> None:
        received.put(message.data)
        message.ack_with_response().result(timeout=20)

    with subscribed(subscriber, take):
        expected = {str(n).encode() for n in range(300)}
        for start in range(0, 300, 100):
            publish(publisher, *[str(n).encode() for n in range(start, start + 100)])
        assert {received.get(timeout=20) for _ in expected} == expected
        backlog = pubsub.broker.resources.backlog(SUBSCRIPTION)
        with backlog.changed:
            assert backlog.changed.wait_for(lambda: not len(backlog), timeout=20)
    assert received.empty()


def test_the_official_subscriber_gives_back(publisher, subscriber, topic):
    received: queue.Queue[str] = queue.Queue()
    given_back: list[str] = []

    def take(message: Message) -> None:
        if not given_back:
            given_back.append(message.message_id)
            message.nack()
        else:
            message.ack()
            received.put(message.message_id)

    with subscribed(subscriber, take):
        publish(publisher, b"x")
        assert received.get(timeout=20) == given_back[0]


def test_a_stream_holds_no_more_than_its_client_asked_for(pubsub, publisher, subscriber, topic):
    publish(publisher, *[b"x"] * 5)
    held: queue.Queue[Message] = queue.Queue()
    backlog = pubsub.broker.resources.backlog(SUBSCRIPTION)
    flow = FlowControl(max_messages=2)
    future = subscriber.subscribe(SUBSCRIPTION, held.put, flow_control=flow)
    try:
        for left in range(5, 0, -1):
            message = held.get(timeout=20)
            assert backlog.leased <= 2
            message.ack()
            with backlog.changed:
                assert backlog.changed.wait_for(lambda left=left: len(backlog) < left, timeout=20)
    finally:
        future.cancel()
        future.result(timeout=20)


def test_several_subscribers_share_the_messages(publisher, subscriber, topic):
    received: queue.Queue[bytes] = queue.Queue()

    def take(message: Message) -> None:
        received.put(message.data)
        message.ack()

    with SubscriberClient() as other, subscribed(subscriber, take), subscribed(other, take):
        expected = [str(n).encode() for n in range(200)]
        for each in expected:
            publish(publisher, each)
        assert sorted(received.get(timeout=20) for _ in expected) == sorted(expected)
    assert received.empty()
