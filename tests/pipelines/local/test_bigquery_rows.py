"""What bqemulator itself would write, over values of every type and of any nesting."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from bqemulator.storage import arrow_bridge

from pipelines.local import bigquery_rows

MOMENT = dt.datetime(2026, 3, 14, 9, 26, 53, 589_793, tzinfo=dt.UTC)
NAME = pa.struct([("name", pa.string()), ("at", pa.list_(pa.timestamp("us", tz="UTC")))])
VALUES = {
    "whole": pa.array([1, None, -(2**63)], pa.int64()),
    "float": pa.array([1.5, None, float("nan")]),
    "numeric": pa.array([Decimal("1.50"), None, Decimal("-0.01")], pa.decimal128(38, 9)),
    "yes": pa.array([True, None, False]),
    "text": pa.array(["hi 🚀", None, ""]),
    "bytes": pa.array([b"\x00\xff", None, b""]),
    "day": pa.array([MOMENT.date(), None, dt.date.min]),
    "time": pa.array([MOMENT.time(), None, dt.time.min], pa.time64("us")),
    "moment": pa.array([MOMENT, None, dt.datetime(1, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", tz="UTC")),
    "elsewhere": pa.array([MOMENT, None, MOMENT], pa.timestamp("us", tz="Asia/Tokyo")),
    "datetime": pa.array([MOMENT.replace(tzinfo=None), None, dt.datetime.max], pa.timestamp("us")),
    "texts": pa.array([["a", None], None, []], pa.list_(pa.string())),
    "names": pa.array(
        [[{"name": "Ana", "at": [MOMENT]}, None], None, [{"name": None, "at": None}]], pa.list_(NAME)
    ),
    "one": pa.array([{"name": "Ana", "at": []}, None, {"name": "", "at": [None]}], NAME),
    "interval": pa.array([(1, 2, 3_000), None, (0, 0, 0)], pa.month_day_nano_interval()),
}


@pytest.mark.parametrize("name", VALUES)
def test_each_type_is_written_as_bqemulator_writes_it(name: str):
    table = pa.table({name: VALUES[name]})

    assert bigquery_rows.rows(table) == arrow_bridge.arrow_table_to_bq_rows(table)


@pytest.mark.parametrize(("offset", "limit"), [(0, None), (1, 1), (2, 5), (3, 1), (0, 0)])
def test_a_page_is_what_was_asked_for(offset: int, limit: int | None):
    table = pa.table(VALUES)

    found = bigquery_rows.rows(table, offset=offset, limit=limit)

    assert found == arrow_bridge.arrow_table_to_bq_rows(table, offset=offset, limit=limit)
    assert len(found) == len(range(3)[offset:][:limit])


def test_a_result_without_columns_has_no_rows():
    assert bigquery_rows.rows(pa.table({})) == []
