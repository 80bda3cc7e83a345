"""Rules of conversation_report, each in a world of its own."""

import cookbook
import pytest
from test_conversation_report import DAYS
from webhooks import ask, asks, desk, echo, fact, meta, pricing, replied, says, shop, status, tell, twilio

pytestmark = pytest.mark.thorough


def test_what_we_begin_ourselves_does_not_take_back_that_something_was_resolved(analyst):
    tell(analyst, says(0), echo(1), echo(2 * DAYS), says(30 * DAYS))

    sql = "SELECT begun_by, is_resolved_for_7_days FROM parley.conversation_report ORDER BY started_at"
    # Of the last the contact waits for an answer.
    assert ask(analyst, sql) == [("inbound", True), ("outbound", True), ("inbound", None)]


def test_what_we_begin_ourselves_does_not_hide_that_the_contact_came_back(analyst):
    tell(analyst, says(0), echo(1), echo(2 * DAYS), says(4 * DAYS), echo(4 * DAYS + 1), says(30 * DAYS))

    sql = "SELECT begun_by, is_resolved_for_7_days FROM parley.conversation_report ORDER BY started_at"
    assert ask(analyst, sql) == [("inbound", False), ("outbound", False), ("inbound", True), ("inbound", None)]


def test_what_failed_is_no_first_response_of_anybody(analyst):
    tell(
        analyst,
        asks(0),
        replied(1, "a", kind="human"),
        status(11, "a", "failed"),
        replied(2, "b", kind="bot"),
        status(12, "b", "failed"),
        replied(3, "c", kind="human"),
        replied(4, "d", kind="bot"),
    )

    columns = "first_human_response_seconds, first_bot_response_seconds, human_messages, bot_messages"
    found = ask(analyst, f"SELECT {columns}, failed_messages FROM parley.conversation_report")
    assert found == [(180.0, 240.0, 2, 2, 2)]


SMS = {"MessageSid": "SM1", "SmsSid": "SM1", "From": "+4915550000002", "To": "+4915550000300"}
PRICED = {"Price": "-0.008", "PriceUnit": "USD"}


def test_a_message_costs_in_the_session_that_it_begins_though_a_status_tells_an_earlier_time(analyst):
    tell(
        analyst,
        # Accepted at a fraction of the second that the status tells.
        replied(0.01, "a"),
        status(0, "a", "sent", **pricing("marketing")),
        status(1, "a", "delivered", **pricing("marketing")),
        twilio(2, MessageStatus="queued", **SMS),
        twilio(3, MessageStatus="sent", **SMS, **PRICED),
    )

    columns = "source, outbound_messages, charged_messages, unpriced_messages, cost_micros"
    assert ask(analyst, f"SELECT {columns} FROM parley.conversation_report ORDER BY source") == [
        ("twilio.sms", 1, 1, 0, 8_000),
        ("whatsapp", 1, 1, 1, None),
    ]


def test_a_message_fails_in_the_session_that_it_begins_though_a_status_tells_an_earlier_time(analyst):
    tell(analyst, asks(-2 * DAYS), replied(0.01, "a"), status(0, "a", "failed"))

    columns = "begun_by, outbound_messages, failed_messages"
    assert ask(analyst, f"SELECT {columns} FROM parley.conversation_report ORDER BY started_at") == [
        ("inbound", 0, 0),
        ("outbound", 1, 1),
    ]


def test_a_referral_between_two_sessions_brought_the_one_that_it_comes_just_before(analyst):
    def came(minute, ad):
        return meta(minute, referral={"source": "ADS", "type": "OPEN_THREAD", "ad_id": ad})

    tell(
        analyst,
        says(0),
        came(1, "in"),
        echo(2),
        # Without a message: of the stretch that it is in, since nothing begins within a day.
        came(10 * DAYS, "alone"),
        came(30 * DAYS, "back"),
        says(30 * DAYS + 1),
    )

    assert ask(analyst, "SELECT ad_id FROM parley.conversation_report ORDER BY started_at") == [("in",), ("back",)]


def test_nobody_was_alone_where_nobody_says_who_wrote_one_of_the_messages(analyst):
    analyst.insert("actor_names", "(actor_id, kind, name) VALUES ('517', 'bot', 'Helper')")
    tell(
        analyst,
        says(0),
        echo(1, app_id=517),
        echo(2, app_id=999),
        says(3 * DAYS),
        echo(3 * DAYS + 1, app_id=517),
        says(6 * DAYS),
        # Written in the Page's inbox.
        echo(6 * DAYS + 1),
        echo(6 * DAYS + 2, app_id=999),
    )

    recipes = cookbook.recipes(cookbook.COOKBOOK.read_text("utf-8"))
    (sql,) = [each.sql for each in recipes if each.question == "How many sessions does the bot answer alone?"]
    assert ask(analyst, sql) == [("facebook", 3, 1, 0, 0)]


def test_a_message_of_a_custom_source_fails_in_its_session_though_its_state_names_no_conversation(analyst):
    lost = fact(2, "message", "m2", source={"delivery_state": "failed"})
    tell(analyst, shop(0, [desk(0, "m1"), desk(1, "m2", ours=True)]), shop(2, metadata=[lost]))

    columns = "outbound_messages, failed_messages, first_response_seconds, is_unanswered"
    assert ask(analyst, f"SELECT {columns} FROM parley.conversation_report") == [(1, 1, None, True)]
