"""The views of docs/reports.md against a generated world's own truth."""

from collections import Counter

import pytest
from analyst import Analyst
from reports_truth import NAMES, PRICES, Reports

from pipelines.bigquery import resolving
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson

pytestmark = pytest.mark.thorough

WORLD = World(240, 5, write_archive.day_of(DEFAULT_START), 4, (*WEIGHTS, "shop"), people.MOST)
NO_MESSAGES = Counter()


@pytest.fixture(scope="module")
def truth():
    return Reports(WORLD)


@pytest.fixture(scope="module")
def shop(emulator_environment):
    someone = Analyst()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PARSERS, "shop", OwnJson("shop").parse)
        someone.tell(*(each.event for day in range(WORLD.days) for each in delivery.of_day(WORLD, day)))
    resolving.keep(someone.client, someone.target)
    named = ", ".join(f"(NULL, '{known}', '{kind}', 'The {kind}')" for known, kind in NAMES.items())
    someone.insert("actor_names", f"(source, actor_id, kind, name) VALUES {named}")
    words = [[f"'{word}'" if word else "NULL" for word in known] + [str(price)] for known, price in PRICES.items()]
    rates = ", ".join(f"({', '.join(each)}, 'EUR')" for each in words)
    someone.insert("rates", f"(source, direction, category, unit, price_micros, currency) VALUES {rates}")
    yield someone
    someone.close()


def counted(shop, view, columns):
    """Count the rows of a view by the values of columns."""
    return Counter(tuple(row.values()) for row in shop.query(f"SELECT {columns} FROM parley.{view}"))


def test_each_message_costs_what_was_told_of_it(shop, truth):
    columns = "source, direction, billable, category, pricing_type, pricing_model, segments, is_charged"
    expected = truth.costs()
    assert {key[5] for key in expected} == {None, "PMP", "CBP"}
    assert counted(shop, "message_costs", columns) == expected


def test_money_is_what_the_rates_make_of_it(shop, truth):
    sql = (
        "SELECT source, direction, SUM(cost_micros) AS money FROM parley.message_costs GROUP BY source, direction"
    )
    found = {(row["source"], row["direction"]): row["money"] for row in shop.query(sql) if row["money"]}
    assert found == truth.money()
    assert {source for source, _ in found} == {"whatsapp", "twilio.sms"}


def test_each_answer_is_by_whom_it_was(shop, truth):
    expected = truth.actors()
    assert {how for _, _, how in expected} >= {"reply", "source", "app", "inbox", "business app", "handover"}
    assert counted(shop, "actors", "source, actor_kind, known_by") == expected


def test_each_handover_is_told(shop, truth):
    assert counted(shop, "handovers", "source, to_kind") == truth.handovers() != NO_MESSAGES


def test_each_rating_is_on_its_scale(shop, truth):
    expected = truth.ratings()
    assert {source for source, _, _ in expected} >= {"facebook", "whatsapp", "shop"}
    assert counted(shop, "ratings", "source, scale, points") == expected


def test_each_referral_has_what_followed(shop, truth):
    expected = truth.acquisitions()
    assert {kind for _, kind, *_ in expected} == {"ad", "shortlink"}
    columns = (
        "source, kind, ad_id, ctwa_clid, campaign, inbound_messages, outbound_messages, first_response_seconds, "
        "conversions, value_micros"
    )
    assert counted(shop, "acquisitions", columns) == expected
    exported = sum(count for key, count in expected.items() if key[-2])
    assert shop.query("SELECT COUNT(*) AS n FROM parley.conversion_exports") == [{"n": exported}]
    assert exported


def test_each_template_has_what_became_of_it(shop, truth):
    columns = "messages, failed, sent, delivered, read, clicked, answered_within_day"
    found = {row.pop("template"): row for row in shop.query(f"SELECT template, {columns} FROM parley.templates")}
    assert found == {
        name: {key: counts[key] for key in columns.split(", ")} for name, counts in truth.templates().items()
    }
    stands = {
        row["template"]: (row["status"], row["quality"])
        for row in shop.query("SELECT template, status, quality FROM parley.templates")
    }
    assert stands == truth.standing()


def test_sessions_add_up_to_all_that_was_answered(shop, truth):
    columns = {"human": "human_messages", "bot": "bot_messages", "system": "system_messages"}
    sums = ", ".join(f"SUM({column}) AS {kind}" for kind, column in columns.items())
    found = {
        row.pop("source"): Counter({kind: count for kind, count in row.items() if count})
        for row in shop.query(f"SELECT source, {sums} FROM parley.conversation_report GROUP BY source")
    }
    expected = {source: Counter() for source in found}
    for (source, kind, _), count in truth.actors().items():
        if kind:
            expected[source][kind] += count
    assert found == expected
