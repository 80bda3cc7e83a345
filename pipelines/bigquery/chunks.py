"""Cuts rows into requests that BigQuery takes, and sets aside the rows that fit in none."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pyarrow as pa

from pipelines.bigquery import arrow
from pipelines.bigquery.faults import RowRefusedError, RowTooLargeError
from pipelines.core.rows import Row

LARGEST_CHUNK = 9_000_000
"""Bytes of Arrow data of rows that travel in one request. BigQuery documents 20 MB, but as late as November 2025
it has refused what is above 10 MiB (https://github.com/hafenkran/duckdb-bigquery/issues/134)."""
LARGEST_ROW = 19_500_000
"""Bytes of Arrow data of a row that needs a request for itself: what BigQuery documents, less the envelope. Where
it takes less, it says so, and the row is refused then.

https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#appendrowsrequest
"""


class Chunk(msgspec.Struct, frozen=True):
    """Rows that travel in one request."""

    rows: Sequence[Row]
    data: bytes
    """The rows as one serialized Arrow record batch."""


class RefusedRow(NamedTuple):
    """A row that was not stored, and why."""

    row: Row
    error: RowRefusedError


def cut(table: str, rows: Sequence[Row], processed_at_micros: int) -> tuple[list[Chunk], list[RefusedRow]]:
    """Return the requests that rows of one table need, and the rows that fit in none."""
    chunks: list[Chunk] = []
    refused: list[RefusedRow] = []
    if rows:
        _encode(table, rows, processed_at_micros, chunks, refused)
    return chunks, refused


def _encode(table: str, rows: Sequence[Row], now: int, chunks: list[Chunk], refused: list[RefusedRow]) -> None:
    try:
        batch = arrow.record_batch(table, rows, now)
    except (ValueError, OverflowError, TypeError, pa.ArrowException) as error:
        if len(rows) == 1:
            refused.append(RefusedRow(rows[0], RowRefusedError(f"{type(error).__name__}: {error}")))
            return
        middle = len(rows) // 2
        _encode(table, rows[:middle], now, chunks, refused)
        _encode(table, rows[middle:], now, chunks, refused)
        return
    _fit(rows, batch, chunks, refused)


def _fit(rows: Sequence[Row], batch: pa.RecordBatch, chunks: list[Chunk], refused: list[RefusedRow]) -> None:
    size = pa.ipc.get_record_batch_size(batch)
    if size <= (LARGEST_CHUNK if len(rows) > 1 else LARGEST_ROW):
        chunks.append(Chunk(rows, batch.serialize().to_pybytes()))
    elif len(rows) == 1:
        message = f"{size:,} bytes, but a request holds {LARGEST_ROW:,}"
        refused.append(RefusedRow(rows[0], RowTooLargeError(message)))
    else:
        middle = len(rows) // 2
        _fit(rows[:middle], batch.slice(0, middle), chunks, refused)
        _fit(rows[middle:], batch.slice(middle), chunks, refused)
