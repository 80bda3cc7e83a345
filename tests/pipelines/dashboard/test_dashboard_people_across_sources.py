"""The dashboard has each person once across sources, as the view people has, and all of a person on one page."""

import csv
import datetime as dt
import io
import json
import re
from urllib.parse import urlencode

import pytest
from dashboard_shop import NOON, WEEK, Shop, before
from dashboard_world import START, DashboardWorld
from flask.testing import FlaskClient

from pipelines.core import ids
from pipelines.dashboard.app import create_app
from pipelines.dashboard.period import END_OF_TIME
from pipelines.run.deciding import DIFFERENT, SAME, WITHDRAWN, Decisions
from tests.schemas.sample_world import whatsapp_event

pytestmark = pytest.mark.thorough

PHONE = "5215599990001"
WHATSAPP, SMS = ids.contact_id("whatsapp", "", PHONE), ids.contact_id("twilio.sms", "", f"+{PHONE}")
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def visitor(shop: Shop) -> FlaskClient:
    app = create_app(shop.warehouse, None, [], NOON.date)
    app.testing = True
    return app.test_client()


def by_whatsapp(shop: Shop, text: str, at: dt.datetime, phone: str = PHONE) -> None:
    item = {"from": phone, "id": f"wamid.{text}", "timestamp": str(int(at.timestamp())), "type": "text"}
    _, source, body, _ = whatsapp_event(at, messages=[item | {"text": {"body": text}}])
    shop.told(source, json.loads(body), at)


def by_sms(shop: Shop, text: str, at: dt.datetime, phone: str = PHONE) -> None:
    fields = {"MessageSid": f"SM{text:0>32}", "From": f"+{phone}", "To": "+15550104400", "Body": text}
    shop.told_raw("twilio", urlencode(fields).encode(), at, content_type=FORM)


def by_shop(shop: Shop, customer: str, at: dt.datetime, **facts: object) -> None:
    told = {
        "namespace": "contact",
        "source_id": customer,
        "metadata": facts,
        "occurred_at": int(at.timestamp() * 1000),
    }
    shop.told("shop-app", {"metadata": [told]}, at)


def both(shop: Shop) -> list[set[str]]:
    """Return who is one person by the dashboard's list, after it agreed with the view."""
    shop.stored()
    page = {"contact": "", "several": False, "before": END_OF_TIME, "after_id": "", "page_size": 50}
    listed = shop.warehouse.ask("people_list", **page, **WEEK.parameters())
    view = shop.analyst.query("SELECT * FROM parley.people ORDER BY last_seen_at DESC, person_id")
    found = []
    for row in listed:
        rows = shop.warehouse.ask(
            "person", contact_id=row["contact_id"], first_day=WEEK.first_day, last_day=WEEK.last_day
        )
        assert len({each["contact_id"] for each in rows}) == row["contacts"]
        found.append({each["contact_id"] for each in rows})
    assert sorted(map(sorted, found)) == sorted(sorted(row["contact_ids"]) for row in view)
    assert sorted((row["sources"], row["messages"]) for row in listed) == sorted(
        (row["sources"], row["messages"]) for row in view
    )
    return found


def sizes(shop: Shop) -> list[int]:
    return sorted(map(len, both(shop)))


def test_one_number_over_sources_is_one_person_and_a_name_is_none(shop: Shop) -> None:
    by_whatsapp(shop, "hello", before(hours=5))
    by_sms(shop, "here", before(hours=4))
    by_sms(shop, "other", before(hours=3), "4915550000999")
    by_shop(shop, "7", before(hours=2), display_name="Kim")

    assert sizes(shop) == [1, 1, 2]


