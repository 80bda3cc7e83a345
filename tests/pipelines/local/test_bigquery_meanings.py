"""Functions that DuckDB has, too, and computes otherwise, give what Google's reference implementation gives."""

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from pipelines.local.bigquery_meanings import meant, without_escapes
from tests.googlesql import values

if TYPE_CHECKING:
    from tests.googlesql.engine import Engine

_DAY = "(SELECT DATE '2026-03-04' AS day, TIMESTAMP '2026-03-01 23:30:01.600+00' AS moment)"
_DATE = dt.date


def _at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("DATE_TRUNC(day, WEEK)", _DATE(2026, 3, 1)),
        ("DATE_TRUNC(day, WEEK(MONDAY))", _DATE(2026, 3, 2)),
        ("DATE_TRUNC(day, WEEK(THURSDAY))", _DATE(2026, 2, 26)),
        ("DATE_TRUNC(day, ISOWEEK)", _DATE(2026, 3, 2)),
        ("DATE_TRUNC(DATE '2027-01-01', ISOYEAR)", _DATE(2025, 12, 29)),
        ("DATE_TRUNC(DATE(moment, 'Europe/Berlin'), WEEK(MONDAY))", _DATE(2026, 3, 2)),
        ("TIMESTAMP_TRUNC(moment, WEEK)", _at("2026-03-01")),
        ("TIMESTAMP_TRUNC(moment, ISOWEEK)", _at("2026-02-23")),
        ("TIMESTAMP_TRUNC(moment, WEEK(MONDAY), 'Asia/Tokyo')", _at("2026-03-01T15:00:00")),
        ("TIMESTAMP_TRUNC(moment, HOUR, 'Asia/Kolkata')", _at("2026-03-01T23:30:00")),
        ("TIMESTAMP_TRUNC(TIMESTAMP '2026-10-25 01:40:00+00', HOUR, 'Europe/Berlin')", _at("2026-10-25T01:00:00")),
        ("DATE_DIFF(DATE '2026-03-02', DATE '2026-03-01', WEEK(MONDAY))", 1),
        ("DATE_DIFF(DATE '2026-03-01', DATE '2026-03-02', ISOWEEK)", -1),
        ("DATE_DIFF(DATE '2026-03-02', DATE '2026-02-28', WEEK)", 1),
        ("DATETIME_DIFF(DATETIME '2026-03-01 00:10:00', DATETIME '2026-02-28 23:50:00', WEEK)", 1),
        ("LAST_DAY(day, WEEK(MONDAY))", _DATE(2026, 3, 8)),
        ("LAST_DAY(day, WEEK)", _DATE(2026, 3, 7)),
        ("EXTRACT(WEEK(MONDAY) FROM day)", 9),
        ("EXTRACT(WEEK(MONDAY) FROM DATE '2026-01-04')", 0),
        ("EXTRACT(WEEK(MONDAY) FROM DATE '2026-01-05')", 1),
        ("EXTRACT(MILLISECOND FROM moment)", 600),
        ("EXTRACT(MICROSECOND FROM moment)", 600_000),
        ("UNIX_SECONDS(moment)", 1_772_407_801),
        ("PARSE_TIMESTAMP('%Y-%m-%d %H:%M', '2026-03-01 12:34', 'Europe/Berlin')", _at("2026-03-01T11:34:00")),
        ("[CAST(2.5 AS INT64), CAST(-2.5 AS INT64), CAST(0.5 AS INT64), CAST(2.4 AS INT64)]", [3, -3, 1, 2]),
        ("[CAST(' +7' AS INT64), CAST(NUMERIC '2.5' AS INT64), CAST(TRUE AS INT64)]", [7, 3, 1]),
        ("SAFE_CAST('1.5' AS INT64)", None),
        ("SAFE_CAST('1e3' AS INT64)", None),
        ("SAFE_CAST('yes' AS BOOL)", None),
        ("SAFE_CAST('True' AS BOOL)", True),
        ("CAST(6 / 2 AS STRING)", "3"),
        ("CAST(100.25 AS STRING)", "100.25"),
        ("CAST(NUMERIC '1.50' AS STRING)", "1.5"),
        ("CAST(NUMERIC '100' AS STRING)", "100"),
        ("JSON_VALUE('no JSON', '$.a')", None),
        ("JSON_VALUE('{\"a\": \"b\"}', '$.a')", "b"),
        ("JSON_TYPE(PARSE_JSON('1'))", "number"),
        ("JSON_TYPE(PARSE_JSON('\"1\"'))", "string"),
        ("JSON_TYPE(PARSE_JSON('[]'))", "array"),
        ("ARRAY_SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("ARRAY_SLICE([1, 2, 3, 4], -2, -1)", [3, 4]),
        (r"'a_b' LIKE 'a\\_b' AND 'axb' NOT LIKE 'a\\_b' AND '5%' LIKE r'5\%' AND 'axb' LIKE 'a_b'", True),
        (r"'a_b' LIKE ANY ('q', r'a\_b')", True),
        (r"'caf\u00e9 \x41\101 \U0001F44D'", "café AA 👍"),
        (r"r'\u00e9'", r"\u00e9"),
        (r"TRIM('\n\ta b\u00a0 ')", "a b"),
        (r"LTRIM('\r\na ')", "a "),
        ("TRIM('xax', 'x')", "a"),
        ("ARRAY(SELECT COUNTIF(n > 1) OVER (ORDER BY n) FROM UNNEST([1, 2, 3]) AS n ORDER BY 1)", [0, 1, 2]),
        ("ARRAY(SELECT b FROM UNNEST([STRUCT(1 AS a, 'x' AS b), (2, 'y')]) ORDER BY a)", ["x", "y"]),
    ],
)
def test_an_expression_has_the_value_that_google_gives_it(
    bigquery_client: bigquery.Client, googlesql: "Engine", expression: str, value: Any
):
    sql = f"SELECT {expression} AS value FROM {_DAY}"
    prepared = googlesql.prepare(sql, {})
    (truth,) = prepared.evaluate({})
    assert values.decoded(prepared.columns, truth) == {"value": value}

    (row,) = bigquery_client.query_and_wait(sql)

    assert (row["value"], type(row["value"])) == (value, type(value))


