"""The one DuckDB of bqemulator 1.4, with a connection of its own for each transaction that is under way.

bqemulator has one connection, so that whatever runs while a transaction is open is part of it.
"""

import asyncio
import datetime as dt
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import duckdb
from bqemulator.storage.engine import DuckDBEngine

from pipelines.local import bigquery_meanings
from pipelines.local.bigquery_streaming_buffer import StreamingBuffer
from pipelines.local.bigquery_turns import Turns

GOOGLES_BUFFER = dt.timedelta(minutes=30)
_CHECKPOINT_THRESHOLD = "256MB"
"""How long DuckDB's log may become before it is worked into the tables. Each time the last group of rows is
written again, of dead letters perhaps a gigabyte: at the usual 16 MB, large ones took most of a processor.
https://duckdb.org/docs/stable/configuration/overview"""
_transaction: ContextVar[duckdb.DuckDBPyConnection | None] = ContextVar("_transaction", default=None)
"""The connection of the transaction that the current request has open."""


class Engine(DuckDBEngine):
    """DuckDB, what was streamed to it lately, and who changes what."""

    buffer_length = GOOGLES_BUFFER

    streamed: StreamingBuffer
    turns: Turns

    async def start(self) -> None:
        """Open the database, and make what the rules remember."""
        # At each statement with parameters DuckDB looks for pandas on the disk, unless told that there is none.
        sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
        await super().start()
        super().connection.execute(f"SET checkpoint_threshold = '{_CHECKPOINT_THRESHOLD}'")
        self.streamed = StreamingBuffer(self.buffer_length, lambda: self.connection)
        self.turns = Turns()
        bigquery_meanings.define(self.connection)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return the connection on which the current request works."""
        return _transaction.get() or super().connection

    def begin(self) -> None:
        """Begin a transaction of the current request, which sees the database as it is now."""
        connection = super().connection.cursor()
        # Settings are a connection's own.
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN TRANSACTION")
        # DuckDB takes its snapshot when a transaction first reads.
        connection.execute('SELECT 1 FROM "_parley"."streamed" LIMIT 1').fetchall()
        _transaction.set(connection)

    def end(self, statement: str) -> None:
        """End the current request's transaction by COMMIT or ROLLBACK."""
        connection = self.connection
        _transaction.set(None)
        try:
            connection.execute(statement)
        finally:
            connection.close()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Make a transaction of what the current request does in a block that does not wait."""
        self.begin()
        try:
            yield
        except BaseException:
            self.end("ROLLBACK")
            raise
        self.end("COMMIT")

    async def give_way(self) -> None:
        """Let other requests run."""
        for _ in range(3):
            await asyncio.sleep(0)
