"""Whoever has several ids is one on the dashboard as in the views, whatever was told when, settled or not."""

import datetime as dt
from typing import Any

import pytest
from dashboard_shop import NOON, Shop, before, counted
from flask.testing import FlaskClient

from pipelines.bigquery import resolving
from pipelines.core import ids
from pipelines.dashboard.app import create_app
from pipelines.run.deciding import DIFFERENT, WITHDRAWN, Decisions
from tests.schemas.sample_world import whatsapp_event

pytestmark = pytest.mark.thorough

PHONE, USER_ID = "4915550000101", "DE.1"
CHANNEL = ids.channel_id("whatsapp", "150")


@pytest.fixture
def visitor(shop: Shop) -> FlaskClient:
    app = create_app(shop.warehouse, None, [], NOON.date)
    app.testing = True
    return app.test_client()


def wrote(shop: Shop, at: dt.datetime, name: str, **sender: str) -> None:
    """Somebody writes by WhatsApp, and is named by some ids."""
    text = {"id": f"wamid.{name}", "timestamp": str(int(at.timestamp())), "type": "text", "text": {"body": name}}
    tell(shop, at, messages=[text | sender])


def was_answered(shop: Shop, at: dt.datetime, name: str, recipient: str) -> None:
    """An answer is known by its receipt."""
    status = {"id": f"wamid.{name}", "status": "sent", "recipient_id": recipient}
    tell(shop, at, statuses=[status | {"timestamp": str(int(at.timestamp()))}])


def tell(shop: Shop, at: dt.datetime, **lists: Any) -> None:
    import json

    _, source, body, _ = whatsapp_event(at, **lists)
    shop.told(source, json.loads(body), at)


def both(shop: Shop) -> tuple[list[bool], list[bool]]:
    """Return who waits, by the dashboard and by the view, after both agreed on how many there are."""
    listed = shop.waiting()
    (counts,) = shop.analyst.query("SELECT COUNT(DISTINCT contact_id) AS contacts FROM parley.messages")
    assert counted(shop.warehouse)["totals"]["contacts"] == counts["contacts"]
    return sorted(listed), sorted(shop.view())


def settled(shop: Shop) -> int:
    shop.stored()
    return resolving.keep(shop.analyst.client, shop.analyst.target)


def test_what_was_told_today_needs_no_settling(shop: Shop) -> None:
    wrote(shop, before(hours=5), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    was_answered(shop, before(hours=3), "answer", PHONE)

    assert both(shop) == ([False], [False])
    counts = counted(shop.warehouse)["responses"]
    assert (counts["unanswered"], counts["within_4_hours"]) == (0, 1)


def test_what_was_told_long_ago_counts_once_settled(shop: Shop) -> None:
    wrote(shop, before(days=60), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    was_answered(shop, before(hours=3), "answer", PHONE)
    assert settled(shop) == 1
    assert settled(shop) == 0

    assert shop.waiting() == [False]
    assert shop.view() == [False]


def test_what_is_told_late_counts_for_the_days_before_once_settled(shop: Shop) -> None:
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    was_answered(shop, before(hours=3), "answer", PHONE)
    shop.stored()
    assert settled(shop) == 0
    wrote(shop, before(days=-60), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    assert settled(shop) == 1

    assert shop.waiting() == [False]


def test_a_link_that_is_taken_out_is_one_no_more_at_once(shop: Shop) -> None:
    wrote(shop, before(hours=5), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    was_answered(shop, before(hours=3), "answer", PHONE)
    settled(shop)
    assert both(shop) == ([False], [False])
    one, other = (ids.contact_id("whatsapp", "", each) for each in (PHONE, USER_ID))
    decisions = Decisions(shop.analyst.client, shop.analyst.target)

    assert decisions.decide(one, other, DIFFERENT, "somebody", None)
    assert both(shop) == ([False, True], [False, True])
    assert decisions.decide(one, other, WITHDRAWN, "somebody", None)
    assert both(shop) == ([False], [False])


def test_a_conversation_opened_by_any_id_shows_all_of_it(shop: Shop, visitor: FlaskClient) -> None:
    wrote(shop, before(hours=5), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    wrote(shop, before(hours=3), "other", **{"from": "4915550000999"})
    was_answered(shop, before(hours=2), "answer", PHONE)
    channel = shop_channel(shop)
    for name in (PHONE, USER_ID):
        page = visitor.get(f"/conversations/{ids.conversation_id(channel, name)}?day={NOON.date()}")
        assert page.status_code == 200
        for text in ("hello", "question", "Sent elsewhere"):
            assert text in page.text, (name, text)
        assert "other" not in page.text.partition('class="chat"')[2]


def test_who_is_looked_for_by_any_id_is_found(shop: Shop, visitor: FlaskClient) -> None:
    wrote(shop, before(hours=5), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    wrote(shop, before(hours=4), "question", from_user_id=USER_ID)
    shop.stored()
    for name in (PHONE, USER_ID):
        page = visitor.get(f"/conversations/?contact={name}")
        assert page.text.count('class="who"') == 1, name


def test_reactions_of_both_ids_are_one_persons(shop: Shop, visitor: FlaskClient) -> None:
    wrote(shop, before(hours=6), "hello", **{"from": PHONE, "from_user_id": USER_ID})
    for hours, sender, emoji in ((5, {"from": PHONE}, "👍"), (4, {"from_user_id": USER_ID}, "🎉")):
        at = before(hours=hours)
        reaction = {"message_id": "wamid.hello", "emoji": emoji}
        item = {"id": f"wamid.r{hours}", "timestamp": str(int(at.timestamp())), "type": "reaction"}
        tell(shop, at, messages=[item | sender | {"reaction": reaction}])
    page = visitor.get(f"/conversations/{ids.conversation_id(shop_channel(shop), PHONE)}?day={NOON.date()}")

    assert "🎉" in page.text
    assert "👍" not in page.text


def test_of_reactions_of_one_second_the_last_of_the_webhook_stands_as_in_the_view(
    shop: Shop, visitor: FlaskClient
) -> None:
    wrote(shop, before(hours=6), "hello", **{"from": PHONE})
    at = before(hours=5)
    reactions = [
        {"id": f"wamid.r{emoji}", "timestamp": str(int(at.timestamp())), "type": "reaction", "from": PHONE}
        | {"reaction": {"message_id": "wamid.hello", "emoji": emoji}}
        for emoji in "👍😮😢👎🎉"
    ]
    tell(shop, at, messages=reactions)
    page = visitor.get(f"/conversations/{ids.conversation_id(shop_channel(shop), PHONE)}?day={NOON.date()}")

    assert [emoji for emoji in "👍😮😢👎🎉" if emoji in page.text] == ["🎉"]
    (view,) = shop.analyst.query("SELECT reactions FROM parley.messages_current")
    assert [each["emoji"] for each in view["reactions"]] == ["🎉"]


def shop_channel(shop: Shop) -> str:
    shop.stored()
    (row,) = shop.analyst.query("SELECT channel_id FROM parley.channels WHERE source = 'whatsapp'")
    return str(row["channel_id"])
