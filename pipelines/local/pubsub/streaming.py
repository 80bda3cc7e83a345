"""`google.pubsub.v1.Subscriber.StreamingPull`: messages as they come, acknowledgements as they go."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.pubsub_v1 import types

from pipelines.local.pubsub.backlog import Backlog, Stream
from pipelines.local.pubsub.broker import Broker
from pipelines.local.pubsub.errors import PubSubError, invalid
from pipelines.local.pubsub.limits import check_ack_deadline
from pipelines.local.pubsub.services import fill


def streaming_pull(broker: Broker, requests: Iterator[Any], interrupted: Callable[[], bool]) -> Iterator[Any]:
    """Yield responses until the client closes; an empty one where `interrupted` became true.

    Raises:
        PubSubError: the first request or a later one is wrong, or the subscription is gone.
    """
    try:
        first = next(requests)
    except (StopIteration, grpc.RpcError):
        return  # The client went away before it said anything.
    backlog = broker.resources.backlog(first.subscription)
    check_ack_deadline(first.stream_ack_deadline_seconds)
    stream = Stream(
        first.stream_ack_deadline_seconds,
        first.max_outstanding_messages,
        first.max_outstanding_bytes,
    )
    reader = _Reader(broker, backlog, stream, requests)
    reader.apply(first)
    threading.Thread(target=reader.run, name="pubsub-stream", daemon=True).start()

    while not reader.closed:
        with broker.changed:
            messages = backlog.receive(
                lambda: (*stream.room(), stream.ack_deadline),
                lambda: None,
                lambda: reader.closed or interrupted(),
                stream,
            )
        if not reader.closed:
            yield fill(types.StreamingPullResponse.pb()(), messages)
    if reader.error:
        raise reader.error


class _Reader:
    """What the client says on the stream after it opened."""

    def __init__(self, broker: Broker, backlog: Backlog, stream: Stream, requests: Iterator[Any]) -> None:
        self.closed = False
        self.error: PubSubError | None = None
        self._broker = broker
        self._backlog = backlog
        self._stream = stream
        self._requests = requests

    def run(self) -> None:
        try:
            for request in self._requests:
                if request.subscription:
                    raise invalid("Only the first request of a stream names the subscription.")
                self.apply(request)
        except PubSubError as error:
            self.error = error
        except grpc.RpcError:
            pass  # The client went away.
        finally:
            self.closed = True
            self._broker.wake()

    def apply(self, request: Any) -> None:
        if request.stream_ack_deadline_seconds:
            check_ack_deadline(request.stream_ack_deadline_seconds)
            self._stream.ack_deadline = request.stream_ack_deadline_seconds
        if request.ack_ids:
            self._broker.acknowledge(self._backlog.subscription, request.ack_ids)
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise invalid("modify_deadline_seconds and modify_deadline_ack_ids differ in length.")
        for seconds, ack_id in zip(request.modify_deadline_seconds, request.modify_deadline_ack_ids, strict=True):
            self._broker.modify_ack_deadline(self._backlog.subscription, [ack_id], seconds)
