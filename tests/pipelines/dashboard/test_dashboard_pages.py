import html
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from dashboard_world import HOSTILE, HOSTILE_EVENT, LETTERS, START, DashboardWorld
from flask.testing import FlaskClient

from pipelines.bigquery.target import Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import UnansweredError, Warehouse
from pipelines.reprocess import staging
from pipelines.reprocess.runs import Staging

pytestmark = pytest.mark.thorough

RUN = "01a05a3e-0000-7000-8000-000000000001"
DAY = START.date().isoformat()


def opened(page: FlaskClient, path: str) -> str:
    answer = page.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def followed(page: FlaskClient, path: str, link: str) -> Iterator[str]:
    """Open a page and those behind its link of that text."""
    for _ in range(50):
        text = opened(page, path)
        yield text
        found = re.search(rf'href="([^"]+)">{link}', text)
        if not found:
            return
        path = path.partition("?")[0] + html.unescape(found[1])
    pytest.fail("the pages do not end")


def test_the_frame_comes_without_asking_and_its_panels_are_answered(page: FlaskClient) -> None:
    panels = re.findall(r'data-panel="([^"]+)"', opened(page, "/"))
    assert len(panels) == 6
    for panel in panels[1:]:
        assert "empty" not in opened(page, html.unescape(panel)).split('class="')[1].split('"')[0]


def test_a_source_leads_to_what_its_endpoint_received(page: FlaskClient) -> None:
    period = f"source=instagram&from={DAY}&to={DAY}"
    webhooks = opened(page, f"/panels/troubles?{period}")
    assert "Messenger and Instagram" in webhooks
    assert "WhatsApp" not in webhooks
    assert f"<strong>{LETTERS}</strong>" in webhooks
    assert "ValidationError" in opened(page, f"/dead-letters/?{period}")


def test_a_visitor_of_the_live_chat_has_a_name_and_is_found_by_it(page: FlaskClient) -> None:
    names = re.findall(r"<bdi>(Visitor [0-9a-f]{6})</bdi>", opened(page, "/conversations/?source=chatplugin"))
    assert len(names) > 2
    found = opened(page, "/conversations/?" + urlencode({"contact": names[0]}))
    assert set(re.findall(r'class="who"><bdi>(.*?)</bdi>', found)) == {names[0]}


def test_an_error_keeps_what_was_typed(page: FlaskClient) -> None:
    answer = page.get("/conversations/?from=x&to=2026-03-04&contact=%3Cme&waiting=1&source=whatsapp")
    assert answer.status_code == 400
    for kept in ('value="x"', 'value="2026-03-04"', 'value="&lt;me"', "checked", 'value="whatsapp" selected'):
        assert kept in answer.text


def test_a_failure_is_said_in_the_words_of_the_source(page: FlaskClient, world: DashboardWorld) -> None:
    (failed,) = world.query(
        "SELECT conversation_id, DATE(occurred_at) AS day FROM parley.metadata "
        "WHERE key = 'source.error' AND source = 'twilio.sms'"
    )
    text = opened(page, f"/conversations/{failed['conversation_id']}?day={failed['day']}")
    assert "Unreachable destination handset" in text
    assert 'href="https://www.twilio.com/docs/api/errors/30003"' in text


def test_a_period_without_messages_says_where_the_latest_are(page: FlaskClient) -> None:
    assert "to=2026-03-0" in opened(page, "/panels/totals?from=2026-06-01&to=2026-06-07")


def test_paging_shows_every_conversation_once(page: FlaskClient, world: DashboardWorld) -> None:
    pages = list(followed(page, "/conversations/", "Earlier conversations"))
    shown = [name for text in pages for name in re.findall(r'href="/conversations/([0-9a-f-]+)', text)]
    expected = world.query("SELECT conversation_id AS id FROM parley.conversations WHERE messages > 0")
    assert len(pages) > 3
    assert sorted(shown) == sorted(str(row["id"]) for row in expected)


def test_only_who_waits_can_be_listed(page: FlaskClient, world: DashboardWorld) -> None:
    pages = followed(page, "/conversations/?waiting=1", "Earlier conversations")
    shown = [name for text in pages for name in re.findall(r'href="/conversations/([0-9a-f-]+)', text)]
    expected = world.query("SELECT conversation_id AS id FROM parley.conversations WHERE is_waiting")
    assert sorted(shown) == sorted(str(row["id"]) for row in expected)


def test_a_contact_is_found_by_its_id(page: FlaskClient, world: DashboardWorld) -> None:
    shown = re.findall(
        r'href="/conversations/([0-9a-f-]+)', opened(page, "/conversations/?contact=66&source=facebook")
    )
    assert world.conversation_of(HOSTILE_EVENT) in shown
    assert "No conversations like this" in opened(page, "/conversations/?contact=%25%27%3B--")


def test_hostile_text_is_text_wherever_it_shows(page: FlaskClient, world: DashboardWorld) -> None:
    conversation = world.conversation_of(HOSTILE_EVENT)
    for path in (
        f"/conversations/{conversation}",
        f"/events/{DAY}/{HOSTILE_EVENT}",
        f"/events/{DAY}/{HOSTILE_EVENT}/raw",
        "/conversations/?" + urlencode({"contact": HOSTILE}),
        "/?" + urlencode({"source": HOSTILE}),
        "/?" + urlencode({"from": HOSTILE}),
    ):
        text = page.get(path).text
        assert "<img" not in text
        assert "<script>" not in text
        assert "49" not in re.findall(r"'quoted'|&#39;quoted&#39;", text)
    assert html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;") in opened(
        page, f"/conversations/{conversation}"
    )


