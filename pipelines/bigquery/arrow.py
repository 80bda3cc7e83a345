"""Rows as Arrow: what the Storage Write API appends and what Parquet files for load jobs hold."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.core.rows import Row
from schemas import loader

PROCESSED_AT = "processed_at"
PLACED_AT, RUN_ID = "placed_at", "run_id"
UNMADE = frozenset({PROCESSED_AT, PLACED_AT, RUN_ID})
"""Columns that say when and by whom a row was stored, which `normalize` cannot know."""
PARQUET: dict[str, Any] = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
"""How Parquet is written: most values are ids and texts of their own, and zstd finds the others by itself. Load
jobs read all of it, and need no statistics."""
_ROWS_AT_ONCE = 4_096
"""Each column takes a pass over its rows, which the processor's cache had better hold."""

_TYPES: dict[str, pa.DataType] = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INT64": pa.int64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


class NullInRequiredColumnError(ValueError):
    """A row has no value for a column that must have one."""


@cache
def schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table, its columns in the table's order.

    https://cloud.google.com/bigquery/docs/supported-data-types#supported-arrow-data-types
    """
    return pa.schema([_field(column) for column in loader.tables()[table].columns])


def record_batch(table: str, rows: Sequence[Row], processed_at_micros: int) -> pa.RecordBatch:
    """Return rows of one table, at least one, as Arrow columns.

    Raises:
        NullInRequiredColumnError: a row lacks a required value.
        pa.ArrowException, UnicodeError, OverflowError: a value does not fit its column.
    """
    arrays = [_column(table, field, rows, processed_at_micros) for field in schema(table)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(table))


def _column(table: str, field: pa.Field, rows: Sequence[Row], processed_at_micros: int) -> pa.Array:
    if field.name == PROCESSED_AT:
        return pa.repeat(pa.scalar(processed_at_micros, field.type), len(rows))
    if field.name in UNMADE:
        return pa.nulls(len(rows), field.type)
    array = pa.array(_getter(table, field.name)(rows), field.type)
    if array.null_count and not field.nullable:
        raise NullInRequiredColumnError(f"{field.name} is required but has no value")
    return array


def write_parquet(
    table: str, groups: Iterable[Sequence[Row]], file: BinaryIO | str, processed_at_micros: int
) -> int:
    """Write groups of rows of one table as the row groups of a Parquet file; return how many rows.

    A load job needs `ParquetOptions.enable_list_inference` to see repeated columns as such.

    Raises:
        NullInRequiredColumnError, pa.ArrowException, UnicodeError, OverflowError: as `record_batch`.
    """
    count = 0
    with pq.ParquetWriter(file, schema(table), **PARQUET) as writer:
        for rows in groups:
            if rows:
                starts = range(0, len(rows), _ROWS_AT_ONCE)
                parts = [record_batch(table, rows[n : n + _ROWS_AT_ONCE], processed_at_micros) for n in starts]
                writer.write_table(pa.Table.from_batches(parts), row_group_size=len(rows))
                count += len(rows)
    return count


@cache
def _getter(table: str, column: str) -> Callable[[Sequence[Row]], list[Any]]:
    """Return a function that gives a column of a table's rows."""
    # Half the time of `attrgetter`: where code names an attribute, the interpreter learns where it lies in a row.
    getter: Callable[[Sequence[Row]], list[Any]] = eval(f"lambda rows: [row.{column} for row in rows]")  # noqa: S307
    return getter


def _field(column: loader.Column) -> pa.Field:
    kind = _TYPES[column.type]
    if column.mode == "REPEATED":
        return pa.field(column.name, pa.list_(pa.field("item", kind, nullable=False)), nullable=False)
    return pa.field(column.name, kind, nullable=column.mode != "REQUIRED")
