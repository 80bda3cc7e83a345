"""Filters on a date reach the partitioned table, as far as an engine at hand can show it.

What a query reads BigQuery tells when it runs there; the local one tells nothing. DuckDB, on which the local one
runs, can push a filter below a window only where BigQuery can, too: where the filtered column is among those by
which the window is partitioned. So DuckDB's plans show whether a view leaves the filter a way down to the table.
"""

import datetime as dt
import json
import re
from pathlib import Path
from string import Template

import duckdb
import pytest
import sqlglot

from pipelines.local.bigquery_translation import step_by_step
from schemas import loader, view_columns
from schemas.scans import scans

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook.md"
DAY = "DATE '2026-03-05'"
SINCE = "TIMESTAMP '2026-03-05 00:00:00'"


@pytest.fixture(scope="module")
def plans():
    """A DuckDB with Parley's tables, some days in each, and its views."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA rows_; CREATE SCHEMA views_")
        connection.execute("CREATE MACRO SAFE_CONVERT_BYTES_TO_STRING(x) AS decode(x)")
        for spec in loader.tables().values():
            columns = ", ".join(map(_column, spec.columns))
            connection.execute(f"CREATE TABLE rows_.{spec.name} AS SELECT {columns} FROM range(10) AS days(day)")
        made = set()
        for name in loader.views():
            _make_view(connection, name, made)
        yield connection


def _column(column):
    value = {
        "STRING": "'x' || day",
        "INT64": "day",
        "TIMESTAMP": "TIMESTAMP '2026-03-01 00:00:00' + to_days(day::INT)",
        "DATE": "DATE '2026-03-01' + day::INT",
        "BYTES": "NULL::BLOB",
    }[column.type]
    return f'{f"[{value}]" if column.mode == "REPEATED" else value} AS "{column.name}"'


def _make_view(connection, name, made):
    sql = loader.views()[name]
    for dataset, source in view_columns.reads(sql):
        if dataset == "views" and source not in made:
            _make_view(connection, source, made)
    googlesql = Template(sql).substitute(rows="rows_", views="views_").replace("SAFE.", "")
    connection.execute(f"CREATE OR REPLACE VIEW views_.{name} AS " + _translated(googlesql))
    made.add(name)


def _translated(googlesql):
    (sql,) = sqlglot.transpile(googlesql, read="bigquery", write="duckdb")
    return step_by_step(sql)


def reads(connection, query):
    """Return each read of a table in the plan of a query, and the filter that it is done with."""
    (row,) = connection.execute(f"EXPLAIN (FORMAT JSON) {query}").fetchall()
    return list(_scans(json.loads(row[1])))


def _scans(nodes):
    for node in nodes:
        found = node.get("extra_info", {})
        if "Table" in found:
            yield found["Table"].rpartition(".")[2], str(found.get("Filters", ""))
        yield from _scans(node.get("children", []))


@pytest.mark.parametrize(
    ("view", "condition", "column", "tables"),
    [
        ("messages", f"sent_date = {DAY}", "sent_date", {"messages"}),
        ("message_texts", f"sent_date = {DAY}", "sent_date", {"messages"}),
        ("messages_current", f"sent_date = {DAY}", "sent_date", {"messages"}),
        ("daily_activity", f"sent_date = {DAY}", "sent_date", {"messages"}),
        ("metadata", f"occurred_date = {DAY}", "occurred_date", {"metadata"}),
        ("events", f"received_date = {DAY}", "received_at", {"events"}),
        ("events", f"received_at >= {SINCE}", "received_at", {"events"}),
        ("dead_letters", f"received_date = {DAY}", "received_at", {"dead_letters"}),
        ("dead_letters", f"received_at >= {SINCE}", "received_at", {"dead_letters"}),
        ("data_quality", f"day = {DAY}", "received_at", {"events", "dead_letters"}),
        ("data_quality", f"day = {DAY}", "sent_date", {"messages"}),
    ],
)
def test_a_filter_is_applied_where_the_table_is_read(plans, view, condition, column, tables):
    found = reads(plans, f"SELECT * FROM views_.{view} WHERE {condition}")

    assert tables <= {table for table, _ in found}
    for table, applied in found:
        if table in tables:
            assert column in applied


def test_what_a_delivery_funnel_says_is_read_from_the_days_that_are_asked_for(plans):
    found = reads(plans, f"SELECT * FROM views_.delivery_funnel WHERE sent_date = {DAY}")

    assert any(table == "messages" and "sent_date" in applied for table, applied in found)


def filters_of_the_cookbook():
    """Yield each view of the table of what a filter reads, a column to filter on, and what the table says."""
    table = COOKBOOK.read_text().partition("| view | filter on | reads |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        views, columns, told = line.strip("|").split("|")
        named, filtered = (re.findall(r"`(\w+)`", cell) for cell in (views, columns))
        for number, view in enumerate(named):
            column = filtered[number if len(filtered) == len(named) else 0] if filtered else None
            yield view, column, told


@pytest.mark.thorough
@pytest.mark.parametrize(("view", "column", "told"), list(filters_of_the_cookbook()))
def test_the_cookbook_names_what_is_read_with_content_of_all_days(view, column, told):
    days = frozenset(dt.date(2026, 3, day) for day in range(1, 11))
    condition = f" WHERE {column} = {DAY}" if column else ""

    found = scans(f"SELECT * FROM views.{view}{condition}", {}, days)

    of_all_days = {scan.table for scan in found if "content" in scan.columns and scan.days == days}
    assert of_all_days == set(re.findall(r"of (\w+) with content", told))


def test_a_view_that_orders_all_of_history_reads_all_of_it(plans):
    """So that this file would notice if it could not tell the difference."""
    found = reads(plans, f"SELECT * FROM views_.response_times WHERE asked_date = {DAY}")

    assert ("messages", "") in found