def test_only_addresses_of_the_web_are_links(page: FlaskClient, world: DashboardWorld) -> None:
    text = opened(page, f"/conversations/{world.conversation_of(HOSTILE_EVENT)}")
    assert 'href="https://cdn.example/&lt;b&gt;.png"' in text
    assert 'href="javascript' not in text
    assert "javascript:alert(3)" in text


def test_the_raw_event_is_one_click_away_and_exact(page: FlaskClient, world: DashboardWorld) -> None:
    text = opened(page, f"/conversations/{world.conversation_of(HOSTILE_EVENT)}")
    link = re.search(r'class="raw" href="([^"#]+)', text)
    assert link is not None
    (row,) = world.query(f"SELECT content FROM parley.messages WHERE event_id = '{HOSTILE_EVENT}'")
    event = opened(page, html.unescape(link[1]))
    assert str(row["content"]) in [
        html.unescape(each) for each in re.findall(r'<pre dir="auto">(.*?)</pre>', event)
    ]
    assert f"{link[1].partition('?')[0]}/raw" in event


def test_the_whole_request_comes_from_the_archive_byte_for_byte(page: FlaskClient, world: DashboardWorld) -> None:
    (event,) = [e for e in world.events if e.attributes.get("event_id") == HOSTILE_EVENT]
    text = html.unescape(opened(page, f"/events/{DAY}/{HOSTILE_EVENT}/raw"))
    assert event.data.decode() in text
    assert "verified_by" in text


def test_without_an_archive_only_the_rows_are_shown(world: DashboardWorld) -> None:
    visitor = create_app(world.warehouse).test_client()
    assert "PARLEY_ARCHIVE" in opened(visitor, f"/events/{DAY}/{HOSTILE_EVENT}")
    assert visitor.get(f"/events/{DAY}/{HOSTILE_EVENT}/raw").status_code == 404


def test_paging_shows_every_dead_letter_once(page: FlaskClient) -> None:
    pages = list(followed(page, f"/dead-letters/?from={DAY}&to={DAY}", "Earlier dead letters"))
    shown = [name for text in pages for name in re.findall(r">event ([0-9a-f-]+)<", text)]
    assert len(pages) == 2
    assert len(shown) == len(set(shown)) == LETTERS
    assert "&lt;b&gt;" in pages[0]


def test_a_run_shows_its_states_and_its_diff(page: FlaskClient, world: DashboardWorld) -> None:
    assert "Nothing was reprocessed yet" in opened(page, "/runs/")
    counts = '{"messages": {"added": 1, "removed": 0, "changed": 12, "unchanged": 14}}'
    world.client.query(
        f"INSERT INTO `{world.target.table('runs')}` (run_id, state, state_at, actor, reason, generation, "
        f"selection, counts) VALUES ('{RUN}', 'planned', TIMESTAMP '2026-03-07 09:00:00+00', '<b>who</b>', "
        f"""'why', 1, '{{"sources": ["facebook"]}}', '{counts}')"""
    ).result()
    assert "&lt;b&gt;who&lt;/b&gt;" in opened(page, "/runs/")
    assert "no longer kept, or not yet compared" in opened(page, f"/runs/{RUN}")
    kept = Staging.of(world.target, RUN)
    staging.create(world.client, kept)
    world.client.query(
        f"INSERT INTO `{kept.made(staging.TOTALS)}` (table_name, source, day, added, removed, changed, unchanged) "
        "VALUES ('messages', 'facebook', DATE '2026-03-02', 1, 0, 12, 14)"
    ).result()
    world.client.query(
        f"INSERT INTO `{kept.made(staging.CHANGES)}` (table_name, change, source, day, event_id, row_id, columns, "
        "before, after) VALUES ('messages', 'changed', 'facebook', DATE '2026-03-02', 'e', 'r', ['kind'], "
        """'{"kind": "message"}', '{"kind": "<i>postback"}')"""
    ).result()
    text = opened(page, f"/runs/{RUN}")
    assert "2026-03-02 Messenger" in text
    assert "messages.kind" in text
    assert "&lt;i&gt;postback" in text


@pytest.mark.parametrize(
    "path",
    [
        "/?from=x",
        "/panels/totals?to=2026-99-99",
        "/conversations/?before=soon,x",
        "/conversations/?before=2026-01-01,x",
        "/dead-letters/?before=9999-12-31T23:59:59%2B00:00,x",
        "/?to=9999-12-31",
    ],
)
def test_an_address_that_cannot_be_is_refused(page: FlaskClient, path: str) -> None:
    assert page.get(path).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        *("/nowhere", "/conversations/x", "/runs/x", "/events/2026-03-02/x", "/events/x/x"),
        *("/events/9999-12-31/x", "/events/9999-12-31/x/raw", "/events/0001-01-01/x"),
    ],
)
def test_what_is_not_there_is_not_found(page: FlaskClient, path: str) -> None:
    assert page.get(path).status_code == 404


def test_bigquery_that_is_not_up_yet_is_waited_for() -> None:
    def down() -> None:
        raise UnansweredError("BigQuery does not answer.", will_pass=True)

    visitor = create_app(Warehouse(Target("some-project"), down)).test_client()  # type: ignore[arg-type]
    assert visitor.get("/").status_code == 200
    for path in ("/panels/totals", "/conversations/", "/runs/"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
        assert "Trying again" in answer.text
