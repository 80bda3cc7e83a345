"""Answers in the live chat: a visitor in a real browser, and whoever answers by `POST /replies`."""

import json
import uuid
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from shop import Desk, Shop, wait_until

from schemas.raw_event import RawEvent

pytestmark = pytest.mark.thorough

Visit = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u202e "quoted"'


@pytest.fixture
def text() -> str:
    return f"Is the coat back? {uuid.uuid4()}"


def write(page: Page, text: str) -> None:
    if not page.locator("dialog").is_visible():
        page.locator(".launcher").click()
    page.locator("textarea").fill(text)
    page.locator("textarea").press("Enter")
    expect(page.locator("li[data-state=sent], li[data-state=seen]", has_text=text)).to_be_visible()


def asked(shop: Shop, text: str) -> RawEvent:
    """Return what a visitor asked, as it was stored."""
    wait_until(lambda: bool(shop.raw_events(text)))
    return shop.raw_events(text)[0]


def answers(page: Page, text: str) -> Locator:
    return page.locator("li[data-state=received]", has_text=text)


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_a_visitor_and_a_desk_talk_and_hostile_text_is_text(
    shop: Shop, desk: Desk, visit: Visit, text: str, device
):
    page = visit(shop.site, **device)
    write(page, f"{HOSTILE} {text}")

    desk.answer(asked(shop, text), f"{HOSTILE} answer to {text}", name=f"Ada {HOSTILE}")
    expect(answers(page, "answer to")).to_contain_text(f"{HOSTILE} answer to {text}")
    expect(answers(page, "answer to")).to_contain_text(f"Ada {HOSTILE}")
    write(page, f"Thanks {text}")
    page.reload()
    if device:
        page.locator(".launcher").click()

    # Each side once, in the order in which it was said.
    expect(page.locator("li")).to_have_count(3)
    expect(page.locator("li").nth(1)).to_contain_text("answer to")
    assert page.locator("parley-chat img, parley-chat script").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.title() == "Shop"


def test_what_came_while_nobody_looked_is_counted_and_told(shop: Shop, desk: Desk, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, text)
    page.locator(".launcher").click()

    for number in (1, 2):
        desk.answer(asked(shop, text), f"answer {number}")

    expect(page.locator(".launcher .count")).to_have_text("2")
    expect(page).to_have_title("(2) Shop")
    expect(page.get_by_role("button", name="Open chat. New messages: 2")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="New messages: 2")).to_have_count(1)
    page.locator(".launcher").click()
    expect(answers(page, "answer 2")).to_be_visible()
    expect(page.locator(".launcher .count")).to_be_hidden()
    expect(page).to_have_title("Shop")

    url = page.url
    page.close()
    desk.answer(asked(shop, text), "answer 3")
    again = visit(url, page.context)
    expect(again.locator(".launcher .count")).to_have_text("1")
    expect(again).to_have_title("(1) Shop")


def test_every_tab_shows_an_answer_and_one_of_them_listens(
    shop: Shop, desk: Desk, visit: Visit, new_visitor: Callable[..., BrowserContext], text: str
):
    visitor = new_visitor()
    tabs = [visit(shop.site, visitor), visit(shop.site, visitor)]
    tabs[1].locator(".launcher").click()
    write(tabs[0], text)
    desk.answer(asked(shop, text), f"answer to {text}")

    for tab in tabs:
        expect(answers(tab, text)).to_have_count(1)
        held = tab.evaluate("navigator.locks.query().then(({held}) => held.map(({name}) => name))")
        assert [name.split(":")[2] for name in held] == ["listening"]


def test_an_answer_that_came_while_the_network_was_lost_is_shown_once_it_is_back(
    shop: Shop, desk: Desk, visit: Visit, text: str
):
    page = visit(shop.site)
    write(page, text)
    desk.answer(asked(shop, text), "before")
    expect(answers(page, "before")).to_be_visible()

    page.context.set_offline(True)
    desk.answer(asked(shop, text), "meanwhile")
    expect(page.locator("li[data-state=received]")).to_have_count(1)
    page.context.set_offline(False)

    expect(answers(page, "meanwhile")).to_be_visible()
    expect(page.locator("li[data-state=received]")).to_have_count(2)


