"""What the local BigQuery remembers of queries must not outlive what they are about, and comments mean nothing."""

import datetime as dt

import pytest
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.local.bigquery_translation import without_comments


def _rows(client: bigquery.Client, sql: str) -> list[dict[str, object]]:
    return [dict(row) for row in client.query(sql).result()]


def test_a_query_that_is_asked_again_sees_what_its_view_has_become(
    bigquery_client: bigquery.Client, bigquery_target: Target
):
    view = bigquery.Table(f"{bigquery_target.project}.{bigquery_target.views_dataset}.number")
    query = f"SELECT * FROM `{view}`"
    view.view_query = "SELECT 1 AS a"
    view = bigquery_client.create_table(view)
    assert [_rows(bigquery_client, query) for _ in range(2)] == [[{"a": 1}]] * 2
    view.view_query = "SELECT 2 AS b"
    bigquery_client.update_table(view, ["view_query"])
    assert _rows(bigquery_client, query) == [{"b": 2}]


def test_a_view_sees_what_the_views_that_it_reads_have_become(
    bigquery_client: bigquery.Client, bigquery_target: Target
):
    dataset = f"{bigquery_target.project}.{bigquery_target.views_dataset}"
    inner, outer = bigquery.Table(f"{dataset}.inner_one"), bigquery.Table(f"{dataset}.outer_one")
    inner.view_query = "SELECT 1 AS a, '`x` \"y\"' AS b"
    outer.view_query = f"SELECT inner_one.a + 1 AS a, b FROM `{dataset}.inner_one`"
    inner, outer = bigquery_client.create_table(inner), bigquery_client.create_table(outer)
    query = f"SELECT o.a, outer_one.b FROM `{outer}` AS o JOIN `{outer}` USING (a)"
    assert _rows(bigquery_client, query) == [{"a": 2, "b": '`x` "y"'}]

    inner.view_query = "SELECT 5 AS a, 'z' AS b"
    inner = bigquery_client.update_table(inner, ["view_query"])

    assert _rows(bigquery_client, query) == [{"a": 6, "b": "z"}]
    assert _rows(
        bigquery_client, f"DECLARE most INT64; SET most = (SELECT MAX(a) FROM `{outer}`); SELECT most"
    ) == [{"most": 6}]
    bigquery_client.delete_table(inner)
    _rows(bigquery_client, f"CREATE TABLE `{inner}` AS SELECT 7 AS a, 'table' AS b")
    assert _rows(bigquery_client, query) == [{"a": 8, "b": "table"}]


def test_a_query_that_is_asked_again_sees_new_columns_and_rows(
    bigquery_client: bigquery.Client, bigquery_target: Target
):
    table = f"`{bigquery_target.project}.{bigquery_target.rows_dataset}.grown`"
    query = f"SELECT * FROM {table}"
    _rows(bigquery_client, f"CREATE TABLE {table} (a INT64)")
    assert _rows(bigquery_client, query) == []
    _rows(bigquery_client, f"ALTER TABLE {table} ADD COLUMN b STRING")
    _rows(bigquery_client, f"INSERT INTO {table} (a, b) VALUES (1, 'x')")
    assert _rows(bigquery_client, query) == [{"a": 1, "b": "x"}]


def test_an_array_listed_after_its_table_is_unnested(bigquery_client: bigquery.Client):
    query = "SELECT n FROM (SELECT [1, 2] AS numbers) AS t, t.numbers AS n ORDER BY n"
    assert _rows(bigquery_client, query) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("SELECT 1 -- it's one\nFROM t", "SELECT 1  \nFROM t"),
        ("SELECT 1 # it's one", "SELECT 1  "),
        ("SELECT /* it's\nhere */ 1", "SELECT   1"),
        ("SELECT '--', \"#\", `a#b`", "SELECT '--', \"#\", `a#b`"),
        (r"SELECT 'it\'s --', r'\\' -- end", r"SELECT 'it\'s --', r'\\'  "),
        ("SELECT '''a'--''', \"\"\"b\"#\"\"\" -- c", "SELECT '''a'--''', \"\"\"b\"#\"\"\"  "),
        ("SELECT '' -- c", "SELECT ''  "),
        ("SELECT 'open", "SELECT 'open"),
    ],
)
def test_comments_go_and_what_is_quoted_stays(sql: str, left: str):
    assert without_comments(sql) == left


