"""Of several tellings the last is shown, lists have their order, and what is about another is not shown."""

import datetime as dt
import json
from typing import Any

import pytest
from dashboard_shop import NOON, PHONE, WEEK, Shop, before

from pipelines.core import ids
from pipelines.dashboard.period import END_OF_TIME
from tests.schemas import sample_world

pytestmark = pytest.mark.thorough

TODAY = NOON.date()
DAYS = {"first_day": WEEK.first_day, "last_day": WEEK.last_day}


def by_whatsapp(shop: Shop, at: dt.datetime, name: str, number: str = "15550104400", **sender: str) -> None:
    text = {"id": f"wamid.{name}", "timestamp": str(int(at.timestamp())), "type": "text", "text": {"body": name}}
    _, source, body, _ = sample_world.whatsapp_event(at, messages=[text | sender])
    told = json.loads(body)
    told["entry"][0]["changes"][0]["value"]["metadata"]["display_phone_number"] = number
    shop.told(source, told, at)


def test_a_channel_has_the_name_that_a_day_has_told_last(shop: Shop) -> None:
    by_whatsapp(shop, before(hours=2), "new", "15550100011", **{"from": PHONE})
    by_whatsapp(shop, before(hours=3), "old", "15550100022", **{"from": PHONE})
    shop.stored()
    (channel,) = shop.analyst.query("SELECT channel_id FROM parley.channels WHERE source = 'whatsapp'")

    (row,) = shop.warehouse.ask("channel", day=TODAY, channel_id=channel["channel_id"])
    assert row["display_name"] == "15550100011"


def test_a_contact_has_the_name_that_was_told_last(shop: Shop) -> None:
    for hours, name in ((2, "Kim"), (3, "Sam"), (1, None)):
        at = int(before(hours=hours).timestamp() * 1000)
        fact: dict[str, Any] = {"namespace": "contact", "source_id": "7", "occurred_at": at}
        facts = {"display_name": name} if name else {"note": "x"}
        shop.told("shop-app", {"metadata": [fact | {"metadata": facts}]}, before(hours=hours))
    shop.stored()
    (who,) = shop.analyst.query("SELECT contact_id FROM parley.contacts")

    (row,) = shop.warehouse.ask("contacts", days=[TODAY], contact_ids=[who["contact_id"]])
    assert row["display_name"] == "Kim"


def test_of_names_of_one_time_those_are_shown_that_the_views_have(shop: Shop) -> None:
    for number, name in (("15550100022", "Kim"), ("15550100011", "Ann"), ("15550100033", "Sam")):
        by_whatsapp(shop, before(hours=2), number, number, **{"from": PHONE})
        at = int(before(hours=2).timestamp() * 1000)
        fact: dict[str, Any] = {"namespace": "contact", "source_id": "7", "occurred_at": at}
        shop.told("shop-app", {"metadata": [fact | {"metadata": {"display_name": name}}]}, before(hours=2))
    shop.stored()
    (channel,) = shop.analyst.query(
        "SELECT channel_id, display_name FROM parley.channels WHERE source = 'whatsapp'"
    )
    (contact,) = shop.analyst.query(
        "SELECT contact_id, display_name FROM parley.contacts WHERE source = 'shop-app'"
    )
    assert (channel["display_name"], contact["display_name"]) == ("15550100033", "Sam")

    (shown,) = shop.warehouse.ask("channel", day=TODAY, channel_id=channel["channel_id"])
    assert shown["display_name"] == channel["display_name"]
    (shown,) = shop.warehouse.ask("contacts", days=[TODAY], contact_ids=[contact["contact_id"]])
    assert shown["display_name"] == contact["display_name"]
    page = {"contact": "", "several": False, "before": END_OF_TIME, "after_id": "", "page_size": 9}
    (listed,) = shop.warehouse.ask("people_list", source="shop-app", **page, **DAYS)
    assert listed["display_name"] == "Ann"


def test_a_conversation_is_with_whom_it_was_told_with_last(shop: Shop) -> None:
    for name, hours in (("e", 1), ("c", 2)):
        told = shop.message(f"from {name}", before(hours=hours), inbound=True) | {"source_sender_id": name}
        shop.told("shop-app", {"messages": [told]}, before(hours=hours))
    shop.stored()
    (talk,) = shop.analyst.query("SELECT DISTINCT conversation_id FROM parley.messages")
    (who,) = shop.analyst.query("SELECT DISTINCT contact_id FROM parley.contacts WHERE source_contact_id = 'e'")

    (row,) = shop.warehouse.ask("sighting", day=TODAY, conversation_ids=[talk["conversation_id"]])
    assert row["contact_id"] == who["contact_id"]


