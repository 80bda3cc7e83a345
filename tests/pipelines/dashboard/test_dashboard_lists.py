"""Every number of the overview leads to a list of as many."""

import csv
import html
import io
import re
from urllib.parse import urlencode

import pytest
from dashboard_world import LETTERS, START, DashboardWorld
from flask.testing import FlaskClient

from pipelines.dashboard import as_csv, dead_letters, messages
from pipelines.dashboard.period import END_OF_TIME

pytestmark = pytest.mark.thorough

DAY = START.date().isoformat()
PERIOD = {"from": DAY, "to": "2026-03-07"}


def lines(page: FlaskClient, path: str) -> list[dict[str, str]]:
    answer = page.get(path + ("&" if "?" in path else "?") + "format=csv")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def numbers(page: FlaskClient, panel: str, **asked: str) -> list[tuple[str, int]]:
    """Return where the numbers of a panel lead, and the numbers."""
    text = page.get(f"/panels/{panel}?" + urlencode(PERIOD | asked)).text
    found = re.findall(r'<a href="(/(?:messages|webhooks|conversations)/[^"]*)">([\d\u202f]+)[^<]*</a>', text)
    return [(html.unescape(path), int(number.replace("\u202f", ""))) for path, number in found]


@pytest.mark.parametrize(
    ("panel", "asked", "least"),
    [
        ("totals", {}, 5),
        ("activity", {"to": DAY, "source": "whatsapp"}, 20),
        ("funnel", {"source": "whatsapp"}, 10),
        ("responses", {}, 7),
        ("troubles", {}, 13),
    ],
)
def test_a_number_leads_to_as_many(page: FlaskClient, panel: str, asked: dict[str, str], least: int) -> None:
    found = numbers(page, panel, **asked)
    assert len(found) >= least
    for path, number in found[-7:]:
        listed = lines(page, path)
        assert len({line[next(iter(line))] for line in listed} if "webhooks" in path else listed) == number, path
        assert number, path


def test_a_list_of_messages_shows_whose_they_are_and_leads_to_them(page: FlaskClient) -> None:
    path = "/messages/?" + urlencode({"which": "failed", **PERIOD})
    (line, *_) = lines(page, path)
    text = page.get(path).text
    assert f"/conversations/{line['conversation_id']}?" in text
    assert f"#m-{line['message_id']}" in text
    assert "Only its receipts are known" in text
    assert "answered after" in page.get("/messages/?which=within_1_hour").text


def test_paging_shows_every_message_once(page: FlaskClient) -> None:
    path = "/messages/?" + urlencode({"source": "whatsapp", **PERIOD, "to": DAY})
    expected = [line["message_id"] for line in lines(page, path)]
    assert len(expected) > 2 * messages.LIST_SIZE
    shown: list[str] = []
    while path:
        text = page.get(path).text
        shown += re.findall(r"#m-([0-9a-f-]+)", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = "/messages/" + html.unescape(following[1]) if following else ""
    assert shown == expected


def test_what_is_said_is_found_day_by_day(
    page: FlaskClient, world: DashboardWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LIST_SIZE", 1)
    monkeypatch.setattr(messages, "SEARCHED_DAYS", 2)
    path = "/messages/?" + urlencode({"text": "LODEN", "which": "inbound", **PERIOD})
    shown: list[str] = []
    looks = set()
    while path:
        text = page.get(path).text
        looks |= set(re.findall(r"Look through earlier days|Earlier messages", text))
        shown += re.findall(r"#m-([0-9a-f-]+)", text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = "/messages/" + html.unescape(following[1]) if following else ""
    expected = world.query(
        "SELECT message_id FROM parley.message_texts WHERE direction = 'inbound' AND LOWER(text) LIKE '%loden%'"
    )
    assert sorted(shown) == sorted(str(row["message_id"]) for row in expected)
    assert looks == {"Look through earlier days", "Earlier messages"}


def test_what_nobody_says_is_found_nowhere_and_percent_is_no_wildcard(page: FlaskClient) -> None:
    text = page.get("/messages/?" + urlencode({"text": "100%_<i>", **PERIOD})).text
    assert "No messages like this" in text
    assert "100%_&lt;i&gt;" in text


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/messages/?which=x",
            "/messages/?hour=24",
            "/messages/?hour=%D9%A0%D9%A1",
            "/messages/?text=a&which=read",
        ),
        *("/messages/?text=" + "x" * 201, "/messages/?text=x&day=soon", "/webhooks/?outcome=x"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_form(page: FlaskClient, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 400
    assert 'class="filters"' in answer.text


def test_dead_letters_become_a_file_without_their_bodies(page: FlaskClient) -> None:
    found = lines(page, "/dead-letters/?" + urlencode(PERIOD))
    assert len(found) == LETTERS
    assert [line["received_at"] for line in found] == sorted((line["received_at"] for line in found), reverse=True)
    assert set(found[0]) == set(dead_letters.COLUMNS)
    assert all(line["error_class"] and line["event_id"] for line in found)
    assert lines(page, "/dead-letters/?" + urlencode(PERIOD | {"source": "whatsapp"})) == [
        line for line in found if line["source"] == "whatsapp"
    ]


def test_a_file_holds_no_formula_of_a_stranger() -> None:
    rows = [{"a": "=1+1", "b": END_OF_TIME}, {"a": "plain", "b": None}]
    told = as_csv.answer("x", ("a", "b"), rows).get_data(as_text=True)
    assert told == "a,b\r\n'=1+1,9000-01-01T00:00:00+00:00\r\nplain,\r\n"