@pytest.mark.parametrize(
    ("cast", "said"),
    [
        ("CAST('1.5' AS INT64)", "Bad int64 value: 1.5;"),
        ("CAST('1' AS BOOL)", "Bad bool value: 1;"),
    ],
)
def test_text_that_is_no_value_of_a_type_is_said(bigquery_client: bigquery.Client, cast: str, said: str):
    with pytest.raises(BadRequest) as failed:
        bigquery_client.query_and_wait(f"SELECT {cast} AS value")

    assert said in f"{failed.value.message};"


def test_what_is_there_most_is_told_with_its_count(bigquery_client: bigquery.Client):
    (row,) = bigquery_client.query_and_wait(
        "SELECT APPROX_TOP_COUNT(x, 2) AS found FROM UNNEST(['a', 'b', 'c', 'b', 'a', 'b']) AS x"
    )

    assert row["found"] == [{"value": "b", "count": 3}, {"value": "a", "count": 2}]


@pytest.mark.parametrize(
    ("sql", "given", "found"),
    [
        ("SELECT CAST(? AS INT64) AS a, CAST(? AS STRING) AS b, ? AS c", ["5", "6", "7"], (5, "6", "7")),
        ("SELECT CAST(? AS STRING) AS a, ? AS b", ["5", "6"], ("5", "6")),
    ],
)
def test_parameters_without_names_are_given_in_their_places(
    bigquery_client: bigquery.Client, sql: str, given: list[str], found: tuple[Any, ...]
):
    parameters = [bigquery.ScalarQueryParameter(None, "STRING", each) for each in given]
    (row,) = bigquery_client.query_and_wait(sql, job_config=bigquery.QueryJobConfig(query_parameters=parameters))

    assert row.values() == found


def test_what_bigquery_knows_of_tables_can_be_cast(bigquery_client: bigquery.Client):
    dataset = f"meanings_{uuid.uuid4().hex}"
    bigquery_client.query_and_wait(f"CREATE SCHEMA {dataset}")
    bigquery_client.query_and_wait(f"CREATE TABLE {dataset}.t (a INT64)")

    (row,) = bigquery_client.query_and_wait(
        f"SELECT table_name, CAST(ordinal_position AS STRING) AS place FROM {dataset}.INFORMATION_SCHEMA.COLUMNS"
    )

    assert row.values() == ("t", "1")


def test_a_statement_that_means_the_same_stays_as_it_was_written():
    sql = "SELECT  a, TIMESTAMP_TRUNC(b, DAY)\nFROM t WHERE STRUCT(1) = c"
    assert meant(sql) == sql
    assert meant("SELECT CAST(") == "SELECT CAST("


def test_an_escape_of_a_quote_or_a_backslash_stays():
    assert without_escapes(r"'\x27 \x5c \n \\u0041'") == r"'\x27 \x5c \n \\u0041'"


def test_an_escape_of_no_character_stays(bigquery_client: bigquery.Client):
    assert without_escapes(r"'\ud83d\ude00 \U00110000'") == r"'\ud83d\ude00 \U00110000'"
    (row,) = bigquery_client.query_and_wait(r"""SELECT '{"t": "\ud83d\ude00"}' IS NULL AS nothing""")
    assert row["nothing"] is False
