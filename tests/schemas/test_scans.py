"""By these rules it is computed what a query reads, of ten days of partitions."""

import datetime as dt

import pytest

from schemas.scans import scans

DAYS = frozenset(dt.date(2026, 3, day) for day in range(1, 11))
PARAMETERS = {
    "day": dt.date(2026, 3, 4),
    "other": dt.date(2026, 3, 6),
    "since": dt.datetime(2026, 3, 4, tzinfo=dt.UTC),
    "until": dt.datetime(2026, 3, 6, tzinfo=dt.UTC),
}


def days(sql):
    """Return how many days are read of each table, in order of tables."""
    found = scans(sql, PARAMETERS, DAYS)
    return [(scan.table, None if scan.days is None else len(scan.days)) for scan in sorted(found)]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("sent_date = @day", 1),
        ("@day <= sent_date", 7),
        ("sent_date < @day", 3),
        ("sent_date > @day", 6),
        ("sent_date BETWEEN @day AND @other", 3),
        ("sent_date BETWEEN DATE_SUB(@day, INTERVAL 1 DAY) AND DATE_ADD(@day, INTERVAL 1 DAY)", 3),
        ("sent_date IN (@day, @other)", 2),
        ("sent_date >= DATE '2026-03-09' AND source = 'x'", 2),
        ("sent_date = DATE '2020-01-01'", 0),
        # What follows promises nothing.
        ("TRUE", 10),
        ("sent_date >= @day OR source = 'x'", 10),
        ("DATE_ADD(sent_date, INTERVAL 1 DAY) = @day", 10),
        ("sent_date IN (SELECT MAX(seen_date) FROM `rows.channels` WHERE seen_date = @day)", 10),
        ("sent_date = received_date", 10),
        ("sent_date = @unknown", 10),
    ],
)
def test_a_condition_with_constants_on_the_partition_leaves_days_out(condition, left):
    sql = f"SELECT message_id, DATE(received_at) AS received_date FROM `rows.messages` WHERE {condition}"
    if "received_date" in condition:
        sql = sql.replace("sent_date = received_date", "sent_date = DATE(received_at)")

    assert dict(days(sql))["messages"] == left


def test_a_partition_by_time_is_left_out_by_the_days_that_a_time_leaves_over():
    sql = "SELECT event_id FROM `p.rows.events` WHERE received_at >= @since AND received_at < @until"

    assert days(sql) == [("events", 2)]


@pytest.mark.parametrize(
    ("between", "left"),
    [
        ("SELECT * FROM `rows.messages`", 1),
        ("SELECT *, source AS x FROM `rows.messages` UNION ALL SELECT *, source FROM `rows.messages`", 1),
        ("SELECT sent_date, COUNT(*) AS n FROM `rows.messages` GROUP BY sent_date", 1),
        ("SELECT * FROM `rows.messages` QUALIFY RANK() OVER (PARTITION BY sent_date ORDER BY sent_at) = 1", 1),
        (
            "SELECT sent_date, MAX(generation) OVER w AS g FROM `rows.messages` "
            "WINDOW v AS (PARTITION BY sent_date), w AS (v ORDER BY sent_at)",
            1,
        ),
        ("SELECT * FROM `rows.messages` QUALIFY RANK() OVER (PARTITION BY message_id ORDER BY sent_at) = 1", 10),
        ("SELECT sent_date, MAX(sent_at) OVER () AS last FROM `rows.messages`", 10),
        ("SELECT MAX(sent_date) AS sent_date FROM `rows.messages`", 10),
        ("SELECT message_id, MAX(sent_date) AS sent_date FROM `rows.messages` GROUP BY message_id", 10),
        ("SELECT sent_date FROM `rows.messages` LIMIT 5", 10),
    ],
)
def test_a_condition_reaches_below_what_it_could_not_change(between, left):
    assert {each for _, each in days(f"SELECT * FROM ({between}) WHERE sent_date = @day")} == {left}


def test_what_is_joined_is_left_out_by_its_own_conditions_alone():
    sql = (
        "SELECT m.message_id, f.value FROM `rows.messages` AS m LEFT JOIN `rows.metadata` AS f "
        "ON f.subject_id = m.message_id {} WHERE m.sent_date = @day"
    )

    assert days(sql.format("")) == [("messages", 1), ("metadata", 10)]
    assert days(sql.format("AND f.occurred_date = m.sent_date")) == [("messages", 1), ("metadata", 10)]
    assert days(sql.format("AND f.occurred_date <= @other")) == [("messages", 1), ("metadata", 6)]
    assert days(sql.format("AND m.sent_date = @other")) == [("messages", 1), ("metadata", 10)]
    # Of a message of another day there would be a row all the same, without a fact.
    assert days(
        "SELECT m.message_id FROM `rows.messages` AS m LEFT JOIN `rows.metadata` AS f ON m.sent_date = @other"
    ) == [("messages", 10), ("metadata", 10)]


def test_what_is_asked_for_twice_is_read_as_widely_as_anyone_asks():
    both = (
        "WITH told AS (SELECT * FROM `rows.messages`) SELECT 1 AS one FROM told WHERE sent_date = @day UNION ALL "
    )

    assert days(both + "SELECT 1 FROM told WHERE sent_date = @other") == [("messages", 2)]
    assert days(both + "SELECT 1 FROM told") == [("messages", 10)]


def test_only_the_columns_that_somebody_uses_are_read():
    (scan,) = scans(
        "SELECT text FROM (SELECT UPPER(content) AS unused, kind AS text, source FROM `rows.messages`) "
        "WHERE source = 'x' ORDER BY text",
        PARAMETERS,
        DAYS,
    )

    assert scan.columns == {"kind", "source"}


def test_views_are_read_through_and_a_table_without_partitions_has_no_days():
    found = scans("SELECT text FROM `p.views.message_texts` WHERE sent_date = @day", PARAMETERS, DAYS)

    (scan,) = (each for each in found if each.table == "messages")
    assert scan.days == {PARAMETERS["day"]}
    assert "content" in scan.columns
    assert days("SELECT run_id FROM `views.runs`") == [("runs", None)]


@pytest.mark.timeout(60)
def test_an_array_that_many_parts_of_a_query_may_have_is_looked_for_in_none():
    parts = ["step_0 AS (SELECT message_id, flags FROM `rows.messages` WHERE sent_date = @day)"]
    parts += [
        f"step_{n} AS (SELECT one.message_id, other.flags FROM step_{n - 1} AS one "
        f"INNER JOIN step_{n - 1} AS other ON other.message_id = one.message_id)"
        for n in range(1, 40)
    ]
    made = "made AS (SELECT ARRAY(SELECT AS STRUCT each FROM UNNEST(flags) AS each) AS found FROM step_39)"

    (scan,) = scans(
        f"WITH {', '.join(parts)}, {made} SELECT (SELECT MAX(one.each) FROM UNNEST(found) AS one) FROM made",
        PARAMETERS,
        DAYS,
    )

    assert scan.columns == {"message_id", "flags", "sent_date"}
    assert scan.days == {PARAMETERS["day"]}
