"""The way into one table: its shared connections, opened again whenever they break, with patience and a log."""

import logging
import random
import threading
import time
from concurrent.futures import Future

import msgspec
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types

from pipelines.bigquery import arrow
from pipelines.bigquery.chunks import Chunk
from pipelines.bigquery.connection import Connection
from pipelines.bigquery.faults import (
    Fault,
    RequestRefusedError,
    RequestTooLargeError,
    RowRefusedError,
    classify,
)
from pipelines.bigquery.pool import Pool

_TRACE_ID = "parley"
_MISSING = " Run `parley tables deploy`, or check permissions."
_ALIKE = (
    " All rows are refused alike, so the table is not what they are made for: run `parley tables deploy` of the"
    " version that runs."
)
_log = logging.getLogger(__name__)


class TableUnavailableError(Exception):
    """A table is missing, closed to us or of another schema, for longer than a deployment takes."""


class AppenderClosedError(Exception):
    """The appender was closed before BigQuery had confirmed the rows."""


class Retry(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds. BigQuery being away is waited out without end."""

    first_delay: float = 0.1
    longest_delay: float = 16.0
    setup_patience: float = 300.0
    """How long a table may be missing: a new one takes minutes to be known everywhere."""
    answer_timeout: float = 120.0
    """How long BigQuery may be silent before the connection is given up."""

    def delay(self, attempts: int) -> float:
        """Return how long to wait after so many failed attempts."""
        delay = min(self.longest_delay, self.first_delay * 2.0 ** min(attempts - 1, 32))
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  spreads retries, guards nothing


class Sent:
    """A chunk on its way: on which connection it went, and what comes back."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.place: int
        """Its place among all requests of the lane, in the order in which they were sent."""
        self.connection: Connection
        self.future: Future[types.AppendRowsResponse]


class Lane:
    """Sends chunks to one table and gets them confirmed; threads may share it."""

    def __init__(
        self,
        client: BigQueryWriteClient,
        table: str,
        write_stream: str,
        retry: Retry,
        closing: threading.Event,
        most_connections: int,
    ) -> None:
        self._table = table
        self._retry = retry
        self._closing = closing
        self._connections = Pool(lambda: Connection(client, write_stream), most_connections)
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._troubled_since: float | None = None
        self._last_sent = 0
        self._last_stored = 0
        self._setup_waits = 0
        # Stream and schema go into every request: some servers remember neither from the first.
        self._template = types.AppendRowsRequest(
            write_stream=write_stream,
            trace_id=_TRACE_ID,
            arrow_rows=types.AppendRowsRequest.ArrowData(
                writer_schema=types.ArrowSchema(serialized_schema=arrow.schema(table).serialize().to_pybytes())
            ),
        )

    def send(self, chunk: Chunk) -> Sent:
        """Send a chunk without waiting for its confirmation."""
        sent = Sent(chunk)
        self._send(sent)
        return sent

    def confirm(self, sent: Sent) -> dict[int, RowRefusedError]:
        """Wait until BigQuery has stored a chunk, sending it again as often as that takes.

        Returns:
            Nothing when it is stored; else the rows, by their place in the chunk, for which BigQuery
            stored none of it.

        Raises:
            RequestRefusedError: BigQuery refuses the chunk without saying which rows are to blame.
            RequestTooLargeError: the chunk is larger than BigQuery takes.
            TableUnavailableError: the table stayed missing, or closed to us, for too long.
            AppenderClosedError: the appender was closed meanwhile.
        """
        attempts = 0
        setup_since: float | None = None
        while True:
            try:
                refused = self._answer(sent)
            except exceptions.GoogleAPICallError as error:
                attempts += 1
                fault, now = classify(error), time.monotonic()
                if fault is Fault.SETUP:
                    setup_since = setup_since or now
                elif not isinstance(error, exceptions.Aborted):
                    # BigQuery is away, for hours perhaps, which nobody has to mend. An abortion tells of others.
                    setup_since = None
                self._bear(error, fault, attempts, now - (setup_since or now), sent)
                self._send(sent)
            else:
                if not refused:
                    self._note_success(sent)
                return refused

    def take_setup_waits(self) -> int:
        """Return how often rows have waited for people since this was last asked."""
        with self._lock:
            waits, self._setup_waits = self._setup_waits, 0
        return waits

    def last_sent(self) -> int:
        """Return the place of the latest request, for `took_since`."""
        with self._lock:
            return self._last_sent

    def took_since(self, place: int) -> bool:
        """Return whether BigQuery is known to have taken a request that was sent later than that one."""
        with self._lock:
            return self._last_stored > place

    def wait_for_setup(self, error: Exception, attempts: int, elapsed: float) -> None:
        """Wait, after so many attempts and seconds, for people to mend what no repetition mends.

        Raises:
            TableUnavailableError: they have had `setup_patience`.
            AppenderClosedError: the appender was closed meanwhile.
        """
        if elapsed > self._retry.setup_patience:
            raise TableUnavailableError(f"{self._table} takes no rows: {error}") from error
        delay = self._retry.delay(attempts)
        self._note_trouble(_ALIKE, error, delay)
        self._wait(delay, error)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close(exceptions.Cancelled("the appender was closed"))

    def _send(self, sent: Sent) -> None:
        request = types.AppendRowsRequest(self._template)
        request.arrow_rows.rows.serialized_record_batch = sent.chunk.data
        with self._lock:
            if self._closing.is_set():
                raise AppenderClosedError(f"closed before {self._table} had taken all rows")
            self._last_sent += 1
            sent.place = self._last_sent
        try:
            sent.connection, sent.future = self._connections.send(request)
        except exceptions.Cancelled as closed:
            raise AppenderClosedError(f"closed before {self._table} had taken all rows") from closed

    def _answer(self, sent: Sent) -> dict[int, RowRefusedError]:
        try:
            response = sent.future.result(self._retry.answer_timeout)
        except TimeoutError:
            silence = exceptions.DeadlineExceeded(f"no answer in {self._retry.answer_timeout:g} s")
            sent.connection.close(silence)
            raise silence from None
        refused = {
            error.index: RowRefusedError(error.message)
            for error in response.row_errors
            if 0 <= error.index < len(sent.chunk.rows)
        }
        if response.error.code and not refused:
            raise exceptions.from_grpc_status(
                response.error.code, response.error.message, details=list(response.error.details)
            )
        return refused

    def _bear(
        self, error: exceptions.GoogleAPICallError, fault: Fault, attempts: int, unmended: float, sent: Sent
    ) -> None:
        """Return when it is time to try again, or raise when that is of no use."""
        if fault is Fault.SIZE:
            raise RequestTooLargeError(error.message) from error
        if fault is Fault.REQUEST:
            raise RequestRefusedError(error.message) from error
        if fault is Fault.FATAL or (fault is Fault.SETUP and unmended > self._retry.setup_patience):
            raise TableUnavailableError(f"{self._table} takes no rows: {error}") from error
        if self._closing.is_set():
            raise AppenderClosedError(f"closed before {self._table} had taken all rows") from error
        if self._connections.recovered(sent.connection):
            return  # Another thread has waited already and found BigQuery back.
        delay = self._retry.delay(attempts)
        self._note_trouble(_MISSING if fault is Fault.SETUP else "", error, delay)
        self._wait(delay, error)

    def _wait(self, delay: float, error: Exception) -> None:
        if self._closing.wait(delay):
            raise AppenderClosedError(f"closed before {self._table} had taken all rows") from error

    def _note_trouble(self, hint: str, error: Exception, delay: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._setup_waits += bool(hint)
            if self._troubled_since is None:
                self._troubled_since = now
            if now < self._quiet_until:
                return
            self._quiet_until = now + delay
        _log.warning(
            "BigQuery does not take rows of %s now (%s); they are kept and tried again in %.1f s.%s",
            self._table,
            error,
            delay,
            hint,
        )

    def _note_success(self, sent: Sent) -> None:
        with self._lock:
            since, self._troubled_since = self._troubled_since, None
            self._last_stored = max(self._last_stored, sent.place)
        if since is not None:
            _log.info("BigQuery takes rows of %s again, after %.1f s", self._table, time.monotonic() - since)
