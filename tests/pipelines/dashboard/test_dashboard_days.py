"""What lies outside of the days that a page looks at is said, and links lead there."""

import datetime as dt
import html
import re

import pytest
from dashboard_shop import NOON, Shop, before
from flask.testing import FlaskClient

from pipelines.dashboard.app import create_app

pytestmark = pytest.mark.thorough


@pytest.fixture
def visitor(shop: Shop) -> FlaskClient:
    app = create_app(shop.warehouse, None, ["shop-app"], NOON.date)
    return app.test_client()


def link(page: str, words: str) -> str:
    """Return where the link with these words leads."""
    found = re.search(rf'href="([^"]+)"[^>]*>{words}', page)
    assert found, f"no link {words!r}"
    return html.unescape(found[1])


def test_one_gets_back_through_months_of_a_conversation_and_forth_again(shop: Shop, visitor: FlaskClient) -> None:
    for name, days in (("spring", 100), ("summer", 20), ("autumn", 0.1)):
        shop.wrote(name, before(days=days), inbound=True)
    shop.stored()

    listed = visitor.get("/conversations/").text
    path = link(listed, "\\s*<span class=.who")
    assert "day=2026-03-10" in path
    page = visitor.get(path).text
    assert "autumn" in page
    assert "summer" not in page
    page = visitor.get(link(page, "Earlier, up to")).text
    assert "summer" in page
    assert "Nothing from" in page
    page = visitor.get(link(page, "Look further back")).text
    assert "No messages between" in page
    page = visitor.get(link(page, "Earlier, up to")).text
    assert "spring" in page
    later = visitor.get(link(page, "Conversations</a></p>")).text
    assert path in html.unescape(later)


def test_a_conversation_of_which_nothing_is_near_says_where_it_looked(shop: Shop, visitor: FlaskClient) -> None:
    shop.wrote("spring", before(days=100), inbound=True)
    shop.stored()
    (row,) = shop.analyst.query("SELECT conversation_id AS id FROM parley.conversations")

    answer = visitor.get(f"/conversations/{row['id']}")
    assert answer.status_code == 404
    assert "Nothing is known of such a conversation from Sun, 18 January 2026" in answer.text
    page = visitor.get(link(answer.text, "Look further back")).text
    page = visitor.get(link(page, "Earlier, up to")).text
    assert "spring" in page


def test_a_note_before_the_first_message_of_a_week_is_shown(shop: Shop, visitor: FlaskClient) -> None:
    shop.wrote("first", before(days=5), inbound=True)
    shop.note("order_state", "shipped", before(days=6))
    shop.stored()

    page = visitor.get(link(visitor.get("/conversations/").text, "\\s*<span class=.who")).text
    assert "first" in page
    assert "shipped" in page


def test_of_an_event_with_rows_of_several_days_each_has_its_page(shop: Shop, visitor: FlaskClient) -> None:
    days = {"old": 300, "newer": 12, "new": 0.2}
    messages = [shop.message(name, before(days=age), inbound=True) for name, age in days.items()]
    shop.told("shop-app", {"messages": messages}, NOON)
    shop.stored()
    (row,) = shop.analyst.query("SELECT event_id AS id FROM parley.events")
    path = f"/events/{NOON.date()}/{row['id']}"

    page = visitor.get(path).text
    assert [name for name in days if f'"{name}"' in html.unescape(page)] == ["newer"]
    assert "looked for from Sun, 8 February 2026 on" in page
    assert '"old"' in html.unescape(
        visitor.get(link(page, (NOON - dt.timedelta(days=300)).strftime("%a, %-d %B %Y"))).text
    )
    assert '"new"' in html.unescape(visitor.get(link(page, "Tue, 10 March 2026")).text)


def test_a_link_to_a_raw_event_carries_the_day_of_the_row(shop: Shop, visitor: FlaskClient) -> None:
    messages = [shop.message(name, before(days=age), inbound=True) for name, age in (("b", 1), ("a", 3))]
    shop.told("shop-app", {"messages": messages}, NOON)
    shop.stored()

    page = visitor.get(link(visitor.get("/conversations/").text, "\\s*<span class=.who")).text
    raw = [html.unescape(each) for each in re.findall(r'class="raw" href="([^"]+)"', page)]
    assert ['"a"' in html.unescape(visitor.get(each).text) for each in raw] == [True, False]
