"""Pages of what has one and the same time, as whole seconds of WhatsApp have: each thing is on one page."""

from collections.abc import Iterator
from typing import Any

import pytest
from dashboard_shop import NOON, WEEK, Shop, before

from pipelines.dashboard.conversations import END_OF_TIME
from pipelines.dashboard.warehouse import Row

pytestmark = pytest.mark.thorough

ALIKE = 5
PAGE = 2


def pages(shop: Shop, question: str, time: str, name: str, after: str, **asked: Any) -> Iterator[list[Row]]:
    """Yield the pages that a question gives, each asked by the key of the one before; no more than can be."""
    key = {"before": END_OF_TIME, after: ""}
    for _ in range(ALIKE + 1):
        page = shop.warehouse.ask(question, page_size=PAGE, **key, **asked)
        if not page:
            return
        yield page
        key = {"before": page[-1][time], after: page[-1][name]}


def test_conversations_of_the_same_time_are_each_on_one_page(shop: Shop) -> None:
    for number in range(ALIKE):
        told = shop.message(f"m{number}", before(hours=1), inbound=True)
        told |= {"source_conversation_id": f"order {number}"}
        shop.told("shop-app", {"messages": [told]}, before(hours=1))
    shop.stored()

    chosen = {"contact": "", "waiting": False} | WEEK.parameters()
    shown = list(pages(shop, "conversations", "last_message_at", "conversation_id", "after_id", **chosen))
    ids = [row["conversation_id"] for page in shown for row in page]
    assert [len(page) for page in shown] == [2, 2, 1]
    assert len(set(ids)) == ALIKE


def test_messages_of_the_same_time_are_each_on_one_page(shop: Shop) -> None:
    for number in range(ALIKE):
        shop.wrote(f"m{number}", before(hours=1), inbound=True)
    shop.stored()
    (conversation,) = shop.analyst.query("SELECT conversation_id FROM parley.conversations")

    chosen = {"first_day": NOON.date(), "last_day": NOON.date(), "conversation_ids": list(conversation.values())}
    shown = list(pages(shop, "message_keys", "last_sent_at", "message_id", "before_id", **chosen))
    assert [len(page) for page in shown] == [2, 2, 1]
    assert len({row["message_id"] for page in shown for row in page}) == ALIKE


LISTS: dict[str, tuple[tuple[str, str, str], dict[str, Any]]] = {
    "message_list": (
        ("sent_at", "message_id", "before_id"),
        {"direction": "inbound", "hour": ""} | WEEK.parameters(),
    ),
    "sent_list": (("sent_at", "message_id", "before_id"), {"state": ""} | WEEK.parameters()),
    "turn_list": (("sent_at", "message_id", "before_id"), {"at_least": 0, "less_than": 60} | WEEK.parameters()),
    "search": (
        ("sent_at", "message_id", "before_id"),
        {"first_day": NOON.date(), "last_day": NOON.date(), "source": "", "direction": "", "text": "QUESTION"},
    ),
    "event_list": (
        ("received_at", "event_id", "before_id"),
        {"since": WEEK.since, "until": WEEK.until, "source": "", "outcome": ""},
    ),
    "people_list": (
        ("last_seen_at", "person_id", "after_id"),
        {"contact": "", "several": False} | WEEK.parameters(),
    ),
}
"""Lists by their key, and what else they are asked."""


@pytest.mark.parametrize("question", LISTS)
def test_what_a_list_has_of_the_same_time_is_each_on_one_page(shop: Shop, question: str) -> None:
    at = before(hours=1)
    for number in range(ALIKE):
        order = {"source_conversation_id": f"order {number}"}
        asked = shop.message(f"question {number}", at, inbound=True) | {"source_sender_id": f"c{number}"}
        answer = shop.message(f"answer {number}", at, inbound=False) | {"source_recipient_id": f"c{number}"}
        shop.told("shop-app", {"messages": [asked | order, answer | order]}, at)
    shop.stored()

    (time, name, after), chosen = LISTS[question]
    shown = list(pages(shop, question, time, name, after, **chosen))
    assert [len(page) for page in shown] == [2, 2, 1]
    assert len({row[name] for page in shown for row in page}) == ALIKE


@pytest.mark.parametrize("received", ["together", "apart"])
def test_dead_letters_of_the_same_time_are_each_on_one_page(shop: Shop, received: str) -> None:
    broken = [{"sender": {"id": "1"}, "recipient": {"id": "2"}, "message": "broken"}] * ALIKE
    bodies = [broken] if received == "together" else [[each] for each in broken]
    for items in bodies:
        body = {"object": "page", "entry": [{"id": "2", "messaging": items}]}
        shop.told("facebook", body, before(hours=1))
    shop.stored()

    chosen = {"since": WEEK.since, "until": WEEK.until, "source": ""}
    shown = list(pages(shop, "dead_letters", "received_at", "letter_id", "after_id", **chosen))
    assert [len(page) for page in shown] == [2, 2, 1]
    assert len({row["letter_id"] for page in shown for row in page}) == ALIKE
