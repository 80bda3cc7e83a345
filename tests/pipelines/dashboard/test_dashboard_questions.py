import datetime as dt

import pytest
import sqlglot
from dashboard_shop import Shop, before, counted
from dashboard_world import DAYS, START, DashboardWorld

from pipelines.bigquery.target import Target
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import UnansweredError, Warehouse, questions, rendered, statement

TARGET = Target("some-project")
LISTS = {"message_ids": 2, "conversation_ids": 2, "contact_ids": 2, "days": 2}
# A week around the world, so that nothing of it lies beyond a bound.
WHOLE = Period(START.date() - dt.timedelta(days=2), START.date() + dt.timedelta(days=DAYS + 5))


@pytest.mark.parametrize("question", questions())
def test_every_question_is_bigquery_sql_with_a_limit(question: str) -> None:
    (tree,) = sqlglot.parse(statement(question, TARGET, LISTS), dialect="bigquery")
    assert tree is not None
    assert tree.args.get("limit") is not None


def test_a_list_is_a_parameter_for_each_value() -> None:
    assert "IN (@message_ids_0, @message_ids_1)" in statement("texts", TARGET, LISTS)
    assert "IN (NULL)" in statement("texts", TARGET, {"message_ids": 0, "days": 0})


def test_lists_of_a_like_length_make_one_statement() -> None:
    def asked(count: int) -> tuple[str, dict[str, str]]:
        return rendered(
            "texts", TARGET, {"message_ids": [f"id {n}" for n in range(count)], "days": [START.date()]}
        )

    assert asked(9)[0] == asked(25)[0] == asked(64)[0] != asked(65)[0]
    assert asked(1)[0] != asked(2)[0] == asked(8)[0]
    sql, scalars = asked(25)
    assert {value for name, value in scalars.items() if name != "days_0"} == {f"id {n}" for n in range(25)}
    assert f"@{max(scalars, key=len)}" in sql


def test_the_funnel_says_what_the_view_says(world: DashboardWorld) -> None:
    expected = world.query(
        "SELECT source, SUM(messages) AS messages, SUM(sent) AS sent, SUM(delivered) AS delivered, "
        "SUM(read) AS read, SUM(failed) AS failed, SUM(without_receipt) AS without_receipt "
        "FROM parley.delivery_funnel GROUP BY source ORDER BY source"
    )
    told = counted(world.warehouse, WHOLE)["funnel"]
    assert sorted(told, key=lambda row: row["source"]) == expected
    assert sum(row["read"] for row in told) > 10
    assert any(row["failed"] for row in told)


@pytest.mark.parametrize("receipt", ["delivery", "read"])
def test_a_watermark_of_the_very_time_of_a_message_covers_it(shop: Shop, receipt: str) -> None:
    shop.messenger(before(hours=1), message={"mid": "m_1", "text": "answer", "is_echo": True})
    shop.messenger(before(minutes=59), **{receipt: {"watermark": int(before(hours=1).timestamp() * 1000)}})
    shop.stored()

    (row,) = counted(shop.warehouse)["funnel"]
    assert (row["messages"], row["delivered"], row["read"]) == (1, 1, int(receipt == "read"))


def test_response_times_are_those_of_the_view(world: DashboardWorld) -> None:
    (expected,) = world.query(
        "SELECT COUNT(*) AS turns, COUNTIF(response_seconds IS NULL) AS unanswered, "
        "COUNTIF(response_seconds < 60) AS fast FROM parley.response_times"
    )
    told = counted(world.warehouse, WHOLE)["responses"]
    counts = {name: count for name, count in told.items() if name not in {"median", "p90"}}
    assert sum(counts.values()) == expected["turns"]
    assert counts["unanswered"] == expected["unanswered"] > 0
    assert counts["within_1_minute"] == expected["fast"] > 0


def test_totals_are_those_of_the_views(world: DashboardWorld) -> None:
    (expected,) = world.query(
        "SELECT SUM(messages) AS messages, SUM(inbound_messages) AS inbound, "
        "COUNTIF(messages > 0) AS conversations, COUNTIF(is_waiting) AS waiting, "
        # In a group several talk.
        "(SELECT COUNT(DISTINCT contact_id) FROM parley.messages) AS contacts "
        "FROM parley.conversations"
    )
    told = counted(world.warehouse, WHOLE)["totals"]
    assert {name: told[name] for name in expected} == expected
    assert told["outbound"] == told["messages"] - told["inbound"]


def test_activity_adds_up_by_day_and_by_hour(world: DashboardWorld) -> None:
    day = Period(START.date(), START.date())
    (expected,) = world.query(f"SELECT COUNT(*) AS n FROM parley.messages WHERE sent_date = '{START.date()}'")
    by_hour = world.warehouse.ask("activity", by_hour=True, **day.parameters())
    by_day = world.warehouse.ask("activity", by_hour=False, **day.parameters())
    assert sum(row["messages"] for row in by_hour) == sum(row["messages"] for row in by_day) == expected["n"]
    assert {row["moment"] for row in by_hour} <= set(day.moments())
    assert {row["moment"] for row in by_day} == {"2026-03-02"}


def test_a_source_can_be_chosen(world: DashboardWorld) -> None:
    chosen = Period(WHOLE.first_day, WHOLE.last_day, "whatsapp")
    rows = world.warehouse.ask("activity", by_hour=False, **chosen.parameters())
    assert {row["source"] for row in rows} == {"whatsapp"}


def test_tables_that_are_not_there_yet_will_be(world: DashboardWorld) -> None:
    nowhere = Warehouse(Target.prefixed(world.target.project, "nowhere_"), lambda: world.client)
    with pytest.raises(UnansweredError) as caught:
        nowhere.ask("overview", **WHOLE.parameters())
    assert caught.value.will_pass
