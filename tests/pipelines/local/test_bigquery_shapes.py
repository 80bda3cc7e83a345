"""What the local BigQuery remembers of a statement holds for others of the same shape, and for no others."""

import pytest
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.local.bigquery_shapes import Shape, shape


def test_statements_that_differ_in_datasets_times_and_ids_have_one_shape():
    first, second = (
        f"SELECT '{at}', DATE '{day}', '{name}' FROM `p.{one}.t` JOIN `p.{other}.u` JOIN `p.{one}.v` ON a = '{at}'"
        for at, day, name, one, other in (
            ("2026-03-14T12:00:00.123456+00:00", "2026-03-14", "0f" * 4 + "-0000-5000-8000-" + "0a" * 6, "a", "b"),
            ("2027-01-01T00:00:00+00:00", "2025-12-31", "1e" * 4 + "-0000-5000-8000-" + "0b" * 6, "x_y", "a"),
        )
    )
    assert shape(first).sql == shape(second).sql
    assert shape(first).filled(shape(first).sql) == first
    assert shape(second).filled(shape(first).sql) == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a' FROM `p.d.t`", "SELECT 'b' FROM `p.d.t`"),
        ("SELECT 1 FROM `p.d.t`", "SELECT 2 FROM `p.d.t`"),
        ("SELECT 1 FROM `p.d.t`", "SELECT 1 FROM `p.d.u`"),
        ("SELECT 1 FROM `p.d.t`", "SELECT 1 FROM `q.d.t`"),
        ("SELECT 1 FROM `p.d.t`, `p.e.t`", "SELECT 1 FROM `p.d.t`, `p.d.t`"),
        ("SELECT '2026-03-14', '2026-03-14'", "SELECT '2026-03-14', '2026-03-15'"),
        ("SELECT '2026-03-14'", "SELECT '2026-03-14T00:00:00+00:00'"),
        ("SELECT '2026-03-14'", "SELECT '2026-3-14'"),
    ],
)
def test_what_may_mean_something_else_has_another_shape(one: str, other: str):
    assert shape(one).sql != shape(other).sql


def test_a_statement_that_holds_a_stand_in_is_its_own_shape():
    sql = "SELECT '1001-02-03', '2026-03-14' FROM `p.d.t`"
    assert shape(sql) == Shape(sql, {})


@pytest.mark.parametrize(
    ("translated", "emptied"),
    [
        ('SELECT \'d\' AS "d" FROM "p"."d"."t"', 'SELECT \'d\' AS "{0}" FROM "p"."{0}"."t"'),
        ('SELECT 1 FROM "p__d"."t"', 'SELECT 1 FROM "p__{0}"."t"'),
        ("SELECT 1 FROM d.t", None),
    ],
)
def test_a_translation_without_what_it_is_of_is_not_remembered(translated: str, emptied: str | None):
    of = shape("SELECT 1 FROM `p.d.t`")
    assert of.emptied(translated) == (emptied and emptied.format(*of.meant))


def test_one_statement_means_to_each_table_what_its_columns_are(
    bigquery_client: bigquery.Client, empty_target: Target
):
    def ask(sql: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in bigquery_client.query(sql).result()]

    prefix = f"{empty_target.project}.{empty_target.rows_dataset}"
    datasets = [f"{prefix}_{kind}" for kind in ("text", "number", "view")]
    for dataset in datasets:
        bigquery_client.create_dataset(dataset)
    text, number, view = (f"`{dataset}.t`" for dataset in datasets)
    ask(f"CREATE TABLE {text} AS SELECT '7' AS a, TIMESTAMP '2026-03-14T00:00:00+00:00' AS moment")
    ask(f"CREATE TABLE {number} AS SELECT 7 AS a, TIMESTAMP '2026-03-15T00:00:00+00:00' AS moment")
    ask(f"CREATE VIEW {view} AS SELECT a + 1 AS a, moment FROM {number}")
    since = "SELECT a FROM {} WHERE moment >= TIMESTAMP '2026-03-{}T00:00:00+00:00' AND {} IS NOT NULL"

    for _ in range(2):
        assert ask(since.format(text, 14, "a")) == [("7",)]
        assert ask(since.format(number, 14, "a")) == [(7,)]
        assert ask(since.format(number, 16, "a")) == []
        assert ask(since.format(view, 14, "a")) == [(8,)]
        assert ask(f"DECLARE least INT64 DEFAULT 8; SELECT a FROM {view} WHERE a >= least") == [(8,)]
    ask(f"CREATE OR REPLACE VIEW {view} AS SELECT CONCAT(a, '!') AS a, moment FROM {text}")
    assert ask(since.format(view, 14, "a")) == [("7!",)]
