"""One row a session, with all that a report asks of it."""

import pytest
from test_actors import BOT, form, name
from test_message_costs import GERMANY, rates
from webhooks import asks, at, desk, echo, fact, meta, pricing, replied, says, shop, status, tell

pytestmark = pytest.mark.thorough

HOURS = 60
DAYS = 24 * HOURS


def report(rows, columns):
    return [tuple(row[name] for name in columns.split(", ")) for row in rows]


@pytest.fixture(scope="module")
def shop_week(somebody):
    """An analyst of a few sessions, which no test of this file changes."""
    somebody.forget()
    name(somebody, f"(NULL, '{BOT}', 'bot', 'Helper')", "('shop-app', 'desk', 'human', 'The desk')")
    rates(somebody, GERMANY.format("service", "message", 30_000))
    ad = {"source_type": "ad", "source_id": "120", "source_url": "https://a.example/?utm_campaign=spring"}
    tell(
        somebody,
        # A bot answers first, then a human; the contact comes back after two days.
        says(0),
        echo(1, app_id=BOT),
        echo(10),
        says(2 * DAYS),
        echo(2 * DAYS + 5),
        # By an advertisement, answered by a reply; one answer fails; rated and paid for.
        asks(1, referral=ad),
        replied(3, "r", kind="human", id="anna"),
        status(4, "r", "delivered", **pricing("service")),
        status(5, "lost", "failed"),
        form(6, '{"rating":"4"}'),
        # Closed by a desk, and so it stayed.
        shop(
            2, [desk(2, "d1"), desk(22, "d2", ours=True)], [fact(32, "conversation", "order-1", status="Resolved")]
        ),
        # Nobody answers; and time goes on.
        meta(30 * DAYS, message={"mid": "late", "text": "?"}),
    )
    return somebody


@pytest.fixture(scope="module")
def rows(shop_week):
    """The whole report, asked for once."""
    return shop_week.query("SELECT * FROM parley.conversation_report ORDER BY started_at, session_id")


def test_bots_and_humans_are_told_apart(rows):
    columns = "source, messages, inbound_messages, human_messages, bot_messages, unknown_messages, failed_messages"
    assert report(rows, columns) == [
        ("facebook", 3, 1, 1, 1, 0, 0),
        ("whatsapp", 3, 2, 1, 0, 0, 1),
        ("shop-app", 2, 1, 1, 0, 0, 0),
        ("facebook", 2, 1, 1, 0, 0, 0),
        ("facebook", 1, 1, 0, 0, 0, 0),
    ]
    columns = "first_response_seconds, first_human_response_seconds, first_bot_response_seconds"
    assert report(rows, columns) == [
        (60.0, 600.0, 60.0),
        (120.0, 120.0, None),
        (1200.0, 1200.0, None),
        (300.0, 300.0, None),
        (None, None, None),
    ]


def test_what_was_closed_and_stayed_so_is_told(rows):
    columns = "is_reopened, closed_at, seconds_to_close, is_resolved_for_7_days"
    assert report(rows, columns) == [
        (False, None, None, False),
        # The contact had the last word.
        (False, None, None, None),
        (False, at(32), 1800.0, True),
        (True, None, None, True),
        (True, None, None, None),
    ]


def test_rating_cost_and_how_somebody_came_are_of_the_session(rows):
    columns = "rating, charged_messages, unpriced_messages, cost_micros, currency, acquisition_kind, ad_id"
    found = report(rows, columns)
    assert found[1] == (0.75, 1, 0, 30_000, "EUR", "ad", "120")
    assert {row for row in found if row != found[1]} == {(None, 0, 0, None, None, None, None)}


def test_totals_are_those_of_the_views_below_and_parts_lie_within_wholes(shop_week, rows):
    """So they are the same by any grouping, since each session is one row."""
    below = """
SELECT
  (SELECT COUNT(*) FROM parley.messages) AS messages,
  (SELECT COUNT(*) FROM parley.actors WHERE actor_kind = 'human') AS human_messages,
  (SELECT COUNT(*) FROM parley.actors WHERE actor_kind = 'bot') AS bot_messages,
  (SELECT COUNT(*) FROM parley.delivery_states WHERE state = 'failed') AS failed_messages,
  (SELECT SUM(cost_micros) FROM parley.message_costs) AS cost_micros
"""
    (whole,) = shop_week.query(below)
    assert whole == {name: sum(row[name] or 0 for row in rows) for name in whole}
    assert len({row["session_id"] for row in rows}) == len(rows) == 5

    counts = "inbound_messages, outbound_messages, human_messages, bot_messages, system_messages, unknown_messages"
    for inbound, outbound, *parts in report(rows, counts):
        assert sum(parts) == outbound
        assert all(part >= 0 for part in (inbound, *parts))
    for rating, charged, unpriced in report(rows, "rating, charged_messages, unpriced_messages"):
        assert unpriced <= charged
        assert rating is None or 0 <= rating <= 1
