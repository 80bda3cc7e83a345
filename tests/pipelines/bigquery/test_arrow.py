import datetime as dt
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from row_samples import RECEIVED, sample

from pipelines.bigquery import arrow
from pipelines.core.rows import TABLES
from pipelines.core.times import to_micros
from schemas import loader

NOW = to_micros(dt.datetime(2026, 11, 22, 13, 0, 0, 1, dt.UTC))


@pytest.mark.parametrize("table", TABLES)
def test_a_batch_has_the_columns_of_the_table_in_its_order(table: str) -> None:
    batch = arrow.record_batch(table, [sample(table)], NOW)

    assert batch.schema.names == [column.name for column in loader.tables()[table].columns]
    batch.validate(full=True)


def test_values_arrive_as_they_were() -> None:
    (row,) = arrow.record_batch("messages", [sample("messages")], NOW).to_pylist()

    assert row["content"] == "grüße 👋"
    assert row["sent_at"] == RECEIVED
    assert row["sent_date"] == RECEIVED.date()
    assert row["flags"] == ["grüße 👋", ""]
    assert row["processed_at"] == dt.datetime(2026, 11, 22, 13, 0, 0, 1, dt.UTC)


def test_nullable_columns_may_be_null_and_repeated_ones_empty() -> None:
    row = sample("messages", content=None, flags=())

    assert arrow.record_batch("messages", [row], NOW).to_pylist()[0]["content"] is None
    assert arrow.record_batch("messages", [row], NOW).to_pylist()[0]["flags"] == []


def test_a_null_in_a_required_column_is_named() -> None:
    with pytest.raises(arrow.NullInRequiredColumnError, match="channel_id"):
        arrow.record_batch("channels", [sample("channels"), sample("channels", channel_id=None)], NOW)


def test_parquet_holds_the_same_rows_as_a_batch(tmp_path: Path) -> None:
    rows = [sample("messages", message_id=str(index)) for index in range(5)]
    path = tmp_path / "messages.parquet"

    count = arrow.write_parquet("messages", [rows[:3], [], rows[3:]], str(path), NOW)

    table = pq.read_table(path)
    assert count == 5
    assert table.to_pylist() == arrow.record_batch("messages", rows, NOW).to_pylist()
    assert table.schema.equals(arrow.schema("messages"))
    assert pq.ParquetFile(path).num_row_groups == 2


def test_many_rows_become_columns_some_at_a_time_and_one_row_group(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(arrow, "_ROWS_AT_ONCE", 2)
    rows = [sample("messages", message_id=str(index)) for index in range(5)]
    path = tmp_path / "messages.parquet"

    count = arrow.write_parquet("messages", [rows], str(path), NOW)

    assert count == 5
    assert pq.read_table(path).to_pylist() == arrow.record_batch("messages", rows, NOW).to_pylist()
    assert pq.ParquetFile(path).num_row_groups == 1


def test_parquet_without_rows_is_a_file_that_loads(tmp_path: Path) -> None:
    file = io.BytesIO()

    assert arrow.write_parquet("events", [], file, NOW) == 0
    assert pq.read_table(pa.BufferReader(file.getvalue())).num_rows == 0
