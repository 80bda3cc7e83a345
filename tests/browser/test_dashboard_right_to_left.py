"""Names and texts that run from right to left: each its own way, and nothing beside them is disturbed."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from bigquery_fixtures import Emulator
from dashboard_shop import NOON, Shop, before
from playwright.sync_api import Locator, Page, expect
from werkzeug.serving import make_server

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from pipelines.dashboard.app import create_app
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

# Each of the first two ends with what goes to the other side where nobody keeps a name's direction to itself.
ARABIC, HEBREW, LATIN = NAMES = ("ليلى منصور (7)", "נועה לוי (3)", "Lena")
PHONES = {ARABIC: "4915550000101", HEBREW: "4915550000102", LATIN: "4915550000103"}
ASKED = {ARABIC: "متى يصل طلبي رقم 1042؟!", HEBREW: "מתי תגיע ההזמנה שלי? " * 80, LATIN: "Kommt sie? שלום!"}
ANSWERED = "غدا إن شاء الله."
# Whether the last letter of an element's first text stands to the left of its first one.
RUNS_LEFT = """element => {
  const text = document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode(), range = document.createRange();
  const left = at => {
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().left;
  };
  return left(text.data.trimEnd().length - 1) < left(text.data.length - text.data.trimStart().length);
}"""
WE_COME_FIRST = """element => {
  const said = document.createRange();
  said.selectNodeContents(element.lastChild);
  const ours = element.querySelector(".note").getBoundingClientRect();
  return said.getBoundingClientRect().right <= ours.left + 1;
}"""


def told(shop: Shop, name: str, **lists: Any) -> None:
    """WhatsApp tells something of somebody with a name."""
    body = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "4915550000001", "phone_number_id": "150"},
        "contacts": [{"profile": {"name": name}, "wa_id": PHONES[name]}],
        **lists,
    }
    change = {"field": "messages", "value": body}
    whole = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    shop.told("whatsapp", whole, NOON)


def text(at_hours_before: float, name: str, said: str, **more: str) -> dict[str, Any]:
    """Return a message of WhatsApp's about somebody."""
    seconds = str(int(before(hours=at_hours_before).timestamp()))
    common = {"id": f"wamid.{seconds}", "timestamp": seconds, "type": "text", "text": {"body": said}}
    return {"from": PHONES[name], **common, **more}


@pytest.fixture(scope="module")
def url(bigquery_emulator: Emulator) -> Iterator[str]:
    """A dashboard of three contacts; one of them was answered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        analyst = Analyst()
        shop = Shop(analyst)
        for number, name in enumerate(NAMES):
            told(shop, name, messages=[text(5 - number, name, ASKED[name])])
        ours = {"from": "4915550000001", "to": PHONES[ARABIC]}
        told(shop, ARABIC, message_echoes=[text(1, ARABIC, ANSWERED, **ours)])
        shop.stored()
        app = create_app(shop.warehouse, None, [], NOON.date)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.port}"
        server.shutdown()
        thread.join()
        server.server_close()
        analyst.close()


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def opened(new_visitor, url: str, request: pytest.FixtureRequest):
    """Open a page of the dashboard, on a desk and on a phone."""
    page = new_visitor(viewport={"width": request.param, "height": 844}).new_page()
    page.set_default_timeout(60_000)

    def go(path: str) -> Page:
        page.goto(url + path)
        return page

    return go


def direction(element: Locator) -> str:
    return str(element.evaluate("element => getComputedStyle(element).direction"))


def keeps_to_itself(element: Locator, is_from_the_right: bool) -> None:
    """Assert that an element has the direction of its letters, and gives it to nothing else."""
    assert direction(element) == ("rtl" if is_from_the_right else "ltr")
    assert element.evaluate("element => getComputedStyle(element).unicodeBidi") in {"isolate", "plaintext"}
    assert element.evaluate(RUNS_LEFT) is is_from_the_right
    assert direction(element.locator("xpath=..")) == "ltr"


def of(page: Page, name: str) -> Locator:
    """Return somebody's row of a list."""
    return page.locator(".conversations li").filter(has=page.locator(".who").get_by_text(name, exact=True))


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_people_of_every_direction_and_the_words_beside_them(opened) -> None:
    page = opened("/people/")
    for name in NAMES:
        row = of(page, name)
        keeps_to_itself(row.locator(".who bdi"), name != LATIN)
        assert direction(row.locator(".facts")) == direction(row.locator("time")) == "ltr"
        assert not row.locator(".facts").evaluate(RUNS_LEFT)
    assert fits(page)
    asked = page.locator("input[name=contact]")
    asked.fill(HEBREW)
    assert direction(asked) == "rtl"
    for name in NAMES:
        page = opened("/people/")
        of(page, name).locator("a").first.click()
        keeps_to_itself(page.locator("h1 bdi"), name != LATIN)
        keeps_to_itself(page.locator(".known .note bdi").first, name != LATIN)
        assert not page.locator(".about").evaluate(RUNS_LEFT)
        assert fits(page)


def test_conversations_of_every_direction_and_who_spoke_last(opened) -> None:
    page = opened("/conversations/")
    for name in NAMES:
        keeps_to_itself(of(page, name).locator(".who bdi"), name != LATIN)
        assert direction(of(page, name).locator(".last")) == ("ltr" if name == LATIN else "rtl")
    # We come first, which is to the right of what we said.
    answered = of(page, ARABIC).locator(".last")
    expect(answered).to_have_text(f"We: {ANSWERED}")
    assert answered.evaluate(WE_COME_FIRST)
    assert not answered.locator(".note").evaluate(RUNS_LEFT)
    assert fits(page)


def test_what_was_said_runs_its_own_way_and_what_stands_below_it_ours(opened) -> None:
    for name in NAMES:
        page = opened("/conversations/")
        of(page, name).locator("a").first.click()
        keeps_to_itself(page.locator("h1 bdi"), name != LATIN)
        folded = page.locator(".message .long summary")
        said = folded.locator(".excerpt") if name == HEBREW else page.locator(".message .text").first
        assert direction(said) == ("ltr" if name == LATIN else "rtl")
        # The long one has several lines.
        assert name == HEBREW or said.evaluate(RUNS_LEFT) is (name == ARABIC)
        for below in page.locator(".under").all():
            assert direction(below) == "ltr"
        if name == HEBREW:
            assert direction(folded.locator(".fold")) == "ltr"
            folded.click()
            assert direction(page.locator(".message .text")) == "rtl"
        assert fits(page)
