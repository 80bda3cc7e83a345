import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import FlowControl
from google.pubsub_v1.types import StreamingPullRequest, StreamingPullResponse


@contextmanager
def subscribed(client, callback: Callable[[Message], None], **options) -> Iterator[None]:
    future = client.subscriber.subscribe(client.subscription, callback, **options)
    try:
        yield
    finally:
        future.cancel()
        future.result(timeout=20)


def wait_until(backlog, condition: Callable[[], bool]) -> None:
    with backlog.changed:
        assert backlog.changed.wait_for(condition, timeout=20)


@pytest.fixture
def backlog(pubsub, client):
    return pubsub.broker.resources.backlog(client.subscription)


def test_the_official_subscriber_receives_and_acknowledges(client, backlog):
    received: queue.Queue[bytes] = queue.Queue()

    def take(message: Message) -> None:
        received.put(message.data)
        message.ack()

    expected = [str(n).encode() for n in range(300)]
    client.publish(*expected[:100])
    with subscribed(client, take):
        client.publish(*expected[100:200])
        client.publish(*expected[200:])
        assert sorted(received.get(timeout=20) for _ in expected) == sorted(expected)
        wait_until(backlog, lambda: not len(backlog))
    assert received.empty()


def test_what_the_official_subscriber_gives_back_comes_again(client):
    received: queue.Queue[str] = queue.Queue()
    given_back: list[str] = []

    def take(message: Message) -> None:
        if given_back:
            message.ack()
            received.put(message.message_id)
        else:
            given_back.append(message.message_id)
            message.nack()

    with subscribed(client, take):
        ids = client.publish(b"x")
        assert [received.get(timeout=20)] == given_back == ids


def test_a_stream_holds_no_more_than_its_client_asked_for(client, backlog):
    client.publish(*[b"x"] * 5)
    held: queue.Queue[Message] = queue.Queue()
    with subscribed(client, held.put, flow_control=FlowControl(max_messages=2)):
        for left in range(5, 0, -1):
            message = held.get(timeout=20)
            with backlog.changed:
                assert backlog.leased <= 2
            message.ack()
            wait_until(backlog, lambda left=left: len(backlog) < left)


def test_several_subscribers_share_the_messages(client):
    received: queue.Queue[bytes] = queue.Queue()

    def take(message: Message) -> None:
        received.put(message.data)
        message.ack()

    with subscribed(client, take), subscribed(client, take):
        expected = [str(n).encode() for n in range(200)]
        for each in expected:
            client.publish(each)
        assert sorted(received.get(timeout=20) for _ in expected) == sorted(expected)
    assert received.empty()


def test_a_stream_ends_when_its_subscription_is_deleted(client):
    received: queue.Queue[Message] = queue.Queue()
    future = client.subscriber.subscribe(client.subscription, received.put)
    client.publish(b"x")
    received.get(timeout=20)
    client.subscriber.delete_subscription(subscription=client.subscription)
    with pytest.raises(exceptions.NotFound):
        future.result(timeout=20)


class Stream:
    """A stream by hand, for what the official subscriber does by other calls or never."""

    def __init__(self, channel: grpc.Channel, **first) -> None:
        self.requests: queue.Queue[StreamingPullRequest | None] = queue.Queue()
        self.send(**first)
        self.responses = channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            StreamingPullRequest.serialize,
            StreamingPullResponse.deserialize,
        )(iter(self.requests.get, None), timeout=20)

    def send(self, **fields) -> None:
        self.requests.put(StreamingPullRequest(**fields))

    def receive(self) -> list:
        return list(next(self.responses).received_messages)


@pytest.fixture
def channel(pubsub) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(pubsub.address) as channel:
        yield channel


@pytest.fixture
def stream(client, channel) -> Stream:
    return Stream(channel, subscription=client.subscription, stream_ack_deadline_seconds=60)


def test_a_stream_can_acknowledge_and_give_back(client, backlog, stream):
    client.publish(b"1", b"2")
    first, second = stream.receive()
    stream.send(
        ack_ids=[first.ack_id],
        modify_deadline_ack_ids=[second.ack_id],
        modify_deadline_seconds=[0],
    )
    (again,) = stream.receive()
    assert again.message == second.message
    assert len(backlog) == 1


def test_a_stream_that_never_says_anything_ends_well(channel):
    call = channel.stream_stream("/google.pubsub.v1.Subscriber/StreamingPull")(iter([]), timeout=20)
    assert list(call) == []


def test_a_stream_whose_client_closes_ends_well(stream):
    stream.requests.put(None)
    assert list(stream.responses) == []
    assert stream.responses.code() == grpc.StatusCode.OK


@pytest.mark.parametrize(
    "wrong",
    [
        {"ack_ids": ["nonsense"]},
        {"subscription": "projects/parley-test/subscriptions/parley-facebook"},
        {"modify_deadline_ack_ids": ["1-1"]},
        {"stream_ack_deadline_seconds": 9},
    ],
)
def test_a_wrong_request_ends_the_stream(stream, wrong):
    stream.send(**wrong)
    with pytest.raises(grpc.RpcError) as error:
        next(stream.responses)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_without_an_ack_deadline_is_refused(client, channel):
    stream = Stream(channel, subscription=client.subscription)
    with pytest.raises(grpc.RpcError) as error:
        next(stream.responses)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_that_is_gone_takes_nothing_more(client, stream):
    client.publish(b"1")
    stream.receive()
    stream.responses.cancel()
    for thread in threading.enumerate():
        if thread.name == "pubsub-stream":
            thread.join(20)
    client.publish(b"2")
    assert client.pull_data() == [b"2"]


def test_a_waiting_stream_meets_a_new_fault(pubsub, client, stream):
    client.publish(b"x")
    stream.receive()
    pubsub.faults.set("StreamingPull", code=grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(grpc.RpcError) as error:
        next(stream.responses)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
