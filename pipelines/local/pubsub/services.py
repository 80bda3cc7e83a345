"""The gRPC methods of Pub/Sub that the local server has.

https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
"""

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

from google.pubsub_v1 import types

from pipelines.local.pubsub.backlog import MAX_RESPONSE_BYTES
from pipelines.local.pubsub.broker import Broker
from pipelines.local.pubsub.errors import invalid
from pipelines.local.pubsub.limits import MAX_MESSAGES

PULL_WAIT = 0.1
"""Seconds that a pull waits for a message; short for the sake of clients that read in turn."""
_IN_TURN = 1.0
"""Seconds within which pulls may come from one client that reads its subscriptions in turn."""

Method = tuple[Any, Callable[[Any, Any], Any]]
"""The request's type, and what answers a request and its gRPC context (None as an empty message)."""


def publisher(broker: Broker) -> dict[str, Method]:
    """Return the methods of `google.pubsub.v1.Publisher`."""
    resources = broker.resources
    return {
        "CreateTopic": (types.Topic, lambda r, _: resources.create_topic(r)),
        "GetTopic": (types.GetTopicRequest, lambda r, _: resources.get_topic(r.topic)),
        "UpdateTopic": (
            types.UpdateTopicRequest,
            lambda r, _: resources.update_topic(r.topic, r.update_mask),
        ),
        "DeleteTopic": (types.DeleteTopicRequest, lambda r, _: resources.delete_topic(r.topic)),
        "ListTopics": (
            types.ListTopicsRequest,
            lambda r, _: _page(types.ListTopicsResponse, "topics", resources.list_topics(r.project), r),
        ),
        "ListTopicSubscriptions": (
            types.ListTopicSubscriptionsRequest,
            lambda r, _: _page(
                types.ListTopicSubscriptionsResponse,
                "subscriptions",
                resources.list_topic_subscriptions(r.topic),
                r,
            ),
        ),
        "Publish": (
            types.PublishRequest,
            lambda r, _: types.PublishResponse.pb()(message_ids=broker.publish(r)),
        ),
    }


def subscriber(broker: Broker) -> dict[str, Method]:
    """Return the methods of `google.pubsub.v1.Subscriber`, but for the streaming one."""
    resources = broker.resources
    return {
        "CreateSubscription": (
            types.Subscription,
            lambda r, _: resources.create_subscription(r),
        ),
        "GetSubscription": (
            types.GetSubscriptionRequest,
            lambda r, _: resources.get_subscription(r.subscription),
        ),
        "UpdateSubscription": (
            types.UpdateSubscriptionRequest,
            lambda r, _: resources.update_subscription(r.subscription, r.update_mask),
        ),
        "DeleteSubscription": (
            types.DeleteSubscriptionRequest,
            lambda r, _: resources.delete_subscription(r.subscription),
        ),
        "ListSubscriptions": (
            types.ListSubscriptionsRequest,
            lambda r, _: _page(
                types.ListSubscriptionsResponse,
                "subscriptions",
                resources.list_subscriptions(r.project),
                r,
            ),
        ),
        "Pull": (types.PullRequest, lambda r, context: _pull(broker, r, context)),
        "Acknowledge": (
            types.AcknowledgeRequest,
            lambda r, _: broker.acknowledge(r.subscription, r.ack_ids),
        ),
        "ModifyAckDeadline": (
            types.ModifyAckDeadlineRequest,
            lambda r, _: broker.modify_ack_deadline(r.subscription, r.ack_ids, r.ack_deadline_seconds),
        ),
    }


def fill(response: Any, messages: Iterable[tuple[str, bytes]]) -> Any:
    """Put leased messages (ack id, bytes) into a response of either kind of pull."""
    for ack_id, data in messages:
        received = response.received_messages.add()
        received.ack_id = ack_id
        received.message.MergeFromString(data)
    return response


def _pull(broker: Broker, request: Any, context: Any) -> Any:
    if request.max_messages <= 0:
        raise invalid("The value for max_messages must be greater than 0.")
    resources = broker.resources
    backlog = resources.backlog(request.subscription)
    lease = (
        min(request.max_messages, MAX_MESSAGES),
        MAX_RESPONSE_BYTES,
        resources.get_subscription(request.subscription).ack_deadline_seconds,
    )
    until = monotonic() + (0 if request.return_immediately else PULL_WAIT)
    last = backlog.pulled_at

    def remaining() -> float:
        # Beam's local runner has one thread: what there is to do elsewhere would wait for this pull.
        elsewhere = any(other.busy(_IN_TURN, last) for other in resources.backlogs())
        return 0 if elsewhere else until - monotonic()

    context.add_callback(broker.wake)
    with broker.changed:
        backlog.pulled_at = monotonic()
        messages = backlog.receive(lambda: lease, remaining, lambda: not context.is_active())
        backlog.pulled_at = monotonic()
        if messages:
            backlog.delivered_at = backlog.pulled_at
    return fill(types.PullResponse.pb()(), messages)


def _page(response: Any, field: str, resources: Sequence[Any], request: Any) -> Any:
    names = [resource if isinstance(resource, str) else resource.name for resource in resources]
    start = sum(name <= request.page_token for name in names)
    end = start + (min(request.page_size, MAX_MESSAGES) if request.page_size > 0 else 100)
    token = names[end - 1] if end < len(names) else ""
    return response.pb()(**{field: resources[start:end]}, next_page_token=token)
