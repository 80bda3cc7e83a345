"""The official clients with one topic and one subscription."""

import time

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1 import PublisherClient as GroupPublisher
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage

from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics

PROJECT = "projects/parley-test"


class Client:
    """Publishes to and pulls from one topic with one subscription, each call once."""

    topic = f"{PROJECT}/topics/raw-facebook"
    subscription = f"{PROJECT}/subscriptions/parley-facebook"

    def __init__(self, publisher: PublisherClient, subscriber: SubscriberClient) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        create_topics("parley-test", {"raw-facebook": "parley-facebook"})

    def publish(self, *data: bytes) -> list[str]:
        return self.publish_messages([{"data": each} for each in data])

    def publish_messages(self, messages: list[dict], timeout: float = 20) -> list[str]:
        """Publish as one call and without the retries that the client is configured with."""
        response = GroupPublisher.publish(
            self.publisher,
            topic=self.topic,
            messages=[PubsubMessage(each) for each in messages],
            retry=None,
            timeout=timeout,
        )
        return list(response.message_ids)

    def pull(self, count: int = 1, subscription: str | None = None) -> list[ReceivedMessage]:
        """Pull until there are `count` messages."""
        received: list[ReceivedMessage] = []
        deadline = time.monotonic() + 20
        while len(received) < count and time.monotonic() < deadline:
            received += self.subscriber.pull(
                subscription=subscription or self.subscription, max_messages=count - len(received)
            ).received_messages
        assert len(received) == count
        return received

    def pull_data(self, count: int = 1, subscription: str | None = None) -> list[bytes]:
        return [each.message.data for each in self.pull(count, subscription)]

    def finds_nothing(self) -> bool:
        return not self.subscriber.pull(
            subscription=self.subscription, max_messages=1, retry=None, timeout=20
        ).received_messages

    def acknowledge(self, *received: ReceivedMessage) -> None:
        self.subscriber.acknowledge(subscription=self.subscription, ack_ids=[each.ack_id for each in received])

    def extend(self, *received: ReceivedMessage, seconds: int) -> None:
        self.subscriber.modify_ack_deadline(
            subscription=self.subscription,
            ack_ids=[each.ack_id for each in received],
            ack_deadline_seconds=seconds,
        )

    def give_back(self, *received: ReceivedMessage) -> None:
        self.extend(*received, seconds=0)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch):
    """Make a client of the server at an address."""
    opened = []

    def connected(address: str) -> Client:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        publisher, subscriber = PublisherClient(), SubscriberClient()
        opened.extend([publisher.transport, subscriber])
        return Client(publisher, subscriber)

    yield connected
    for each in opened:
        each.close()


@pytest.fixture
def client(pubsub: PubSubServer, connect) -> Client:
    return connect(pubsub.address)
