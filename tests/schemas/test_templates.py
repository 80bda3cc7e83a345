"""Templates: how they stand, and what became of what was sent with them."""

import datetime as dt

import pytest
from webhooks import account, ask, asks, at, replied, status, tell, twilio

from schemas.raw_event import RawEvent, format_received_at

pytestmark = pytest.mark.thorough

NAME = {
    "message_template_id": 9007199254740993,
    "message_template_name": "welcome",
    "message_template_language": "de",
}
CONTENT = {"type": "template", "template": {"name": "welcome", "language": {"code": "de"}}}


def changed(minute, field, **value):
    return account(minute, field, value)


def template_of(analyst, columns):
    return ask(analyst, f"SELECT {columns} FROM parley.templates ORDER BY template, language")


def test_a_template_stands_as_its_latest_change_says_in_whatever_order_they_came(analyst):
    told = [
        changed(0, "message_template_status_update", **NAME, event="APPROVED", reason="NONE"),
        # The id alone.
        changed(
            1,
            "message_template_quality_update",
            previous_quality_score="GREEN",
            new_quality_score="YELLOW",
            message_template_id=NAME["message_template_id"],
        ),
        changed(2, "template_category_update", **NAME, previous_category="UTILITY", new_category="MARKETING"),
        changed(3, "message_template_status_update", **NAME, event="PAUSED", reason="LOW_QUALITY"),
        changed(4, "message_template_status_update", message_template_id=7, event="REJECTED", reason="SCAM"),
    ]
    tell(analyst, *reversed(told), told[0])

    assert template_of(
        analyst, "template, language, template_id, category, status, status_since, quality, messages"
    ) == [
        ("7", None, "7", None, "REJECTED", at(4), None, 0),
        ("welcome", "de", "9007199254740993", "marketing", "PAUSED", at(3), "YELLOW", 0),
    ]
    (_, (history,)) = template_of(analyst, "history")
    assert [tuple(each.values()) for each in history] == [
        (at(0), "status", "APPROVED", None, None),
        (at(1), "quality", "YELLOW", "GREEN", None),
        (at(2), "category", "MARKETING", "UTILITY", None),
        (at(3), "status", "PAUSED", None, "LOW_QUALITY"),
    ]


def test_of_changes_of_one_second_the_one_that_was_received_last_counts(analyst):
    def received(seconds, field, **value):
        told = changed(0, field, **NAME, **value)
        moment = format_received_at(at(0) + dt.timedelta(seconds=seconds))
        return RawEvent(told.data, told.attributes | {"received_at": moment})

    # Several, since each pair would be right by chance.
    words = ("PENDING", "APPROVED", "FLAGGED", "PAUSED", "DISABLED")
    changes = [received(n, "message_template_status_update", event=word) for n, word in enumerate(words)]
    for n, word in enumerate(("UTILITY", "MARKETING", "AUTHENTICATION"), 10):
        changes.append(received(n, "template_category_update", new_category=word))
    tell(analyst, *reversed(changes))

    assert template_of(analyst, "status, category") == [("DISABLED", "authentication")]
    ((history,),) = template_of(analyst, "history")
    assert [each["value"] for each in history] == [*words, "UTILITY", "MARKETING", "AUTHENTICATION"]


def test_what_was_sent_is_counted_as_far_as_it_came(analyst):
    def tap(minute, name, phone):
        said = {"type": "button", "button": {"text": "Yes", "payload": "Y"}, "context": {"id": f"wamid.{name}"}}
        return asks(minute, phone, **said)

    phones = [f"49155500003{n:02}" for n in range(5)]
    tell(
        analyst,
        *(replied(n, f"t{n}", CONTENT, phone) for n, phone in enumerate(phones)),
        replied(6, "text", {"text": {"body": "no template"}}, phones[0]),
        replied(7, "other", {"type": "template", "template": {"name": "bye", "language": {"code": "en"}}}, "4477"),
        *(status(10 + n, f"t{n}", state, phones[n]) for n, state in enumerate(("read", "delivered", "sent"))),
        status(13, "t3", "failed", phones[3], errors=[{"code": 131049, "title": "x"}]),
        tap(20, "t0", phones[0]),
        tap(21, "t0", phones[0]),
        asks(30, phones[1]),
        # A day after is in time, the next day is too late.
        asks(4 + 24 * 60, phones[4]),
        asks(2 * 24 * 60, phones[2]),
    )

    columns = "template, language, messages, sent, delivered, read, failed, clicked, answered_within_day, errors"
    assert template_of(analyst, columns) == [
        ("bye", "en", 1, 0, 0, 0, 0, 0, 0, []),
        ("welcome", "de", 5, 3, 2, 1, 1, 1, 3, [{"error": "131049", "messages": 1}]),
    ]
    columns = "clicked_at, answered_at, is_answered_within_day"
    sql = f"SELECT {columns} FROM parley.template_messages WHERE template = 'welcome' ORDER BY sent_at"
    assert ask(analyst, sql) == [
        (at(20), at(20), True),
        (None, at(30), True),
        (None, at(2 * 24 * 60), False),
        (None, None, False),
        (None, at(4 + 24 * 60), True),
    ]


def test_a_template_of_twilio_is_known_by_its_content(analyst):
    to, ours = "whatsapp:+4915550000201", "whatsapp:+4915550000001"
    sent = replied(0, "x", {"ContentSid": "HX1"}, to, "twilio", channel=ours)
    fields = {"OriginalRepliedMessageSid": "wamid.x", "ButtonText": "Yes", "ButtonPayload": "Y"}
    tell(analyst, sent, twilio(5, MessageSid="SM1", From=to, To=ours, Body="Yes", NumMedia="0", **fields))

    assert template_of(analyst, "template, language, messages, clicked, answered_within_day") == [
        ("HX1", None, 1, 1, 1)
    ]
