"""`parley query`: what was asked comes out whole, in the format that was asked for, and changes nothing."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.cli import main

pytestmark = pytest.mark.thorough

VALUES = (
    "SELECT 1 AS n, CAST(NULL AS STRING) AS nothing, '' AS empty, 'a,\"b\"\\n[bold]c' AS text, "
    "TIMESTAMP '2026-03-14 12:00:00+00' AS at, NUMERIC '0.10' AS price, b'A' AS raw, TRUE AS yes, "
    "[1, 2] AS list, STRUCT('x' AS a, DATE '2026-03-14' AS day) AS pair"
)
MANY = "SELECT n, REPEAT('x', 300) AS long FROM UNNEST(GENERATE_ARRAY(1, 200)) AS n ORDER BY n"


@pytest.fixture
def parley(bigquery_client: bigquery.Client, bigquery_target: Target, monkeypatch, tmp_path: Path):
    """Runs `parley` with arguments in a folder of its own, against the test's own datasets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARLEY_PROJECT", bigquery_target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", bigquery_target.views_dataset.removesuffix("parley"))

    def run(*arguments: str, **kwargs) -> Result:
        return CliRunner().invoke(main, ["query", *arguments], **kwargs)

    return run


def test_the_table_has_every_row_and_letter_where_it_is_not_for_a_terminal(parley):
    result = parley(MANY)

    assert result.exit_code == 0, result.output
    assert result.output.count("x" * 300) == 200


def test_null_is_unlike_an_empty_text_and_markup_is_text(parley):
    result = parley(VALUES)

    assert "NULL" in result.output
    assert "[bold]c" in result.output


def test_no_rows_are_said(parley):
    assert "no rows" in parley("SELECT 1 AS n FROM UNNEST([1]) WHERE FALSE").output


@pytest.mark.parametrize("comment", ["-- How many?", "--How many?", "--"])
def test_sql_may_begin_with_a_comment(parley, comment: str):
    assert parley(f"{comment}\nSELECT 7 AS n", "--format", "ndjson").output == '{"n": 7}\n'


def test_csv_is_read_back(parley):
    result = parley(VALUES, "--format", "csv")

    header, row = csv.reader(io.StringIO(result.stdout, newline=""))
    read = dict(zip(header, row, strict=True))
    assert read["text"] == 'a,"b"\n[bold]c'
    assert read["at"] == "2026-03-14T12:00:00Z"
    assert float(read["price"]) == 0.1
    assert json.loads(read["list"]) == [1, 2]
    assert json.loads(read["pair"]) == {"a": "x", "day": "2026-03-14"}
    assert ',,"",' in result.stdout.splitlines()[1]


def test_json_is_one_document_and_ndjson_one_a_line(parley):
    (document,) = json.loads(parley(VALUES, "--format", "json").stdout)
    (line,) = parley(VALUES, "--format", "ndjson").stdout.splitlines()

    assert json.loads(line) == document
    assert document["nothing"] is None
    assert document["empty"] == ""
    assert (document["n"], document["yes"], document["raw"]) == (1, True, "QQ==")
    assert document["pair"] == {"a": "x", "day": "2026-03-14"}
    assert json.loads(parley("SELECT 1 FROM UNNEST([1]) WHERE FALSE", "--format", "json").stdout) == []


def test_parquet_has_the_types_of_the_columns(parley, tmp_path: Path):
    result = parley(VALUES, "--format", "parquet", "--output", "rows.parquet")

    assert result.exit_code == 0, result.output
    (row,) = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert (row["n"], row["nothing"], row["list"]) == (1, None, [1, 2])
    assert row["at"].isoformat() == "2026-03-14T12:00:00+00:00"


def test_a_limit_holds_in_every_format(parley):
    for name in ("json", "csv", "table"):
        assert parley(MANY, "--limit", "3", "--format", name).stdout.count("x" * 300) == 3


def test_sql_comes_from_a_file_or_from_standard_input(parley, tmp_path: Path):
    (tmp_path / "report.sql").write_text("SELECT 41 + 1 AS answer")

    assert json.loads(parley("--file", "report.sql", "--format", "ndjson").stdout) == {"answer": 42}
    assert json.loads(parley("--file", "-", "--format", "ndjson", input="SELECT 7 AS n").stdout) == {"n": 7}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS n UNION ALL SELECT 2 ORDER BY n",
        "(SELECT 1 AS n) UNION DISTINCT (SELECT 2) ORDER BY n",
        "SELECT n FROM UNNEST([1, 2, 3]) AS n EXCEPT DISTINCT SELECT 3 ORDER BY n",
        "WITH a AS (SELECT 1 AS n) SELECT n FROM a UNION ALL SELECT n + 1 FROM a ORDER BY n",
        "(SELECT n FROM UNNEST([1, 2]) AS n ORDER BY n)",
    ],
)
def test_a_union_is_a_question_too(parley, sql: str):
    assert parley(sql, "--format", "ndjson").output.splitlines() == ['{"n": 1}', '{"n": 2}']


@pytest.mark.parametrize("arguments", [(), ("SELECT 1", "--file", "-"), (" ",), ("SELECT 1", "--limit", "-1")])
def test_what_is_no_question_is_wrong_usage(parley, arguments):
    assert parley(*arguments, input="SELECT 1").exit_code == 2


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM parley_rows.contacts WHERE TRUE",
        "CREATE TABLE parley.t AS SELECT 1 AS n",
        "SELECT 1; DROP VIEW parley.messages",
        "DECLARE n INT64 DEFAULT 1; SELECT n",
    ],
)
def test_what_may_change_something_is_refused_and_not_done(
    parley, bigquery_client: bigquery.Client, bigquery_target: Target, sql: str
):
    sql = sql.replace("parley_rows.", f"{bigquery_target.rows_dataset}.")
    sql = sql.replace("parley.", f"{bigquery_target.views_dataset}.")
    before = {table.table_id for table in bigquery_client.list_tables(bigquery_target.views_dataset)}

    result = parley(sql)

    assert result.exit_code == 1
    assert "--write" in result.output
    assert {table.table_id for table in bigquery_client.list_tables(bigquery_target.views_dataset)} == before


def test_it_may_write_when_it_is_told_so(parley, bigquery_client: bigquery.Client, bigquery_target: Target):
    sql = f"CREATE TABLE {bigquery_target.views_dataset}.mine AS SELECT 1 AS n"

    assert parley(sql, "--write").exit_code == 0
    assert bigquery_client.get_table(bigquery_target.view("mine"))


def test_an_error_is_one_that_names_what_is_wrong(parley):
    result = parley("SELECT nonsense FROM messages")

    assert result.exit_code == 1
    assert result.output == "Error: Unrecognized name: nonsense at [1:8]\n"


def test_a_file_that_cannot_be_written_is_said_and_one_that_is_there_stays_until_the_new_one_is_whole(
    parley, tmp_path: Path
):
    (tmp_path / "rows.csv").write_text("of yesterday")

    assert parley("SELECT nonsense FROM messages", "--format", "csv", "--output", "rows.csv").exit_code == 1
    assert (tmp_path / "rows.csv").read_text() == "of yesterday"
    assert "nowhere" in parley("SELECT 1", "--format", "csv", "--output", "nowhere/rows.csv").output
    assert parley("SELECT 1 AS n", "--format", "csv", "--output", "rows.csv").exit_code == 0
    assert (tmp_path / "rows.csv").read_bytes() == b"n\r\n1\r\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