def test_each_side_sees_that_the_other_types_and_has_read(shop: Shop, desk: Desk, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, text)
    visitor = asked(shop, text).attributes["conversation_id"]

    desk.answer(asked(shop, text), {"sender_action": "typing_on"})
    expect(page.get_by_text("is typing …")).to_be_visible()
    desk.answer(asked(shop, text), {"sender_action": "mark_seen"})
    expect(page.locator("li[data-state=seen]", has_text=text)).to_contain_text("Seen")
    reply_id = desk.answer(asked(shop, text), f"answer to {text}")
    expect(answers(page, text)).to_be_visible()
    expect(page.get_by_text("is typing …")).to_be_hidden()
    page.locator("textarea").press_sequentially("Th")

    def told(what: str) -> list[dict[str, object]]:
        events = [json.loads(event.data) for event in shop.raw_events(f'"event": "{what}"') if is_theirs(event)]
        return [{name: value for name, value in event.items() if name != "sent_at"} for event in events]

    def is_theirs(event: RawEvent) -> bool:
        return event.attributes.get("conversation_id") == visitor

    wait_until(lambda: told("typing") == [{"event": "typing", "on": True}])
    wait_until(lambda: told("seen") == [{"event": "seen", "message_ids": [reply_id]}])


def test_what_is_read_before_the_conversation_is_open_again_is_told(
    shop: Shop, desk: Desk, visit: Visit, text: str
):
    page = visit(shop.site)
    write(page, text)
    page.locator(".launcher").click()
    reply_id = desk.answer(asked(shop, text), f"answer to {text}")
    expect(page.locator(".launcher .count")).to_have_text("1")

    # A slow network.
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    page.route("**/chatplugin.authenticate", hold)
    page.reload()
    page.locator(".launcher").click()
    expect(answers(page, text)).to_be_visible()
    expect(page.locator(".launcher .count")).to_be_hidden()
    for route in waiting:
        route.continue_()
    page.unroute("**/chatplugin.authenticate")

    wait_until(lambda: bool(shop.raw_events(f'"message_ids": ["{reply_id}"]')))


def test_all_of_many_answers_that_are_read_at_once_are_told(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, text)
    page.locator(".launcher").click()
    keep = """prefix => {
      for (let number = 100; number < 160; number++) {
        const answer = {id: prefix + number, at: Date.now() + number, text: 'x', body: '', state: 'received'};
        localStorage.setItem(`parley:shop:message:${answer.id}`, JSON.stringify(answer));
      }
    }"""
    page.evaluate(keep, text[-12:])

    page.locator(".launcher").click()

    def told() -> set[str]:
        events = [json.loads(event.data) for event in shop.raw_events(text[-12:])]
        return {each for event in events for each in event.get("message_ids", [])}

    wait_until(lambda: told() == {f"{text[-12:]}{number}" for number in range(100, 160)})


def test_a_visitor_may_leave_an_address_and_hears_that_nobody_is_there(shop: Shop, visit: Visit, text: str):
    closed = "{&quot;zone&quot;:&quot;UTC&quot;}"
    page = visit(f"{shop.site}?{urlencode({'email': 'on', 'office-hours': closed})}")
    address = page.get_by_role("textbox", name="Your e-mail address, if you like")
    page.locator(".launcher").click()
    expect(page.locator("header")).to_contain_text("We are away.")
    expect(address).to_be_hidden()
    write(page, text)

    address.fill("no address")
    address.press("Enter")
    expect(address).to_be_visible()
    address.fill(f"{text[-36:]}@shop.example")
    address.press("Enter")

    expect(address).to_be_hidden()
    message = shop.wait_for(f"{text[-36:]}@shop.example")
    assert json.loads(message.content or "") == {
        "text": f"{text[-36:]}@shop.example",
        "email": f"{text[-36:]}@shop.example",
    }
    page.reload()
    expect(page.locator("li")).to_have_count(2)
    expect(address).to_be_hidden()
