"""A question keeps to its period: the same happened on the day before, on the day, and on the day after."""

import datetime as dt
from typing import Any

import pytest
from dashboard_shop import Shop

from pipelines.dashboard.overview import BUCKETS
from pipelines.dashboard.period import END_OF_TIME, Period

pytestmark = pytest.mark.thorough

DAY = dt.date(2026, 3, 8)
PERIOD = Period(DAY, DAY)
# More than a day apart, so that each is a session of its own.
TIMES = [dt.datetime(2026, 3, 7, 1, tzinfo=dt.UTC) + dt.timedelta(hours=35 * number) for number in range(3)]
PAGE = {"before": END_OF_TIME, "page_size": 50}
MOMENTS = {"since": PERIOD.since, "until": PERIOD.until}
LIST = PERIOD.parameters() | PAGE | {"before_id": ""}
DAYS = PERIOD.parameters()
COUNTS = {"messages": 2, "inbound": 1, "outbound": 1, "contacts": 1, "conversations": 1}
NONE = {"read": 0, "failed": 0, "without_receipt": 0}
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "overview": (
        DAYS,
        [
            {
                "totals": COUNTS | {"waiting": 0},
                "funnel": [{"source": "shop-app", "messages": 1, "sent": 1, "delivered": 1} | NONE],
                "responses": dict.fromkeys(BUCKETS, 0) | {"within_1_hour": 1, "median": 1_800.0, "p90": 1_800.0},
            }
        ],
    ),
    "activity": (DAYS | {"by_hour": False}, [{"moment": "2026-03-08", "messages": 2, "inbound": 1}]),
    "message_list": (LIST | {"direction": "", "hour": ""}, [{"sent_date": DAY}] * 2),
    "search": (LIST | {"direction": "", "text": "YES"}, [{"sent_date": DAY}]),
    "sent_list": (LIST | {"state": ""}, [{"sent_date": DAY}]),
    "turn_list": (LIST | {"at_least": 0, "less_than": 10**9}, [{"sent_date": DAY}]),
    "people_list": (
        DAYS | PAGE | {"after_id": "", "contact": "", "several": False, "source": "shop-app"},
        [{"last_seen_date": DAY, "messages": 2}],
    ),
    "event_list": (
        MOMENTS | PAGE | {"before_id": "", "source": "shop-app", "outcome": ""},
        [{"source": "shop-app"}] * 3,
    ),
    "outcomes": (MOMENTS, [{"source": "facebook", "events": 1}, {"source": "shop-app", "events": 3}]),
    "troubles": (MOMENTS, [{"source": "facebook", "letters": 1}]),
    "letter_days": (MOMENTS | {"source": ""}, [{"day": DAY, "letters": 1}]),
    "letter_list": (MOMENTS | {"source": "", "page_size": 50}, [{"source": "facebook"}]),
    "report_sessions": (DAYS, [{"of_source": "", "sessions": 1}, {"of_source": "shop-app", "sessions": 1}]),
}


@pytest.mark.parametrize("question", CASES)
def test_what_happened_on_the_days_beside_it_is_not_in_it(shop: Shop, question: str) -> None:
    for number, at in enumerate(TIMES):
        shop.wrote(f"question {number}", at, inbound=True)
        shop.wrote(f"Yes {number}", at + dt.timedelta(minutes=30), inbound=False, state="delivered")
        broken = [{"sender": {"id": "1"}, "recipient": {"id": "2"}, "message": "broken"}]
        shop.told("facebook", {"object": "page", "entry": [{"id": "2", "messaging": broken}]}, at)
    shop.stored()

    parameters, expected = CASES[question]
    found = shop.warehouse.ask(question, **parameters)
    assert [{name: row[name] for name in expected[0]} for row in found] == expected


