"""A real gRPC server of BigQuery's Storage Write API that answers as a test tells it to."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import any_pb2
from google.rpc import status_pb2

METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"

Response = types.AppendRowsResponse
Answer = Callable[[pa.RecordBatch, grpc.ServicerContext], Response | None]
"""What the server does with a request: answers it, or with None ends the connection."""


def store(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response:
    """Confirm; the server then holds the rows."""
    return Response(append_result=Response.AppendResult())


def abort(code: grpc.StatusCode, message: str = "as the test said") -> Answer:
    """End the connection with a status."""

    def answer(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response | None:
        context.abort(code, message)

    return answer


def cut(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response | None:
    """End the connection as if all were well, without an answer."""
    return None


def silence(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response | None:
    """Say nothing until the client gives up."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait()
    return None


def error(code: grpc.StatusCode, storage_code: Any = None, message: str = "as the test said") -> Answer:
    """Answer with an error, and keep the connection open."""

    def answer(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response:
        status = status_pb2.Status(code=code.value[0], message=message)
        if storage_code is not None:
            detail = any_pb2.Any()
            detail.Pack(types.StorageError.pb(types.StorageError(code=storage_code)))
            status.details.append(detail)
        return Response(error=status)

    return answer


def row_errors(*indices: int) -> Answer:
    """Blame rows of the request, and store none of it."""

    def answer(batch: pa.RecordBatch, context: grpc.ServicerContext) -> Response:
        errors = [types.RowError(index=index, message=f"row {index} is bad") for index in indices]
        status = status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="bad rows")
        return Response(error=status, row_errors=errors)

    return answer


class ScriptedWriteApi:
    """Answers requests by its script, then by its habit; remembers what it stored."""

    def __init__(self, port: int = 0) -> None:
        self.script: deque[Answer] = deque()
        self.habit: Answer = store
        self.stored: list[dict[str, Any]] = []
        self.requests: list[types.AppendRowsRequest] = []
        self.connections = 0
        self._open: list[grpc.ServicerContext] = []
        largest = [("grpc.max_receive_message_length", 20_000_000)]
        self._server = grpc.server(ThreadPoolExecutor(32), options=largest)
        self._server.add_generic_rpc_handlers([_Handler(self._serve)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()

    def stop(self) -> None:
        """Close all connections, and listen no more."""
        self._server.stop(grace=None).wait()

    def close_connections(self) -> None:
        """Close all connections, and go on listening."""
        for context in self._open:
            context.cancel()

    def _serve(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.connections += 1
        self._open.append(context)
        for data in requests:
            request = types.AppendRowsRequest.deserialize(data)
            self.requests.append(request)
            batch = _decoded(request)
            response = (self.script.popleft() if self.script else self.habit)(batch, context)
            if response is None:
                return
            if not response.error.code and not response.row_errors:
                table = request.write_stream.split("/")[5]
                self.stored += [{"table": table, **row} for row in batch.to_pylist()]
            yield Response.serialize(response)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, serve: Any) -> None:
        self._serve = serve

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.stream_stream_rpc_method_handler(self._serve) if details.method == METHOD else None


def _decoded(request: types.AppendRowsRequest) -> pa.RecordBatch:
    schema = pa.ipc.read_schema(pa.py_buffer(request.arrow_rows.writer_schema.serialized_schema))
    return pa.ipc.read_record_batch(pa.py_buffer(request.arrow_rows.rows.serialized_record_batch), schema)
