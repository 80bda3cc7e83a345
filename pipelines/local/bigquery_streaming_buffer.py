"""Makes the local BigQuery refuse to change, in a transaction, rows that were streamed a short while ago.

Google does not support UPDATE, DELETE or MERGE within a multi-statement transaction against rows that the Storage
Write API has written within the last 30 minutes; outside of a transaction they may change them at once. The words
of the refusal are documented for the older way of streaming only; they are these.

https://cloud.google.com/bigquery/docs/write-api#use_data_manipulation_language_dml_with_recently_streamed_data
https://cloud.google.com/knowledge/kb/cannot-update-or-delete-over-bigquery-streaming-tables-000004334
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import duckdb
import pyarrow as pa
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.storage.sql_identifiers import quoted_table_ref

from pipelines.local.bigquery_statements import Table

_STREAMED = '"_parley"."streamed"'
_FORGET_EVERY = dt.timedelta(minutes=1)


class StreamingBuffer:
    """Knows the rows that were streamed within a length of time, by a hash of their content."""

    def __init__(self, length: dt.timedelta, connection: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        """Take how long a row stays, and what gives the connection on which the current request works."""
        self._length = length
        self._connection = connection
        self._forgot_at: dt.datetime | None = None
        connection().execute('CREATE SCHEMA IF NOT EXISTS "_parley"')
        # On disk, as the rows are: a restart empties no buffer.
        connection().execute(
            f"CREATE TABLE IF NOT EXISTS {_STREAMED} (name VARCHAR, streamed_at TIMESTAMPTZ, content UBIGINT)"
        )

    def take(self, table: Table, rows: pa.Table, now: dt.datetime) -> None:
        """Remember rows that have just been streamed to a table."""
        if not self._length:
            return
        name = f"__streamed_{uuid4().hex}"
        self._connection().register(name, rows)
        try:
            # By way of the table, whose types may differ: a row is to hash alike when it is read from there.
            stored = f"SELECT * FROM {_quoted(table)} WHERE FALSE UNION ALL SELECT * FROM {name}"  # noqa: S608
            sql = f"INSERT INTO {_STREAMED} SELECT ?, ?, hash(r) FROM ({stored}) AS r"  # noqa: S608
            self._connection().execute(sql, [str(table), now])
        finally:
            self._connection().unregister(name)
        if self._forgot_at is None or now - self._forgot_at > _FORGET_EVERY:
            self._forgot_at = now
            self._connection().execute(
                f"DELETE FROM {_STREAMED} WHERE streamed_at <= ?",  # noqa: S608
                [now - self._length],
            )

    @contextmanager
    def guarding(self, changed: Sequence[Table], now: dt.datetime) -> Iterator[None]:
        """Let a block change tables, but no row that was streamed to them lately.

        Raises:
            InvalidQueryError: it has changed one; its transaction must be rolled back.
        """
        before = {table: self._count(table, now) for table in changed}
        yield
        for table, count in before.items():
            if count and self._count(table, now) < count:
                raise InvalidQueryError(
                    f"UPDATE or DELETE statement over table {table} would affect rows in the streaming buffer, "
                    "which is not supported",
                    location="query",
                )

    def _count(self, table: Table, now: dt.datetime) -> int:
        recent = f"SELECT content FROM {_STREAMED} WHERE name = ? AND streamed_at > ?"  # noqa: S608
        values = [str(table), now - self._length]
        if not self._connection().execute(f"{recent} LIMIT 1", values).fetchall():
            return 0
        sql = f"SELECT COUNT(*) FROM {_quoted(table)} AS r WHERE hash(r) IN ({recent})"  # noqa: S608
        (count,) = self._connection().execute(sql, values).fetchall()[0]
        return int(count)


def _quoted(table: Table) -> str:
    return str(quoted_table_ref(*table))
