"""One connection of the Storage Write API: requests go out, confirmations come back in the same order.

The official `AppendRowsStream` is not used: it queues a request and its future in two steps that two
threads can interleave, hides why a connection did not open, and its futures poll once a second.
"""

import itertools
import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

import grpc
from google.api_core import exceptions
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types

_numbers = itertools.count(1)


class Connection:
    """An open AppendRows call to one write stream; threads may share it.

    https://cloud.google.com/bigquery/docs/write-api#connections
    """

    def __init__(self, client: BigQueryWriteClient, write_stream: str) -> None:
        self.number = next(_numbers)
        """Which of all connections of the process it is, in the order of their opening."""
        self.waiting = 0
        """Bytes of rows that wait for an answer."""
        self.proven = False
        """Whether BigQuery has answered on this connection."""
        self._lock = threading.Lock()
        self._pending: deque[tuple[Future[types.AppendRowsResponse], int]] = deque()
        self._requests: queue.SimpleQueue[types.AppendRowsRequest | None] = queue.SimpleQueue()
        self._failure: exceptions.GoogleAPICallError | None = None
        # The transport's own callable returns at once; the client's waits for the first answer.
        self._call: Any = client.transport.append_rows(
            iter(self._requests.get, None), metadata=[to_grpc_metadata([("write_stream", write_stream)])]
        )
        threading.Thread(target=self._read, name=f"append {write_stream}", daemon=True).start()

    @property
    def failed(self) -> bool:
        """Whether the connection has ended, so that a new one is needed."""
        return self._failure is not None

    def send(self, request: types.AppendRowsRequest) -> Future[types.AppendRowsResponse]:
        """Send a request; the future holds BigQuery's answer, or the error that ended the connection.

        Only the request that BigQuery was at when the connection ended gets that error; to the others
        it is `Aborted`, since they are not to blame for it.
        """
        future: Future[types.AppendRowsResponse] = Future()
        size = len(request.arrow_rows.rows.serialized_record_batch)
        with self._lock:
            if self._failure is None:
                self._pending.append((future, size))
                self.waiting += size
                self._requests.put(request)
                return future
        future.set_exception(_aborted(self._failure))
        return future

    def close(self, reason: exceptions.GoogleAPICallError) -> None:
        """End the connection; requests that wait for an answer fail."""
        self._fail(reason)
        self._call.cancel()

    def _read(self) -> None:
        try:
            for response in self._call:
                self.proven = True
                with self._lock:
                    future, size = self._pending.popleft() if self._pending else (None, 0)
                    self.waiting -= size
                if future is not None:
                    future.set_result(response)
            self._fail(exceptions.ServiceUnavailable("BigQuery closed the connection"))
        except grpc.RpcError as error:
            self._fail(exceptions.from_grpc_error(error))

    def _fail(self, reason: exceptions.GoogleAPICallError) -> None:
        with self._lock:
            if self._failure is not None:
                return
            self._failure = reason
            pending, self._pending = self._pending, deque()
        self._requests.put(None)
        for place, (future, _) in enumerate(pending):
            future.set_exception(_aborted(reason) if place else reason)


def _aborted(reason: exceptions.GoogleAPICallError) -> exceptions.Aborted:
    return exceptions.Aborted(f"the connection had ended: {reason}")
