"""Rules of conversation_report, each in a world of its own."""

import pytest
from test_conversation_report import DAYS
from webhooks import ask, asks, echo, replied, says, status, tell

pytestmark = pytest.mark.thorough


def test_what_we_begin_ourselves_does_not_take_back_that_something_was_resolved(analyst):
    tell(analyst, says(0), echo(1), echo(2 * DAYS), says(30 * DAYS))

    sql = "SELECT begun_by, is_resolved_for_7_days FROM parley.conversation_report ORDER BY started_at"
    # Of the last the contact waits for an answer.
    assert ask(analyst, sql) == [("inbound", True), ("outbound", True), ("inbound", None)]


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
