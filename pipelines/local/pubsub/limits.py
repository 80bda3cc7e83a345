"""What Pub/Sub refuses: names, sizes and settings.

https://cloud.google.com/pubsub/quotas#resource_limits and
https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
"""

import re
from typing import Any

import grpc

from pipelines.local.pubsub.errors import PubSubError, invalid

MAX_REQUEST_BYTES = 10_000_000
"""Of one publish call, and so of one message."""
MAX_MESSAGES = 1000
"""Of one publish call; also the most that one pull answers."""
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_ACK_DEADLINE = 600
MIN_ACK_DEADLINE = 10
"""Seconds; also what a subscription has that asks for none."""

_PROJECT = r"projects/[a-z][a-z0-9.:-]{4,}[a-z0-9]"
_ID = r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
_PATTERNS = {
    "project": re.compile(_PROJECT),
    "topic": re.compile(f"{_PROJECT}/topics/{_ID}"),
    "subscription": re.compile(f"{_PROJECT}/subscriptions/{_ID}"),
}

# Anything else would change what a subscriber receives, so pretending to support it would be a lie.
_SETTINGS = {
    "topic": {"name", "labels", "state"},
    "subscription": {
        "name",
        "topic",
        "ack_deadline_seconds",
        "labels",
        "message_retention_duration",
        "expiration_policy",
        "state",
    },
}


def check_name(kind: str, name: str) -> None:
    """Refuse what is not a full name of that kind ("project", "topic", "subscription")."""
    if not _PATTERNS[kind].fullmatch(name):
        raise invalid(f"Invalid [{kind}] name: (name={name})")


def check_settings(kind: str, resource: Any) -> None:
    """Refuse a topic or subscription that asks for a feature which is not there."""
    for field, value in resource.ListFields():
        empty = hasattr(value, "ByteSize") and not value.ByteSize()
        if field.name not in _SETTINGS[kind] and not empty:
            raise PubSubError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"The local Pub/Sub has no {field.name} on a {kind}.",
            )


def check_ack_deadline(seconds: int, lowest: int = MIN_ACK_DEADLINE) -> None:
    """Refuse an ack deadline outside of what Pub/Sub allows."""
    if not lowest <= seconds <= MAX_ACK_DEADLINE:
        raise invalid(f"Invalid ack deadline: {seconds} (must be {lowest} to {MAX_ACK_DEADLINE} seconds)")


def check_publish(request: Any) -> None:
    """Refuse a publish call that is empty, too large, or has a message that breaks a limit."""
    if not request.messages:
        raise invalid("The value for message_count is too small. You passed 0.")
    if len(request.messages) > MAX_MESSAGES:
        raise invalid(
            f"The value for message_count is too large. You passed {len(request.messages)}, "
            f"the maximum is {MAX_MESSAGES}."
        )
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise invalid(
            f"The value for request_size is too large. You passed {size} bytes, "
            f"the maximum is {MAX_REQUEST_BYTES}."
        )
    for message in request.messages:
        _check_message(message)


def _check_message(message: Any) -> None:
    attributes = message.attributes
    if not attributes:
        if not message.data:
            raise invalid("A message needs data or at least one attribute.")
        return
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid(f"A message may have {MAX_ATTRIBUTES} attributes, not {len(attributes)}.")
    for key, value in attributes.items():
        if not key or key.startswith("goog"):
            raise invalid(f"Invalid attribute key: {key!r} (empty or starting with goog)")
        if len(key.encode()) > MAX_KEY_BYTES:
            raise invalid(f"The attribute key {key[:40]}… is over {MAX_KEY_BYTES} bytes.")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise invalid(f"The value of attribute {key} is over {MAX_VALUE_BYTES} bytes.")
