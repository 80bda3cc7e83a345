"""Publishes whole groups of raw events, one request each, to the topic of their source.

The official client is used for its messages, credentials and channel, but not for its calls: its
batching costs a future and a callback per message, more than all the rest of the handler, and its
retries would keep a request waiting.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final
from urllib.parse import quote

import grpc
from google.pubsub_v1 import PublishRequest, PublishResponse
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from receiver.config import PUBSUB_MAX_BYTES, PUBSUB_MAX_EVENTS
from schemas.raw_event import RawEvent

_METHOD: Final = "/google.pubsub.v1.Publisher/Publish"
# The protocol buffers themselves: filling them is several times faster than their wrappers.
_RequestMessage: Final[Any] = PublishRequest.pb()
_ResponseMessage: Final[Any] = PublishResponse.pb()
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    # gRPC would wait up to two minutes before it tries a lost connection again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
)
PERMANENT: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})
"""What says that the request itself is wrong: https://cloud.google.com/pubsub/docs/reference/error-codes."""
_ATTRIBUTE_OVERHEAD: Final = 12
_MESSAGE_OVERHEAD: Final = 24


class PublishError(Exception):
    """Pub/Sub did not confirm a group: it may have some of it, or nothing."""


class RefusedError(PublishError):
    """Pub/Sub does not take what the request holds, and will not take it the next time."""


class Publisher:
    """A connection to Pub/Sub, made at first use: gRPC does not survive a fork."""

    def __init__(self, project: str, topic_prefix: str) -> None:
        self._topic_prefix = f"projects/{project}/topics/{topic_prefix}"
        self._channel: Any = None
        self._call: Any = None
        self._opening: Future[Any] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def publish(self, source: str, events: Sequence[RawEvent], timeout: float) -> None:
        """Publish events and return when Pub/Sub has confirmed them all.

        The timeout, in seconds, is for each request of at most 1,000 events and 10 MB, and for the connection.

        Raises:
            RefusedError: something in them is such that Pub/Sub never takes it.
            PublishError: they are not confirmed, for whatever other reason.
        """
        topic = self._topic_prefix + source
        try:
            call = self._call or self._connect(timeout)
            for batch in batches(events):
                # No retries in here: what fails goes to the spool, which retries.
                response = call(_checked_request(topic, batch), timeout=timeout, metadata=_routing(topic))
                if len(response.message_ids) != len(batch):
                    raise PublishError(f"{len(response.message_ids)} of {len(batch)} confirmed")
        except PublishError:
            raise
        except grpc.RpcError as error:
            kind = RefusedError if error.code() in PERMANENT else PublishError
            raise kind(f"{error.code().name}: {error.details()}") from error
        except Exception as error:
            # Anything else, like missing credentials or a closed channel, confirms nothing either.
            raise PublishError(f"{type(error).__name__}: {error}") from error

    def _connect(self, seconds: float) -> Any:
        """Return what makes calls. To look for credentials may take longer than a request waits: that goes on.

        Raises:
            PublishError: there is no connection in time, or there will be none.
        """
        with self._lock:
            if self._closed:
                raise PublishError("shutting down")
            if self._opening is None:
                self._opening = Future()
                opener = threading.Thread(target=self._open, args=(self._opening,), name="pubsub", daemon=True)
                opener.start()
            opening = self._opening
        try:
            return opening.result(seconds)
        except TimeoutError as error:
            raise PublishError(f"no connection to Pub/Sub within {seconds:g} s") from error

    def _open(self, opening: "Future[Any]") -> None:
        try:
            channel = _channel()
        except Exception as error:
            with self._lock:
                # The next one looks again.
                self._opening = None
            opening.set_exception(error)
            return
        call = channel.unary_unary(
            _METHOD,
            request_serializer=_RequestMessage.SerializeToString,
            response_deserializer=_ResponseMessage.FromString,
        )
        with self._lock:
            if self._closed:
                channel.close()
            else:
                self._channel, self._call = channel, call
        opening.set_result(call)

    def close(self) -> None:
        """Close the connection, which ends the requests under way, and make no other."""
        with self._lock:
            self._closed = True
            self._call = None
            if self._channel is not None:
                self._channel.close()


def batches(events: Iterable[RawEvent]) -> Iterator[list[RawEvent]]:
    """Cut events into lists that fit into one publish request."""
    batch: list[RawEvent] = []
    size = 0
    for event in events:
        event_size = published_size(event)
        if batch and (len(batch) >= PUBSUB_MAX_EVENTS or size + event_size > PUBSUB_MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event_size
    if batch:
        yield batch


def published_size(event: RawEvent) -> int:
    """Return the bytes that an event takes in a publish request, a few too many."""
    attributes = sum(
        len(key) + len(value.encode(errors="surrogatepass")) + _ATTRIBUTE_OVERHEAD
        for key, value in event.attributes.items()
    )
    return len(event.data) + attributes + _MESSAGE_OVERHEAD


def _request(topic: str, events: Sequence[RawEvent]) -> Any:
    message = _RequestMessage(topic=topic)
    for event in events:
        message.messages.add(data=event.data, attributes=event.attributes)
    return message


def _checked_request(topic: str, events: Sequence[RawEvent]) -> Any:
    """Return a request.

    Raises:
        RefusedError: an event is such that no request can hold it, say an attribute that is no text.
    """
    try:
        return _request(topic, events)
    except (ValueError, TypeError) as error:
        raise RefusedError(f"{type(error).__name__}: {error}") from error


def _routing(topic: str) -> tuple[tuple[str, str], ...]:
    """Return the header by which Google's front ends route a request, as its clients send it."""
    return (("x-goog-request-params", f"topic={quote(topic)}"),)


def _channel() -> Any:
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    if emulator:
        return grpc.insecure_channel(emulator, options=_CHANNEL_OPTIONS)
    return PublisherGrpcTransport.create_channel(options=_CHANNEL_OPTIONS)
