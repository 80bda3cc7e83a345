"""The gRPC server."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from pipelines.local.pubsub.broker import Broker
from pipelines.local.pubsub.errors import PubSubError
from pipelines.local.pubsub.faults import Faults, admin_handler
from pipelines.local.pubsub.limits import MAX_REQUEST_BYTES
from pipelines.local.pubsub.services import Method, publisher, subscriber
from pipelines.local.pubsub.streaming import streaming_pull

MAX_BYTES = 512 * 1024 * 1024
"""What is kept in memory at most, unless told otherwise."""
_MAX_CALLS = 500
_GRACE = 0.5
_STREAM = "StreamingPull"
_OPTIONS = [
    # Without this a second server on the same port would silently take half of the calls.
    ("grpc.so_reuseport", 0),
    # Larger than Pub/Sub's limit, so that it is the limit's own error that a client sees.
    ("grpc.max_receive_message_length", 2 * MAX_REQUEST_BYTES),
]


class PubSubServer:
    """Google Cloud Pub/Sub on this machine, for clients with `PUBSUB_EMULATOR_HOST` set to `address`.

    It listens on the loopback interface only. Without a `data_dir` everything is gone when it stops.

    Attributes:
        address: "127.0.0.1:PORT".
        faults: what fails on purpose.
        broker: the state, to look into from tests.
    """

    def __init__(self, port: int = 0, data_dir: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        """Start to listen; port 0 takes a free one.

        Raises:
            OSError: the port is taken, or another server uses the same `data_dir`.
        """
        self.broker = Broker(data_dir, max_bytes)
        services = {"Publisher": publisher(self.broker), "Subscriber": subscriber(self.broker)}
        methods = {name for service in services.values() for name in service} | {_STREAM}
        self.faults = Faults(methods, self.broker.wake)
        self._calls = ThreadPoolExecutor(_MAX_CALLS, thread_name_prefix="pubsub")
        self._server = grpc.server(self._calls, self._handlers(services), options=_OPTIONS)
        try:
            port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError as error:
            self.broker.close()
            raise OSError(f"Port {port} is taken.") from error
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port, end every call (its client sees UNAVAILABLE) and close the journal."""
        self._server.stop(_GRACE).wait()
        self._calls.shutdown()
        self.broker.close()

    def _handlers(self, services: dict[str, dict[str, Method]]) -> list[Any]:
        handlers = {
            service: {
                name: grpc.unary_unary_rpc_method_handler(
                    self._unary(name, answer), request.pb().FromString, _serialize
                )
                for name, (request, answer) in methods.items()
            }
            for service, methods in services.items()
        }
        handlers["Subscriber"][_STREAM] = grpc.stream_stream_rpc_method_handler(
            self._stream, types.StreamingPullRequest.pb().FromString, _serialize
        )
        return [
            admin_handler(self.faults),
            *(
                grpc.method_handlers_generic_handler(f"google.pubsub.v1.{service}", methods)
                for service, methods in handlers.items()
            ),
        ]

    def _unary(self, name: str, answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def call(request: Any, context: Any) -> Any:
            with _refusing(context):
                self.faults.meet(name, context)
                response = answer(request, context)
                self.faults.meet(name, context, after=True)
                return Empty() if response is None else response

        return call

    def _stream(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        with _refusing(context):
            self.faults.meet(_STREAM, context)
            faulty = partial(self.faults.waiting, _STREAM)
            for response in streaming_pull(self.broker, requests, faulty):
                self.faults.meet(_STREAM, context)
                if response.received_messages:
                    yield response


@contextmanager
def _refusing(context: Any) -> Iterator[None]:
    try:
        yield
    except PubSubError as error:
        context.abort(error.code, str(error))
    except sqlite3.Error as error:
        context.abort(grpc.StatusCode.INTERNAL, f"The journal failed: {error}")


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
