"""Topics and subscriptions: made, found, changed, removed."""

import threading
from collections.abc import Mapping
from typing import Any

import grpc
from google.pubsub_v1 import types

from pipelines.local.pubsub.backlog import Backlog
from pipelines.local.pubsub.errors import PubSubError, invalid, not_found
from pipelines.local.pubsub.journal import Journal, Statement
from pipelines.local.pubsub.limits import (
    MIN_ACK_DEADLINE,
    check_ack_deadline,
    check_name,
    check_settings,
)

Topic: Any = types.Topic.pb()
Subscription: Any = types.Subscription.pb()

DELETED_TOPIC = "_deleted-topic_"
_MUTABLE = {
    "topic": {"labels"},
    "subscription": {
        "ack_deadline_seconds",
        "expiration_policy",
        "labels",
        "message_retention_duration",
    },
}


class Resources:
    """The topics and subscriptions, in memory and in the journal, and each subscription's backlog."""

    def __init__(self, changed: threading.Condition, journal: Journal | None) -> None:
        self._changed = changed
        self._journal = journal
        self._topics: dict[str, Any] = {}
        self._subscriptions: dict[str, Any] = {}
        self._backlogs: dict[str, Backlog] = {}
        if journal:
            for name, topic in journal.read("SELECT name, topic FROM topics"):
                self._topics[name] = Topic.FromString(topic)
            for name, subscription in journal.read("SELECT name, subscription FROM subscriptions"):
                self._subscriptions[name] = Subscription.FromString(subscription)
                self._backlogs[name] = Backlog(name, changed)

    def create_topic(self, topic: Any) -> Any:
        """Add a topic."""
        check_name("topic", topic.name)
        check_settings("topic", topic)
        with self._changed:
            if topic.name in self._topics:
                raise _already_exists(topic.name)
            return self._put_topic(topic)

    def get_topic(self, name: str) -> Any:
        """Return a topic."""
        with self._changed:
            return _get(self._topics, name)

    def list_topics(self, project: str) -> list[Any]:
        """Return the topics of a project ("projects/…"), by name."""
        with self._changed:
            return _of_project(project, self._topics)

    def update_topic(self, topic: Any, mask: Any) -> Any:
        """Replace the fields of a topic that `mask` names."""
        with self._changed:
            return self._put_topic(_merge("topic", self.get_topic(topic.name), topic, mask))

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions keep what they have and receive nothing more."""
        with self._changed:
            for subscription in self.list_topic_subscriptions(name):
                orphan = _copy(self._subscriptions[subscription])
                orphan.topic = DELETED_TOPIC
                self._put_subscription(orphan)
            self._commit(("DELETE FROM topics WHERE name = ?", [(name,)]))
            del self._topics[name]

    def list_topic_subscriptions(self, topic: str) -> list[str]:
        """Return the names of a topic's subscriptions, in order."""
        with self._changed:
            self.get_topic(topic)
            return sorted(s.name for s in self._subscriptions.values() if s.topic == topic)

    def create_subscription(self, subscription: Any) -> Any:
        """Add a subscription, which receives what is published from now on."""
        check_name("subscription", subscription.name)
        check_settings("subscription", subscription)
        created = _copy(subscription)
        created.ack_deadline_seconds = created.ack_deadline_seconds or MIN_ACK_DEADLINE
        check_ack_deadline(created.ack_deadline_seconds)
        created.state = types.Subscription.State.ACTIVE
        with self._changed:
            if created.name in self._subscriptions:
                raise _already_exists(created.name)
            self.get_topic(created.topic)
            self._put_subscription(created)
            self._backlogs[created.name] = Backlog(created.name, self._changed)
            return created

    def get_subscription(self, name: str) -> Any:
        """Return a subscription."""
        with self._changed:
            return _get(self._subscriptions, name)

    def list_subscriptions(self, project: str) -> list[Any]:
        """Return the subscriptions of a project ("projects/…"), by name."""
        with self._changed:
            return _of_project(project, self._subscriptions)

    def update_subscription(self, subscription: Any, mask: Any) -> Any:
        """Replace the fields of a subscription that `mask` names."""
        with self._changed:
            current = self.get_subscription(subscription.name)
            changed = _merge("subscription", current, subscription, mask)
            check_ack_deadline(changed.ack_deadline_seconds)
            return self._put_subscription(changed)

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and all that it holds; its readers see NOT_FOUND."""
        with self._changed:
            self.get_subscription(name)
            self._commit(
                ("DELETE FROM subscriptions WHERE name = ?", [(name,)]),
                ("DELETE FROM backlog WHERE subscription = ?", [(name,)]),
            )
            del self._subscriptions[name]
            backlog = self._backlogs.pop(name)
            backlog.deleted = True
            self._changed.notify_all()

    def backlog(self, subscription: str) -> Backlog:
        """Return what a subscription has not acknowledged."""
        with self._changed:
            self.get_subscription(subscription)
            return self._backlogs[subscription]

    def backlogs(self) -> list[Backlog]:
        """Return the backlog of every subscription."""
        with self._changed:
            return list(self._backlogs.values())

    def _put_topic(self, topic: Any) -> Any:
        self._commit(("REPLACE INTO topics VALUES (?, ?)", [(topic.name, topic.SerializeToString())]))
        self._topics[topic.name] = topic
        return topic

    def _put_subscription(self, subscription: Any) -> Any:
        row = (subscription.name, subscription.SerializeToString())
        self._commit(("REPLACE INTO subscriptions VALUES (?, ?)", [row]))
        self._subscriptions[subscription.name] = subscription
        return subscription

    def _commit(self, *statements: Statement) -> None:
        if self._journal:
            self._journal.write(*statements).result()


def _get(resources: Mapping[str, Any], name: str) -> Any:
    try:
        return resources[name]
    except KeyError:
        raise not_found(name) from None


def _already_exists(name: str) -> PubSubError:
    code = grpc.StatusCode.ALREADY_EXISTS
    return PubSubError(code, f"Resource already exists in the project (resource={name}).")


def _of_project(project: str, resources: Mapping[str, Any]) -> list[Any]:
    check_name("project", project)
    return [resources[name] for name in sorted(resources) if name.startswith(f"{project}/")]


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _merge(kind: str, current: Any, update: Any, mask: Any) -> Any:
    if not mask.paths:
        raise invalid("The update_mask in the request is empty.")
    if fixed := set(mask.paths) - _MUTABLE[kind]:
        raise invalid(f"Not updatable on a {kind}: {', '.join(sorted(fixed))}")
    changed = _copy(current)
    mask.MergeMessage(update, changed, replace_message_field=True, replace_repeated_field=True)
    return changed
