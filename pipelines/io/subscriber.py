"""The client that pulls from Pub/Sub: of an emulator, too, it takes messages of any length."""

import os
from typing import Any

import grpc
from google.cloud import pubsub_v1
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport


def subscriber() -> pubsub_v1.SubscriberClient:
    """Return a client; of an emulator, Google's own takes no more than 4 MiB and pulls what is longer for ever."""
    if os.environ.get("PUBSUB_EMULATOR_HOST"):
        return pubsub_v1.SubscriberClient(transport=_AnyLength)
    return pubsub_v1.SubscriberClient()


class _AnyLength(SubscriberGrpcTransport):
    """A connection to an emulator, with the limit that connections to Pub/Sub itself have: none."""

    def __init__(self, *, channel: Any = None, **more: Any) -> None:
        if channel is not None:
            channel.close()
            unlimited = [("grpc.max_receive_message_length", -1)]
            channel = grpc.insecure_channel(os.environ["PUBSUB_EMULATOR_HOST"], options=unlimited)
        super().__init__(channel=channel, **more)
