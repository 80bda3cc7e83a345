"""A subscription's messages as they come, over a stream that is opened again whenever it ends.

`google.cloud.pubsub_v1`'s own `subscribe` hands each message through three queues and a pool of threads, and each
acknowledgement back: more processor time than to normalize and to store it (see docs/performance.md). Here a whole
answer of Pub/Sub is handed over at once; what opens the stream again is the same library of Google.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import grpc
from google.api_core import bidi, exceptions
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.pubsub_v1 import SubscriberClient, types

DEADLINE_SECONDS: Final = 60
"""How long a message is ours without a further word."""
_HEARTBEAT_SECONDS: Final = 30.0
"""Pub/Sub ends a stream on which nothing was said for a minute."""
# Those of `google.cloud.pubsub_v1`.
_PASSING: Final = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.GatewayTimeout,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
)
_log = logging.getLogger(__name__)


class Pulled(NamedTuple):
    """A message as it was delivered."""

    subscription: str
    ack_id: str
    message: Any
    """`google.pubsub.v1.PubsubMessage`: `data`, `attributes`, `message_id`."""


class StreamingPull:
    """Pulls one subscription until it is closed.

    https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#streamingpullrequest
    """

    def __init__(
        self,
        client: SubscriberClient,
        name: str,
        arrive: Callable[[Sequence[Pulled]], None],
        most_messages: int,
        most_bytes: int,
    ) -> None:
        """Pull `projects/…/subscriptions/…`, and call `arrive` with each answer, in a thread of the stream.

        Pub/Sub holds back what goes beyond so many messages and bytes that it has not heard of; it waits as well
        while `arrive` does not return.
        """
        self.name = name
        self.failure: exceptions.GoogleAPICallError | None = None
        """Why Pub/Sub refuses to let the subscription be pulled, once it does."""
        self._arrive = arrive
        self._closed = threading.Event()
        self._rpc = bidi.ResumableBidiRpc(
            client.streaming_pull,
            should_recover=_passes,
            initial_request=types.StreamingPullRequest(
                subscription=name,
                stream_ack_deadline_seconds=DEADLINE_SECONDS,
                client_id=str(uuid.uuid4()),
                max_outstanding_messages=most_messages,
                max_outstanding_bytes=most_bytes,
            ),
            metadata=[to_grpc_metadata([("subscription", name)])],
            throttle_reopen=True,
        )
        self._rpc.add_done_callback(self._ended)
        self._consumer = bidi.BackgroundConsumer(self._rpc, self._received)
        self._consumer.start()
        threading.Thread(target=self._beat, name=f"heartbeat {name}", daemon=True).start()

    def close(self) -> None:
        """Pull no more. What was delivered stays ours until its deadline."""
        self._closed.set()
        self._consumer.stop()

    def _received(self, response: Any) -> None:
        received = types.StreamingPullResponse.pb(response).received_messages
        self._arrive([Pulled(self.name, each.ack_id, each.message) for each in received])

    def _ended(self, reason: Any) -> None:
        error = _error(reason)
        if error is not None and not self._closed.is_set():
            _log.error("%s cannot be pulled, and this ends once nothing comes from others: %s", self.name, error)
            self.failure = error

    def _beat(self) -> None:
        while not self._closed.wait(_HEARTBEAT_SECONDS) and self.failure is None:
            if self._rpc.is_active:
                self._rpc.send(types.StreamingPullRequest())


def _passes(reason: Any) -> bool:
    return isinstance(_error(reason), _PASSING)


def _error(reason: Any) -> exceptions.GoogleAPICallError | None:
    """Return why a stream has ended: what is known of it is an error of gRPC or of Google's, or a call."""
    if reason is None or isinstance(reason, exceptions.GoogleAPICallError):
        return reason
    if isinstance(reason, grpc.RpcError):
        return exceptions.from_grpc_error(reason)
    return exceptions.Unknown(f"the stream has ended: {reason!r}")
