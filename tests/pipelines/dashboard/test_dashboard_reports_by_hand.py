"""What the panels of reports count at the edges of a period and of a scale, by hand."""

import datetime as dt
from typing import Any

import pytest
from dashboard_shop import PHONE, Shop

from pipelines.dashboard.period import Period
from schemas.replies import OUTCOME_TYPE
from tests.schemas.sample_world import PHONE_NUMBER

pytestmark = pytest.mark.thorough

DAY = dt.date(2026, 3, 8)
PERIOD = Period(DAY, DAY)
# On the day before, on the day, and on the day after; more than a day apart, so that each is a session of its own.
BEFORE, WITHIN, AFTER = (
    dt.datetime(2026, 3, 7, 1, tzinfo=dt.UTC) + dt.timedelta(hours=35 * number) for number in range(3)
)
MINUTES = dt.timedelta(minutes=10)
TEMPLATE = {"type": "template", "template": {"name": "news", "language": {"code": "de"}}}


def replied(shop: Shop, name: str, at: dt.datetime, kind: str, content: dict[str, Any] | None = None) -> None:
    """WhatsApp has accepted a reply that somebody of a kind wrote."""
    reply = {"source": "whatsapp", "channel": PHONE_NUMBER, "to": PHONE, "content": content or {"text": "!"}}
    outcome = {"reply_id": f"r-{name}", "number": 1, "at": at.isoformat(), "result": "accepted"}
    outcome |= {"source_message_id": f"wamid.{name}", "reply": reply | {"actor": {"kind": kind, "id": "x"}}}
    shop.told_of_a_reply(f"r-{name}", outcome, at, OUTCOME_TYPE)


def asked(shop: Shop, question: str, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of what a question answers of the day."""
    shop.stored()
    return [tuple(row[name] for name in names) for row in shop.warehouse.ask(question, **PERIOD.parameters())]


def test_costs_are_those_of_what_was_first_told_of_in_the_period(shop: Shop) -> None:
    price = {"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"}
    for name, at in (("before", BEFORE), ("within", WITHIN), ("after", AFTER)):
        shop.receipt(f"wamid.{name}", "delivered", at, pricing=price)

    assert asked(shop, "report_costs", "messages", "charged") == [(1, 1)]


def test_templates_are_those_of_the_period_though_they_were_read_after_it(shop: Shop) -> None:
    replied(shop, "within", WITHIN, "bot", TEMPLATE)
    replied(shop, "after", AFTER, "bot", TEMPLATE)
    shop.receipt("wamid.within", "read", WITHIN + dt.timedelta(days=1))

    assert asked(shop, "report_templates", "messages", "read") == [(1, 1)]


def test_a_template_that_failed_later_counts_as_failed(shop: Shop) -> None:
    replied(shop, "one", WITHIN, "bot", TEMPLATE)
    shop.receipt("wamid.one", "failed", WITHIN + MINUTES)

    assert asked(shop, "report_templates", "messages", "sent", "failed") == [(1, 0, 1)]


def test_who_came_in_the_period_counts_and_was_answered_after_it(shop: Shop) -> None:
    for ad, at in (("a1", WITHIN), ("a2", AFTER)):
        referral = {"ref": "spring", "ad_id": ad, "source": "ADS", "type": "OPEN_THREAD"}
        shop.messenger(at, message={"mid": f"m_{ad}", "text": "?", "referral": referral})
    answered = WITHIN + dt.timedelta(days=1)
    shop.messenger(answered, message={"mid": "m_answer", "text": "!", "is_echo": True})

    assert asked(shop, "report_acquisitions", "ad_id", "came", "answered") == [("a1", 1, 1)]


def test_first_answers_are_those_of_sessions_of_the_period_and_none_that_failed(shop: Shop) -> None:
    for name, at in (("before", BEFORE), ("within", WITHIN), ("after", AFTER)):
        # What a bot says before anybody asks is no answer, and belongs to the session that it begins.
        replied(shop, f"{name}-greeting", at - MINUTES, "bot")
        shop.asked(at)
        replied(shop, f"{name}-bot", at + MINUTES, "bot")
        shop.receipt(f"wamid.{name}-bot", "failed", at + MINUTES)
        replied(shop, f"{name}-human", at + 2 * MINUTES, "human")

    found = asked(shop, "report_first_answers", "of_source", "human_sessions", "human_median", "bot_sessions")
    assert found == [("", 1, 1200.0, 0), ("whatsapp", 1, 1200.0, 0)]


def test_who_wrote_twice_in_a_conversation_wrote_in_one(shop: Shop) -> None:
    for number in range(2):
        replied(shop, f"m{number}", WITHIN + number * MINUTES, "human")

    assert asked(shop, "report_actors", "actor_kind", "messages", "conversations") == [("human", 2, 1)]


def test_a_conversation_that_passed_twice_is_one(shop: Shop) -> None:
    for number in range(2):
        shop.note("handover.to", "desk", WITHIN + number * MINUTES)

    assert asked(shop, "report_handovers", "kind", "handovers", "conversations") == [("passed", 2, 1)]


def test_a_rating_on_the_edge_of_two_levels_is_of_the_higher_one(shop: Shop) -> None:
    # From 1 to 5: 3 is the half of it, 4 three quarters.
    for number, points in enumerate((2, 3, 4)):
        shop.note("csat", str(points), WITHIN + number * MINUTES)

    assert asked(shop, "report_ratings", "ratings", "low", "middling", "high", "points") == [(3, 1, 1, 1, 3.0)]


def test_a_receipt_of_what_was_sent_weeks_ago_begins_no_session(shop: Shop) -> None:
    replied(shop, "old", WITHIN - dt.timedelta(days=20), "human")
    shop.receipt("wamid.old", "delivered", WITHIN)

    assert asked(shop, "report_sessions", "sessions") == []


def test_who_comes_back_within_a_week_was_not_served(shop: Shop) -> None:
    shop.asked(WITHIN)
    replied(shop, "answer", WITHIN + MINUTES, "human")
    shop.asked(WITHIN + dt.timedelta(days=3))

    assert asked(shop, "report_sessions", "sessions", "resolved", "came_back") == [(1, 0, 1)] * 2


def test_whom_one_writes_to_within_a_week_has_not_come_back(shop: Shop) -> None:
    shop.asked(WITHIN)
    replied(shop, "answer", WITHIN + MINUTES, "human")
    replied(shop, "news", WITHIN + dt.timedelta(days=3), "bot")

    assert asked(shop, "report_sessions", "sessions", "came_back") == [(1, 0)] * 2


def test_whom_one_writes_to_comes_back_all_the_same(shop: Shop) -> None:
    shop.asked(WITHIN)
    replied(shop, "answer", WITHIN + MINUTES, "human")
    replied(shop, "news", WITHIN + dt.timedelta(days=3), "bot")
    shop.asked(WITHIN + dt.timedelta(days=5))

    assert asked(shop, "report_sessions", "sessions", "came_back") == [(1, 1)] * 2