def test_what_a_person_said_on_other_days_is_not_among_the_days_talks(shop: Shop) -> None:
    for number, at in enumerate(TIMES):
        shop.wrote(f"question {number}", at, inbound=True)
    other = shop.message("later", TIMES[1] + dt.timedelta(hours=1), inbound=True)
    shop.told("shop-app", {"messages": [other | {"source_conversation_id": "another"}]}, TIMES[1])
    shop.stored()
    (who,) = shop.analyst.query("SELECT contact_id FROM parley.contacts WHERE messages > 0")

    talks = shop.warehouse.ask("person_talks", first_day=DAY, last_day=DAY, contact_ids=[who["contact_id"]])
    assert [(row["messages"], row["last_message_at"]) for row in talks] == [
        (1, TIMES[1] + dt.timedelta(hours=1)),
        (1, TIMES[1]),
    ]


def test_days_nearest_to_a_page_are_led_to(shop: Shop) -> None:
    for days in (-20, -3, 0, 2, 30):
        shop.wrote(f"after {days} days", TIMES[1] + dt.timedelta(days=days), inbound=True)
    shop.stored()
    (talk,) = shop.analyst.query("SELECT conversation_id, contact_id FROM parley.conversations")
    days = {"first_day": DAY - dt.timedelta(days=1), "last_day": DAY}
    nearest = {"earlier_day": DAY - dt.timedelta(days=3), "later_day": DAY + dt.timedelta(days=2)}

    (spoken,) = shop.warehouse.ask("spoken", **days, conversation_ids=[talk["conversation_id"]])
    assert spoken == nearest | {"day": DAY}
    (seen,) = shop.warehouse.ask("person_days", **days, contact_ids=[talk["contact_id"]])
    assert seen == nearest


def test_the_last_day_with_messages_is_looked_for_within_a_year(shop: Shop) -> None:
    for days in (-400, -20, -3):
        shop.wrote(f"after {days} days", TIMES[1] + dt.timedelta(days=days), inbound=True)
    shop.stored()

    assert shop.warehouse.ask("latest_day", last_day=DAY) == [{"latest_day": DAY - dt.timedelta(days=3)}]
    long_ago = shop.warehouse.ask("latest_day", last_day=DAY - dt.timedelta(days=800))
    assert long_ago == [{"latest_day": None}]


def test_what_becomes_of_a_conversation_shows_for_a_week_after_its_page(shop: Shop) -> None:
    shop.wrote("question", TIMES[1], inbound=True)
    for days in (-2, -1, 7, 8):
        shop.note(f"after_{days}", "x", TIMES[1] + dt.timedelta(days=days))
    shop.stored()
    (talk,) = shop.analyst.query("SELECT conversation_id FROM parley.conversations")

    known = {"message_ids": [], "conversation_ids": [talk["conversation_id"]]}
    found = shop.warehouse.ask("metadata", first_day=DAY, last_day=DAY, **known)
    assert [row["key"] for row in found] == ["after_-1", "after_7"]


def test_replies_of_the_day_and_of_those_beside_it_show(shop: Shop) -> None:
    reply = {"source": "whatsapp", "channel": "1", "to": "2", "content": {"text": "Hi"}}
    for days in (-2, -1, 0, 1, 2):
        shop.told_of_a_reply(f"r{days}", reply, TIMES[1] + dt.timedelta(days=days))
    shop.stored()
    (told, *_) = shop.analyst.query("SELECT conversation_id FROM parley.metadata WHERE subject_type = 'reply'")

    found = shop.warehouse.ask("answers", last_day=DAY, conversation_ids=[told["conversation_id"]])
    assert [row["reply_id"] for row in found] == ["r-1", "r0", "r1"]


def test_of_an_event_with_rows_of_several_days_only_those_that_are_looked_for_are_led_to(shop: Shop) -> None:
    ages = (0, 40, 2)
    messages = [shop.message(f"{age} days old", TIMES[1] - dt.timedelta(days=age), inbound=True) for age in ages]
    shop.told("shop-app", {"messages": messages}, TIMES[1])
    shop.wrote("of another event", TIMES[1] - dt.timedelta(days=5), inbound=True)
    shop.stored()
    (event,) = shop.analyst.query("SELECT event_id FROM parley.events ORDER BY received_at DESC LIMIT 1")

    days = {"first_day": DAY - dt.timedelta(days=30), "last_day": DAY}
    found = shop.warehouse.ask("item_days", **days, event_id=event["event_id"])
    assert [row["day"] for row in found] == [DAY - dt.timedelta(days=2), DAY]
