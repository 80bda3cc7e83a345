"""The connections to one table: as many as what waits asks for, and no more than are allowed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types

from pipelines.bigquery.connection import Connection

_CROWDED = 1_000_000
"""Bytes that wait on a connection when the next request takes another: BigQuery promises 1 MB/s of each.

https://cloud.google.com/bigquery/docs/write-api-best-practices#connection_pool_management
"""


class Pool:
    """Sends requests over few connections, in no order; threads may share it.

    One that idles is closed by BigQuery after some minutes, and forgotten then.
    """

    def __init__(self, open_one: Callable[[], Connection], most: int) -> None:
        self._open_one = open_one
        self._most = most
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        """In the order in which they were opened."""
        self._closed: exceptions.GoogleAPICallError | None = None

    def send(self, request: types.AppendRowsRequest) -> tuple[Connection, "Future[types.AppendRowsResponse]"]:
        """Send a request on the connection on which least waits, a new one if need be.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: the pool was closed, for this reason.
        """
        with self._lock:
            if self._closed is not None:
                raise self._closed
            connection = self._least_busy()
            # Within the lock, so that the next one sees what waits.
            return connection, connection.send(request)

    def recovered(self, lost: Connection) -> bool:
        """Return whether BigQuery has answered on a connection that was opened after one that has ended."""
        with self._lock:
            later = [each for each in self._connections if each.number > lost.number]
            return lost.failed and any(each.proven and not each.failed for each in later)

    def close(self, reason: exceptions.GoogleAPICallError) -> None:
        """End all connections, and open none again."""
        with self._lock:
            self._closed = reason
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close(reason)

    def _least_busy(self) -> Connection:
        self._connections = [each for each in self._connections if not each.failed]
        least = min(self._connections, key=lambda each: each.waiting, default=None)
        if least is None or (least.waiting >= _CROWDED and len(self._connections) < self._most):
            least = self._open_one()
            self._connections.append(least)
        return least