@pytest.mark.parametrize(
    "facts",
    [
        {"phone_number": f"+{PHONE}"},
        {"person": {"same_as": f"whatsapp:{PHONE}"}},
        {"person": {"same_as": {"chat": WHATSAPP}}},
    ],
)
def test_what_a_custom_source_states_counts_until_it_takes_it_back(shop: Shop, facts: dict[str, object]) -> None:
    by_whatsapp(shop, "hello", before(hours=5))
    by_shop(shop, "7", before(hours=4), **facts)
    assert sizes(shop) == [2]
    if "person" in facts:
        key = "person.same_as.chat" if isinstance(facts["person"]["same_as"], dict) else "person.same_as"  # type: ignore[index]
        by_shop(shop, "7", before(hours=3), **{key: ""})
        assert sizes(shop) == [1, 1]


def test_one_persons_id_links_and_a_value_that_many_have_had_links_nobody(shop: Shop) -> None:
    for number in range(5):
        by_shop(shop, f"c{number}", before(hours=5), person={"id": "crm-1"})
    assert sizes(shop) == [5]
    by_shop(shop, "c5", before(hours=4), person={"id": "crm-1"})
    assert sizes(shop) == [1] * 6


def test_what_operators_decide_counts_at_once(shop: Shop) -> None:
    by_whatsapp(shop, "hello", before(hours=5))
    by_sms(shop, "here", before(hours=4))
    by_shop(shop, "7", before(hours=3))
    assert sizes(shop) == [1, 2]
    decisions = Decisions(shop.analyst.client, shop.analyst.target)
    (customer,) = shop.analyst.query("SELECT contact_id FROM parley.contacts WHERE source = 'shop-app'")

    assert decisions.decide(customer["contact_id"], WHATSAPP, SAME, "somebody", "asked")
    assert sizes(shop) == [3]
    assert decisions.decide(SMS, "phone:+525599990001", DIFFERENT, "somebody", None)
    assert sizes(shop) == [1, 2]
    assert decisions.decide(SMS, "phone:+525599990001", WITHDRAWN, "somebody", None)
    assert sizes(shop) == [3]


def test_a_person_has_all_conversations_in_one_timeline(shop: Shop, visitor: FlaskClient) -> None:
    by_whatsapp(shop, "first", before(hours=5))
    by_sms(shop, "second", before(hours=4))
    by_whatsapp(shop, "third", before(hours=3))
    by_sms(shop, "stranger", before(hours=2), "4915550000999")
    shop.stored()
    pages = [visitor.get(f"/people/{each}").text for each in (WHATSAPP, SMS)]

    for text in pages:
        chat = text.partition('class="chat"')[2]
        assert re.findall(r'class="text" dir="auto">(\w+)', chat) == ["first", "second", "third"]
        assert "One person by <bdi>+525599990001</bdi>" in text
        assert len(re.findall(r'<a href="/conversations/[^"]+">', text.partition('id="talks"')[2])) == 2
    # One leads there, from wherever the person is met.
    conversations = re.findall(r"/conversations/([0-9a-f-]{36})", pages[0])
    for conversation in set(conversations):
        assert re.search(f"/people/({WHATSAPP}|{SMS})", visitor.get(f"/conversations/{conversation}").text)
    assert f"/people/{SMS}" in visitor.get("/messages/").text


def test_what_was_read_up_to_a_time_in_one_conversation_says_nothing_of_another(
    shop: Shop, visitor: FlaskClient
) -> None:
    for app, customer in (("app", "c"), ("other", "e")):
        said = shop.message(f"from {app}", before(hours=5), inbound=False)
        shop.told(
            "shop-app",
            {"messages": [said | {"source_channel_id": app, "source_recipient_id": customer}]},
            before(hours=5),
        )
        by_shop_channel = {"namespace": "contact", "source_id": customer, "source_channel_id": app}
        shop.told(
            "shop-app", {"metadata": [by_shop_channel | {"metadata": {"person": {"id": "p"}}}]}, before(hours=4)
        )
    shop.note("source.read_watermark", before(hours=1).isoformat(), before(hours=1))
    shop.stored()
    (row,) = shop.analyst.query("SELECT person_id FROM parley.people WHERE ARRAY_LENGTH(contact_ids) = 2")
    text = visitor.get(f"/people/{row['person_id']}").text

    assert "from app" in text
    assert "from other" in text
    assert text.count('class="state read"') == 1