def test_an_apostrophe_in_a_views_comment_begins_no_string(
    bigquery_client: bigquery.Client, bigquery_target: Target
):
    view = bigquery.Table(bigquery_target.view("noted"))
    view.view_query = "-- The shop's own.\nSELECT TIMESTAMP '2026-03-01 00:00:00.25+00' AS at"
    bigquery_client.create_table(view)

    rows = bigquery_client.query_and_wait(
        f"SELECT at FROM `{bigquery_target.view('noted')}` WHERE at < TIMESTAMP '2026-03-02T00:00:00.5+00:00'"
    )

    assert [row.at for row in rows] == [dt.datetime(2026, 3, 1, microsecond=250_000, tzinfo=dt.UTC)]


@pytest.mark.parametrize(("part", "value"), [(0, 1), (50, 10), (95, 19), (100, 20)])
def test_a_quantile_is_the_one_that_was_asked_for(bigquery_client: bigquery.Client, part: int, value: int):
    sql = f"SELECT APPROX_QUANTILES(n, 100)[OFFSET({part})] AS found FROM UNNEST(GENERATE_ARRAY(1, 20)) AS n"

    assert [row.found for row in bigquery_client.query_and_wait(sql)] == [value]


@pytest.mark.parametrize(
    ("unit", "count"),
    [("MICROSECOND", 7_199_999_999), ("MILLISECOND", 7_199_999), ("SECOND", 7_199), ("HOUR", 1), ("DAY", 0)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_difference_of_timestamps_is_in_whole_parts(
    bigquery_client: bigquery.Client, unit: str, count: int, sign: int
):
    moments = "TIMESTAMP '2026-03-02 00:59:59.999999+00'", "TIMESTAMP '2026-03-01 23:00:00+00'"
    sql = f"SELECT TIMESTAMP_DIFF({', '.join(moments[::sign])}, {unit}) AS found"

    assert [row.found for row in bigquery_client.query_and_wait(sql)] == [sign * count]


def test_whether_an_array_has_a_value_is_told_as_googlesql_does(bigquery_client: bigquery.Client):
    rows = _rows(
        bigquery_client,
        "SELECT n, 'a' IN UNNEST(x) AS has, 'a' NOT IN UNNEST(x) AS lacks, "
        "IF(n = 1, NULL, 'a') IN UNNEST(x) AS perhaps, n IN UNNEST([1, 2]) AS counted "
        "FROM (SELECT 1 AS n, ['a', 'b'] AS x UNION ALL SELECT 2, ['b'] UNION ALL "
        "SELECT 3, CAST([] AS ARRAY<STRING>) UNION ALL SELECT 4, NULL) ORDER BY n",
    )

    assert rows == [
        {"n": 1, "has": True, "lacks": False, "perhaps": None, "counted": True},
        {"n": 2, "has": False, "lacks": True, "perhaps": False, "counted": True},
        {"n": 3, "has": False, "lacks": True, "perhaps": False, "counted": False},
        {"n": 4, "has": False, "lacks": True, "perhaps": False, "counted": False},
    ]


def test_what_is_counted_is_an_integer_within_a_struct_too(bigquery_client: bigquery.Client):
    (row,) = bigquery_client.query_and_wait(
        "SELECT COUNTIF(n > 1) AS plain, "
        "(SELECT AS STRUCT COUNTIF(n > 1) AS n FROM UNNEST([1, 2, 3]) AS n) AS held FROM UNNEST([1, 2, 3]) AS n"
    )

    assert dict(row) == {"plain": 2, "held": {"n": 2}}
    assert {type(row["plain"]), type(row["held"]["n"])} == {int}
