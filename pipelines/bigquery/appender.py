"""Appends rows over the Storage Write API, and does not rest until each row is stored or refused."""

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from functools import cache

from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

from pipelines.bigquery.chunks import RefusedRow, cut
from pipelines.bigquery.culprits import find_culprits
from pipelines.bigquery.faults import RequestRefusedError
from pipelines.bigquery.lane import Lane, Retry, Sent
from pipelines.bigquery.target import Target, write_client
from pipelines.core.rows import Row

CONNECTIONS = 4
"""How many connections a process opens to a table at most, where nothing else is said."""
_DEFAULT_RETRY = Retry()


def shared(target: Target, connections: int = CONNECTIONS) -> "Appender":
    """Return the appender of a target that all threads of this process share."""
    return _appender_of(target, connections, os.getpid())


@cache
def _appender_of(target: Target, connections: int, process: int) -> "Appender":
    return Appender(write_client(target), target, connections=connections)


class Appender:
    """Appends to the tables of a target, over one connection per table or more; threads may share it.

    A process forked from this one needs an appender of its own.
    """

    def __init__(
        self,
        client: BigQueryWriteClient,
        target: Target,
        retry: Retry = _DEFAULT_RETRY,
        connections: int = CONNECTIONS,
    ) -> None:
        self._client = client
        self._target = target
        self._retry = retry
        self._connections = connections
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def append(self, table: str, rows: Sequence[Row]) -> "Append":
        """Send rows of one table, and return without waiting for their confirmation.

        Raises:
            AppenderClosedError: the appender was closed.
        """
        return Append(self._lane(table), table, rows)

    def take_setup_waits(self) -> Counter[str]:
        """Return how often rows have waited for what only people can mend, by table, since this was last asked."""
        with self._lock:
            return +Counter({table: lane.take_setup_waits() for table, lane in self._lanes.items()})

    def close(self) -> None:
        """Close all connections; whoever waits for a confirmation gets `AppenderClosedError`."""
        self._closing.set()
        with self._lock:
            for lane in self._lanes.values():
                lane.close()

    def _lane(self, table: str) -> Lane:
        with self._lock:
            if table not in self._lanes:
                stream = self._target.write_stream(table)
                self._lanes[table] = Lane(
                    self._client, table, stream, self._retry, self._closing, self._connections
                )
            return self._lanes[table]


class Append:
    """Rows on their way to a table."""

    def __init__(self, lane: Lane, table: str, rows: Sequence[Row]) -> None:
        self.table = table
        self.count = len(rows)
        self.bytes_sent = 0
        self._lane = lane
        self._sent: deque[Sent] = deque()
        self._refused: list[RefusedRow] = []
        self._send(rows)

    def result(self) -> list[RefusedRow]:
        """Wait until every row is stored or refused for good; return the refused ones.

        Raises:
            TableUnavailableError: the table stayed missing, or closed to us, for too long.
            AppenderClosedError: the appender was closed meanwhile.
        """
        while self._sent:
            self._settle(self._sent[0])
            self._sent.popleft()
        return self._refused

    def _settle(self, sent: Sent) -> None:
        rows = sent.chunk.rows
        try:
            refused = self._lane.confirm(sent)
        except RequestRefusedError as error:
            self._refused += find_culprits(self._lane, self.table, rows, error)
            return
        if refused:
            # BigQuery stores all rows of a request or none.
            self._refused += [RefusedRow(rows[index], error) for index, error in refused.items()]
            self._send([row for index, row in enumerate(rows) if index not in refused])

    def _send(self, rows: Sequence[Row]) -> None:
        chunks, refused = cut(self.table, rows, time.time_ns() // 1_000)
        self._refused += refused
        self.bytes_sent += sum(len(chunk.data) for chunk in chunks)
        self._sent += [self._lane.send(chunk) for chunk in chunks]