def test_who_is_looked_for_is_found_by_any_contact(shop: Shop, visitor: FlaskClient) -> None:
    by_whatsapp(shop, "hello", before(hours=5))
    by_sms(shop, "here", before(hours=4))
    by_sms(shop, "other", before(hours=3), "4915550000999")
    shop.stored()

    for asked in (f"contact={PHONE}", "contact=%2B525599990001", "several=1", "source=whatsapp"):
        answer = visitor.get(f"/people/?format=csv&{asked}")
        (line,) = csv.DictReader(io.StringIO(answer.text))
        assert (line["contacts"], line["messages"]) == ("2", "2"), asked
    page = visitor.get("/people/?contact=nobody").text
    assert "Nobody like this was seen" in page
    assert "Show all of these days" in page


def test_a_person_who_was_seen_on_other_days_is_led_to(shop: Shop, visitor: FlaskClient) -> None:
    by_whatsapp(shop, "long ago", before(days=30))
    by_whatsapp(shop, "today", before(hours=1))
    shop.stored()

    text = visitor.get(f"/people/{WHATSAPP}").text
    assert "long ago" not in text.partition('class="chat"')[2]
    earlier = before(days=30).date()
    assert f"day={earlier}" in text
    assert "long ago" in visitor.get(f"/people/{WHATSAPP}?day={earlier}").text
    between = visitor.get(f"/people/{WHATSAPP}?day={before(days=15).date()}")
    assert between.status_code == 404
    assert f"day={earlier}" in between.text
    assert f"day={NOON.date()}" in between.text
    nobody = visitor.get("/people/nobody")
    assert nobody.status_code == 404
    assert "Nor do the 42 days" in nobody.text


def test_an_empty_list_says_what_to_do(visitor: FlaskClient) -> None:
    assert "Nobody was seen between" in visitor.get("/people/").text


def test_pages_of_people_have_each_once(page: FlaskClient, world: DashboardWorld) -> None:
    path = f"/people/?from={START.date()}&to=2026-03-08"
    listed = [line["person_id"] for line in csv.DictReader(io.StringIO(page.get(f"{path}&format=csv").text))]
    assert len(listed) == len(set(listed)) > 50
    shown = []
    while path:
        text = page.get(path).text
        shown += re.findall(r"/people/([0-9a-f-]{36})", text)
        more = re.search(r'rel="next" href="([^"]+)"', text)
        path = "/people/" + more[1].replace("&amp;", "&") if more else ""
    assert len(shown) == len(listed)
    (view,) = world.query("SELECT COUNT(*) AS people FROM parley.people")
    assert len(listed) == view["people"]


def test_messages_of_a_person_go_on_by_pages(page: FlaskClient, world: DashboardWorld) -> None:
    (row,) = world.query(
        "SELECT * FROM parley.people WHERE ARRAY_LENGTH(sources) > 1 ORDER BY messages DESC, person_id LIMIT 1"
    )
    path, seen = f"/people/{row['person_id']}?day=2026-03-08", set()
    while path:
        text = page.get(path).text
        seen |= set(re.findall(r'<li class="message [^"]*" id="m-([^"]+)"', text))
        more = re.search(r'<a href="([^"]+)">Earlier messages', text)
        path = f"/people/{row['person_id']}" + more[1].replace("&amp;", "&") if more else ""
    told = {
        each["message_id"]
        for each in world.query(
            "SELECT message_id FROM parley.messages, UNNEST((SELECT contact_ids FROM parley.people "
            f"WHERE person_id = '{row['person_id']}')) AS member WHERE contact_id = member"
        )
    }
    assert told
    assert told <= seen
