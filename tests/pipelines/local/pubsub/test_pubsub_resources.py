import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask

from pipelines.local.topics import create_topics

PROJECT = "projects/parley-test"
OTHER_TOPIC = f"{PROJECT}/topics/raw-twilio"
OTHER = f"{PROJECT}/subscriptions/other"


def test_a_topic_can_be_made_read_listed_and_deleted(client):
    client.publisher.create_topic(request={"name": OTHER_TOPIC, "labels": {"source": "twilio"}})
    assert client.publisher.get_topic(topic=OTHER_TOPIC).labels == {"source": "twilio"}
    listed = client.publisher.list_topics(project=PROJECT)
    assert [topic.name for topic in listed] == [client.topic, OTHER_TOPIC]
    client.publisher.delete_topic(topic=OTHER_TOPIC)
    assert [each.name for each in client.publisher.list_topics(project=PROJECT)] == [client.topic]
    with pytest.raises(exceptions.NotFound):
        client.publisher.get_topic(topic=OTHER_TOPIC)


def test_what_exists_already_is_refused(client):
    with pytest.raises(exceptions.AlreadyExists):
        client.publisher.create_topic(name=client.topic)
    with pytest.raises(exceptions.AlreadyExists):
        client.subscriber.create_subscription(name=client.subscription, topic=client.topic)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.publisher.publish(OTHER_TOPIC, b"x").result(timeout=20),
        lambda c: c.publisher.delete_topic(topic=OTHER_TOPIC),
        lambda c: c.publisher.list_topic_subscriptions(topic=OTHER_TOPIC),
        lambda c: c.subscriber.create_subscription(name=OTHER, topic=OTHER_TOPIC),
        lambda c: c.subscriber.get_subscription(subscription=OTHER),
        lambda c: c.subscriber.delete_subscription(subscription=OTHER),
        lambda c: c.subscriber.pull(subscription=OTHER, max_messages=1),
        lambda c: c.subscriber.acknowledge(subscription=OTHER, ack_ids=["1-1"]),
        lambda c: c.subscriber.subscribe(OTHER, lambda _: None).result(timeout=20),
    ],
)
def test_what_does_not_exist_is_not_found(client, call):
    with pytest.raises(exceptions.NotFound):
        call(client)


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
def test_bad_topic_names_are_refused(client, name):
    with pytest.raises(exceptions.InvalidArgument):
        client.publisher.create_topic(name=name)


def test_a_bad_subscription_is_refused(client):
    for name, deadline in (("raw-facebook", 10), (OTHER, 9), (OTHER, 601)):
        with pytest.raises(exceptions.InvalidArgument):
            client.subscriber.create_subscription(name=name, topic=client.topic, ack_deadline_seconds=deadline)


def test_a_subscription_has_pubsubs_defaults(client):
    subscription = client.subscriber.get_subscription(subscription=client.subscription)
    assert subscription.topic == client.topic
    assert subscription.ack_deadline_seconds == 10
    assert subscription.state == subscription.State.ACTIVE


def test_a_feature_that_is_not_there_is_refused_rather_than_ignored(client):
    request = {"name": OTHER, "topic": client.topic, "filter": "attributes:source"}
    with pytest.raises(exceptions.MethodNotImplemented, match="filter"):
        client.subscriber.create_subscription(request=request)


def test_only_the_named_fields_of_a_subscription_are_updated(client):
    update = {"name": client.subscription, "ack_deadline_seconds": 60, "labels": {"a": "b"}}
    client.subscriber.update_subscription(
        subscription=update, update_mask=FieldMask(paths=["ack_deadline_seconds"])
    )
    subscription = client.subscriber.get_subscription(subscription=client.subscription)
    assert subscription.ack_deadline_seconds == 60
    assert not subscription.labels


@pytest.mark.parametrize("paths", [[], ["topic"], ["ack_deadline_seconds"]])
def test_a_subscription_update_that_cannot_be_is_refused(client, paths):
    update = {"name": client.subscription, "ack_deadline_seconds": 5}
    with pytest.raises(exceptions.InvalidArgument):
        client.subscriber.update_subscription(subscription=update, update_mask=FieldMask(paths=paths))


def test_a_topics_labels_are_replaced(client):
    for labels in ({"a": "b"}, {"c": "d"}):
        update = {"name": client.topic, "labels": labels}
        client.publisher.update_topic(topic=update, update_mask=FieldMask(paths=["labels"]))
        assert client.publisher.get_topic(topic=client.topic).labels == labels


def test_lists_come_in_pages_and_by_project(client):
    names = [f"{PROJECT}/subscriptions/paged-{n}" for n in range(5)]
    for name in names:
        client.subscriber.create_subscription(name=name, topic=client.topic)
    everything = sorted([*names, client.subscription])
    request = {"project": PROJECT, "page_size": 2}
    pages = list(client.subscriber.list_subscriptions(request=request).pages)
    assert [len(page.subscriptions) for page in pages] == [2, 2, 2]
    assert [each.name for page in pages for each in page.subscriptions] == everything
    request = {"topic": client.topic, "page_size": 4}
    assert list(client.publisher.list_topic_subscriptions(request=request)) == everything
    assert not list(client.subscriber.list_subscriptions(project="projects/another-one"))


def test_a_deleted_topics_subscription_keeps_what_it_has(client):
    client.publish(b"kept")
    client.publisher.delete_topic(topic=client.topic)
    client.publisher.create_topic(name=client.topic)
    client.publish(b"not for the old subscription")
    subscription = client.subscriber.get_subscription(subscription=client.subscription)
    assert subscription.topic == "_deleted-topic_"
    assert client.pull_data() == [b"kept"]
    assert client.finds_nothing()


def test_create_topics_adds_only_what_is_missing(client):
    client.publish(b"kept")
    create_topics("parley-test", {"raw-facebook": "parley-facebook", "raw-twilio": "parley-twilio"})
    assert len(list(client.publisher.list_topics(project=PROJECT))) == 2
    assert list(client.publisher.list_topic_subscriptions(topic=OTHER_TOPIC)) == [
        f"{PROJECT}/subscriptions/parley-twilio"
    ]
    assert client.pull_data() == [b"kept"]
