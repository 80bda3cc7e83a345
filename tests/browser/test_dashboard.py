import datetime as dt
import re
import threading
import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from bigquery_fixtures import PROJECT, Emulator
from dashboard_world import HOSTILE, HOSTILE_EVENT, START, DashboardWorld
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target

pytestmark = pytest.mark.thorough

PANELS = ("totals", "activity", "funnel", "responses", "troubles")
SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}
# Chart.js paints with the colors of the page: a canvas that nothing was painted on is transparent everywhere.
PAINTED = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


class Site:
    """A dashboard that is served, and pages of it that are worth a visit."""

    def __init__(self, world: DashboardWorld, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.conversation = f"/conversations/{world.conversation_of(HOSTILE_EVENT)}"
        self.paths = (
            "/",
            "/conversations/",
            self.conversation,
            f"/events/{START.date()}/{HOSTILE_EVENT}/raw",
            "/people/",
            f"/people/{world.person()}",
            "/people/?contact=nobody",
            "/messages/",
            "/response-times/?business=1",
            f"/reports/?from={START.date()}&to={START.date() + dt.timedelta(days=6)}",
            "/webhooks/",
            "/dead-letters/",
            "/runs/",
        )


@pytest.fixture(scope="module")
def site(
    browser: Browser, bigquery_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        target = Target.prefixed(PROJECT, f"b{uuid.uuid4().hex[:12]}_")
        world = DashboardWorld(target, tmp_path_factory.mktemp("world") / "archive")
        server = make_server("127.0.0.1", 0, world.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Site(world, server.port)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            world.client.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What a browser complains of: messages on the console, errors, dialogs, requests to elsewhere."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def look(new_visitor, site: Site, complaints: list[str]):
    """Open a page of the dashboard, all its panels answered."""

    def go(path: str, **settings: object) -> Page:
        page = new_visitor(**settings).new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(site.url) or complaints.append(request.url))
        page.goto(site.url + path)
        for name in PANELS if path == "/" else ():
            page.locator(f".{name}:not([aria-busy])").wait_for()
        for report in page.locator("[data-when-seen]").all():
            report.scroll_into_view_if_needed()
            expect(report).not_to_have_attribute("aria-busy", "true", timeout=120_000)
        return page

    return go


def test_a_report_is_asked_for_when_somebody_comes_to_it(site: Site, new_visitor) -> None:
    page = new_visitor(viewport=SIZES["desk"]).new_page()
    asked: list[str] = []
    page.on("request", lambda request: "/panels/reports/" in request.url and asked.append(request.url))
    page.goto(next(site.url + path for path in site.paths if path.startswith("/reports/")))
    reports = page.locator("[data-when-seen]")
    expect(reports.first).not_to_have_attribute("aria-busy", "true", timeout=60_000)
    expect(reports.last).to_have_attribute("aria-busy", "true")
    assert 0 < len(asked) < reports.count()
    last = reports.last.get_attribute("data-panel") or "none"
    assert not any(url.endswith(last) for url in asked)

    reports.last.scroll_into_view_if_needed()

    expect(reports.last).not_to_have_attribute("aria-busy", "true", timeout=60_000)
    assert sum(url.endswith(last) for url in asked) == 1


def test_every_chart_is_drawn_from_its_table(look) -> None:
    page = look("/")
    for name in ("activity", "funnel", "responses"):
        assert page.locator(f".{name} canvas").evaluate(PAINTED) > 3, name
    drawn = page.evaluate(
        "Chart.getChart(document.querySelector('.activity canvas')).data.datasets.map(d => d.data)"
    )
    page.locator(".activity summary").click()
    cells = page.locator(".activity tbody [data-value]").all_inner_texts()
    assert sum(map(sum, drawn)) == sum(int("".join(filter(str.isdigit, cell))) for cell in cells) > 0


def test_a_chart_can_be_read_with_the_keyboard(look) -> None:
    page = look("/")
    canvas = page.locator(".responses canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    title = "Chart.getChart(document.querySelector('.responses canvas')).tooltip.title"
    assert page.evaluate(title) == ["< 1 min"]
    page.keyboard.press("End")
    assert page.evaluate(title) == ["None yet"]


def test_a_bar_leads_to_what_it_counts_and_its_table_becomes_a_file(look) -> None:
    page = look("/")
    canvas = page.locator(".responses canvas")
    canvas.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("which=unanswered"))
    expect(page.get_by_text("not answered yet").first).to_be_visible()
    page.go_back()
    page.locator(".funnel:not([aria-busy])").wait_for()
    at = "Chart.getChart(document.querySelector('.funnel canvas')).getDatasetMeta(0).data[3].tooltipPosition()"
    place = page.evaluate(at)
    page.locator(".funnel canvas").click(position={"x": place["x"] / 2 + 40, "y": place["y"]})
    expect(page).to_have_url(re.compile("which=read"))
    page.go_back()
    page.locator(".troubles:not([aria-busy])").wait_for()
    with page.expect_download() as download:
        page.locator(".troubles a.file").click()
    told = download.value.path().read_bytes().decode()
    assert told.startswith('"Endpoint","Received","Normalized","Partial","Ignored","Failed"\r\n"Airy","83"')


def test_a_tables_file_holds_no_formula_of_a_stranger(look, site: Site) -> None:
    page = look(next(path for path in site.paths if path.startswith("/reports/")))
    # Whoever makes a link to a chat says by which campaign people came.
    campaign = "=HYPERLINK(&quot;https://evil.example/&quot;)"
    table = (
        "<table><thead><tr><th>Campaign</th><th>Median</th></tr></thead><tbody>"
        f'<tr><th><bdi> {campaign}</bdi></th><td data-value="-5">-5</td></tr>'
        "<tr><th>+1 555</th><td>1\u202f000</td></tr></tbody></table>"
    )
    page.route("**/panels/reports/acquisitions*", lambda route: route.fulfill(body=table))
    page.reload()
    report = page.locator("[data-panel*='acquisitions']")
    report.scroll_into_view_if_needed()
    with page.expect_download() as download:
        report.locator("a.file").click()
    lines = download.value.path().read_bytes().decode().splitlines()
    assert lines[1:] == ['"\'=HYPERLINK(""https://evil.example/"")","-5"', '"\'+1 555","1000"']
    page.unroute_all(behavior="wait")


def test_who_follows_sees_new_messages_and_stays_where_the_keyboard_is(look) -> None:
    page = look("/messages/")
    page.clock.install()
    page.reload()
    page.get_by_label("Follow").check()
    first = page.locator(".conversations li").first
    page.route(
        "**/messages/", lambda route: route.fulfill(body=route.fetch().text().replace("Größe", "Neu: Größe"))
    )
    first.locator("a").first.focus()
    page.clock.run_for(6_000)
    assert "Neu" not in first.inner_text()
    page.get_by_label("Follow").focus()
    page.clock.run_for(6_000)
    expect(first).to_contain_text("Neu: Größe")
    expect(page.get_by_label("Follow")).to_be_focused()
    page.unroute_all(behavior="wait")


def test_panels_ask_again_and_what_is_unfolded_or_focused_stays(look) -> None:
    page = look("/")
    page.clock.install()
    page.reload()
    for name in PANELS:
        page.locator(f".{name}:not([aria-busy])").wait_for()
    page.locator(".activity summary").click()
    page.locator(".funnel canvas").focus()
    again = re.compile("/panels/(activity|funnel)")
    page.route(again, lambda route: route.fulfill(body=route.fetch().text().replace("Messenger", "Changed")))
    page.clock.run_for(61_000)
    expect(page.locator(".activity thead")).to_contain_text("Changed")
    expect(page.locator(".activity details")).to_have_attribute("open", "")
    assert page.locator(".activity canvas").evaluate(PAINTED) > 3
    expect(page.locator(".funnel canvas")).to_be_focused()
    assert "Messenger" in (page.locator(".funnel table").text_content() or "")
    page.unroute_all(behavior="wait")


def test_one_gets_from_the_overview_to_a_raw_event_without_a_mouse(look) -> None:
    page = look("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("link", name="Conversations", exact=True).press("Enter")
    page.locator(".conversations a").first.press("Enter")
    page.locator(".raw").first.press("Enter")
    expect(page.get_by_role("heading", name="Raw event")).to_be_visible()


def test_hostile_text_shows_as_it_was_written(look, site: Site) -> None:
    page = look(site.conversation)
    assert page.locator(".message .text").first.text_content() == HOSTILE
    assert page.locator(".message img, .message script").count() == 0


@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_and_is_accessible_by_day_and_by_night(look, site: Site, size: str) -> None:
    for path in site.paths:
        page = look(path, viewport=SIZES[size], color_scheme="light", reduced_motion="reduce", bypass_csp=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
            assert found.violations_count == 0, f"{path}, {scheme}: {found.generate_report()}"
        page.close()