def test_texts_come_in_the_order_of_time(shop: Shop) -> None:
    for hours, name in ((3, "third"), (5, "first"), (4, "second")):
        shop.wrote(name, before(hours=hours), inbound=True)
    shop.stored()
    rows = shop.analyst.query("SELECT message_id FROM parley.messages ORDER BY message_id")

    found = shop.warehouse.ask("texts", days=[TODAY], message_ids=[row["message_id"] for row in rows])
    assert [row["text"] for row in found] == ["first", "second", "third"]


def test_only_what_the_contact_wrote_opens_the_window_again(shop: Shop) -> None:
    shop.wrote("question", before(hours=3), inbound=True)
    shop.wrote("answer", before(hours=1), inbound=False)
    shop.stored()
    (talk,) = shop.analyst.query("SELECT DISTINCT conversation_id FROM parley.messages")

    (row,) = shop.warehouse.ask("asked", today=TODAY, conversation_ids=[talk["conversation_id"]])
    assert row["asked_at"] == before(hours=3)


def test_the_webhook_that_was_received_last_is_told(shop: Shop) -> None:
    for hours in (2, 1, 3):
        shop.wrote(f"{hours} hours ago", before(hours=hours), inbound=True)
    shop.stored()

    (row,) = shop.warehouse.ask("latest_event", since=WEEK.since, until=WEEK.until)
    assert row["received_at"] == before(hours=1)


def test_an_event_shows_its_own_line_and_its_own_items_in_order(shop: Shop) -> None:
    for hours in (2, 1):
        messages = [shop.message(f"{hours} {each}", before(hours=hours), inbound=True) for each in ("a", "b")]
        shop.told("shop-app", {"messages": messages}, before(hours=hours))
    shop.stored()

    for row in shop.analyst.query("SELECT event_id, received_at FROM parley.events"):
        event_id, hours = row["event_id"], 2 if row["received_at"] == before(hours=2) else 1
        (event,) = shop.warehouse.ask("event", since=WEEK.since, until=WEEK.until, event_id=event_id)
        assert (event["event_id"], event["received_at"]) == (event_id, row["received_at"])
        items = shop.warehouse.ask("items", day=TODAY, event_id=event_id)
        said = [json.loads(item["content"])["content"] for item in items if item["what"] == "message"]
        assert said == [f"{hours} a", f"{hours} b"]


def test_runs_come_page_by_page_the_latest_first_and_their_states_in_order(shop: Shop) -> None:
    shop.analyst.insert("runs", sample_world.RUNS)
    found = [shop.warehouse.ask("runs", before_id=key, page_size=1) for key in ("", "019cbbbb-2", "019cbbbb-1")]
    assert [[(row["run_id"], row["state"]) for row in page] for page in found] == [
        [("019cbbbb-2", "planned")],
        [("019cbbbb-1", "applied")],
        [],
    ]
    states = shop.warehouse.ask("run_states", run_id="019cbbbb-1")
    assert [row["state"] for row in states] == ["planned", "applied"]


def test_whoever_is_asked_for_by_any_id_is_shown_alone(shop: Shop) -> None:
    for number in "12":
        known = {"from": f"491555000010{number}", "from_user_id": f"DE.{number}"}
        by_whatsapp(shop, before(hours=5), f"hello {number}", **known)
        by_whatsapp(shop, before(hours=4), f"question {number}", from_user_id=known["from_user_id"])
    shop.stored()
    (channel,) = shop.analyst.query("SELECT channel_id FROM parley.channels WHERE source = 'whatsapp'")

    for number in "12":
        names = (f"491555000010{number}", f"DE.{number}")
        contacts = {ids.contact_id("whatsapp", "", name) for name in names}
        talks = {ids.conversation_id(channel["channel_id"], name) for name in names}
        for contact_id in contacts:
            rows = shop.warehouse.ask("person", contact_id=contact_id, **DAYS)
            assert {row["told_contact_id"] for row in rows} == contacts
        for conversation_id in talks:
            rows = shop.warehouse.ask("same_conversation", conversation_id=conversation_id, **DAYS)
            assert {row["conversation_id"] for row in rows} == talks
