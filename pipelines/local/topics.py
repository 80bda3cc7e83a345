"""Topics and subscriptions, made with the official clients."""

from collections.abc import Mapping
from contextlib import closing, suppress

from google.api_core.exceptions import AlreadyExists
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient


def create_topics(project: str, topics: Mapping[str, str]) -> None:
    """Make each topic and the subscription that reads it, where they are missing.

    Args:
        project: the project's id.
        topics: the subscription's id by the topic's.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses, or cannot be reached.
    """
    publisher = PublisherClient()
    with closing(publisher.transport), SubscriberClient() as subscriber:
        for topic, subscription in topics.items():
            name = publisher.topic_path(project, topic)
            with suppress(AlreadyExists):
                publisher.create_topic(name=name)
            with suppress(AlreadyExists):
                subscriber.create_subscription(
                    name=subscriber.subscription_path(project, subscription), topic=name
                )
