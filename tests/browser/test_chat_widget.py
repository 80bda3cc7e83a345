"""The widget as visitors use it, in a real browser, with a real receiver at another origin."""

import datetime as dt
import json
import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect
from shop import Shop

from pipelines.core.rows import Message

Visit = Callable[..., Page]
SEND = "**/chatplugin.send"


@pytest.fixture
def text() -> str:
    return f"Is the coat back? {uuid.uuid4()}"


def write(page: Page, text: str) -> None:
    if not page.locator("dialog").is_visible():
        page.locator(".launcher").click()
    page.locator("textarea").fill(text)
    page.locator("textarea").press("Enter")


def bubble(page: Page, text: str, state: str):
    return page.locator(f"li[data-state={state}]", has_text=text)


def content(message: Message) -> dict[str, str]:
    return json.loads(message.content or "")


def test_on_the_demo_page_a_message_is_stored_and_shown_as_sent(shop: Shop, visit: Visit, text: str):
    page = visit(shop.demo)

    write(page, text)

    expect(bubble(page, text, "sent")).to_be_visible()
    message = shop.wait_for(text)
    assert content(message) == {"text": text}
    assert (message.source, message.direction, message.kind) == ("chatplugin", "inbound", "message")
    assert message.sent_at_from == "item"
    assert message.sent_at <= message.received_at


def test_after_a_reload_the_conversation_goes_on(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, f"{text} one")
    expect(bubble(page, text, "sent")).to_be_visible()

    page.reload()

    expect(page.locator("dialog")).to_be_visible()
    expect(bubble(page, f"{text} one", "sent")).to_be_visible()
    write(page, f"{text} two")
    first, second = shop.wait_for(f"{text} one"), shop.wait_for(f"{text} two")
    assert first.conversation_id == second.conversation_id
    assert first.message_id != second.message_id


def test_two_visitors_have_two_conversations(shop: Shop, visit: Visit, text: str):
    for name in ("one", "two"):
        write(visit(shop.site), f"{text} {name}")

    first, second = shop.wait_for(f"{text} one"), shop.wait_for(f"{text} two")
    assert first.conversation_id != second.conversation_id
    assert first.contact_id != second.contact_id


def test_who_writes_nothing_leaves_nothing(shop: Shop, visit: Visit, new_visitor):
    visitor = new_visitor()
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.method))
    page = visit(shop.site, visitor)
    page.locator(".launcher").click()
    page.locator(".launcher").click()

    assert set(asked) == {"GET"}
    assert page.evaluate("Object.keys(localStorage).concat(document.cookie)") == [""]


def test_without_a_network_a_message_waits_and_is_delivered_once_it_is_back(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, f"{text} before")
    expect(bubble(page, f"{text} before", "sent")).to_be_visible()

    page.context.set_offline(True)
    write(page, f"{text} meanwhile")
    expect(bubble(page, f"{text} meanwhile", "waiting")).to_contain_text("Not sent yet")
    assert shop.raw_events(f"{text} meanwhile") == []
    page.context.set_offline(False)

    expect(bubble(page, f"{text} meanwhile", "sent")).to_be_visible()
    assert len(shop.raw_events(f"{text} meanwhile")) == 1
    assert len({message.conversation_id for message in shop.messages(text)}) == 1


def test_an_unsent_message_outlives_the_page(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    page.context.route("**/chatplugin.*", lambda route: route.abort())
    write(page, text)
    expect(bubble(page, text, "waiting")).to_be_visible()
    page.close()
    page.context.unroute_all()

    page = visit(shop.site, page.context)

    page.locator("dialog, .launcher").first.wait_for()
    shop.wait_for(text)
    assert len(shop.raw_events(text)) == 1


def test_a_message_whose_answer_was_lost_is_sent_again_and_stays_one_message(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    lost: list[int] = []

    def lose_the_answer(route: Route) -> None:
        lost.append(route.fetch().status)
        route.abort()

    page.context.route(SEND, lose_the_answer, times=2)
    write(page, text)

    expect(bubble(page, text, "sent")).to_be_visible()
    assert lost == [200, 200]
    first, *others = shop.raw_events(text)
    assert len(others) == 2
    assert {event.data for event in others} == {first.data}
    assert len(shop.messages(text)) == 1


@pytest.mark.parametrize("has_locks", [True, False])
def test_two_tabs_share_one_conversation_and_double_nothing(
    shop: Shop, visit: Visit, new_visitor: Callable[..., BrowserContext], text: str, has_locks: bool
):
    visitor = new_visitor()
    if not has_locks:
        # As on pages without TLS.
        visitor.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")
    tabs = [visit(shop.site, visitor), visit(shop.site, visitor)]
    visitor.set_offline(True)
    for number, tab in enumerate(tabs):
        write(tab, f"{text} {number}")
    for tab in tabs:
        expect(bubble(tab, text, "waiting")).to_have_count(2)

    visitor.set_offline(False)

    for tab in tabs:
        expect(bubble(tab, text, "sent")).to_have_count(2)
    # Where a slow answer made the widget send again, it is the same message.
    assert [len(shop.messages(f"{text} {number}")) for number in (0, 1)] == [1, 1]
    assert len({message.conversation_id for message in shop.messages(text)}) == 1


@pytest.mark.thorough
def test_many_tabs_without_locks_leave_a_connection_to_send_with(shop: Shop, visit: Visit, new_visitor, text: str):
    visitor = new_visitor()
    # A browser has six connections, and one tab in front.
    visitor.add_init_script(
        "Object.defineProperty(navigator, 'locks', {value: undefined});"
        "Object.defineProperty(document, 'hidden', {get: () => window.isAway})"
    )
    look = "away => { window.isAway = away; document.dispatchEvent(new Event('visibilitychange')); }"
    first = visit(shop.site, visitor)
    write(first, f"{text} 1")
    expect(bubble(first, text, "sent")).to_be_visible()

    for _ in range(7):
        with visitor.pages[-1].expect_request("**/chatplugin.events"):
            visitor.pages[-1].reload()
        visitor.pages[-1].evaluate(look, True)
        visit(shop.site, visitor)
    write(visitor.pages[-1], f"{text} 2")

    expect(bubble(visitor.pages[-1], f"{text} 2", "sent")).to_be_visible()


def test_a_tab_shows_what_is_written_in_another(shop: Shop, visit: Visit, new_visitor, text: str):
    visitor = new_visitor()
    other, tab = visit(shop.site, visitor), visit(shop.site, visitor)
    other.locator(".launcher").click()

    write(tab, text)

    expect(bubble(other, text, "sent")).to_be_visible()


def test_what_was_written_today_was_written_yesterday_when_the_day_is_over(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    page.clock.set_fixed_time(dt.datetime(2026, 11, 27, 22, 0, tzinfo=dt.UTC))
    write(page, f"{text} 1")
    expect(page.locator("[data-day] .day")).to_have_text(["Today"])

    page.clock.set_fixed_time(dt.datetime(2026, 11, 29, 9, 0, tzinfo=dt.UTC))
    write(page, f"{text} 2")

    expect(page.locator("[data-day] .day")).to_have_text(["Nov 27, 2026", "Today"])


def test_the_enter_that_ends_a_composed_word_sends_nothing(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    page.locator(".launcher").click()
    page.locator("textarea").fill(text)
    # As Safari tells of it: composing is over, but the input method has the key.
    pressed = "{key: 'Enter', keyCode: 229, bubbles: true, composed: true, cancelable: true}"
    page.locator("textarea").evaluate(f"field => field.dispatchEvent(new KeyboardEvent('keydown', {pressed}))")

    expect(page.locator("textarea")).to_have_value(text)
    expect(page.locator("li")).to_have_count(0)


def test_a_hostile_message_is_text(shop: Shop, visit: Visit, text: str):
    hostile = f'<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> {text}'
    page = visit(shop.site)

    write(page, hostile)

    expect(bubble(page, text, "sent")).to_contain_text(hostile)
    page.reload()
    expect(bubble(page, text, "sent")).to_contain_text(hostile)
    assert page.locator("parley-chat img, parley-chat script").count() == 0
    assert page.evaluate("window.hacked") is None
    assert content(shop.wait_for(text))["text"] == hostile


def test_a_token_that_ended_is_renewed_unnoticed(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    write(page, f"{text} one")
    expect(bubble(page, f"{text} one", "sent")).to_be_visible()

    headers = {"Access-Control-Allow-Origin": shop.site}
    page.context.route(SEND, lambda route: route.fulfill(status=401, headers=headers), times=1)
    write(page, f"{text} two")

    expect(bubble(page, f"{text} two", "sent")).to_be_visible()
    first, second = shop.wait_for(f"{text} one"), shop.wait_for(f"{text} two")
    assert first.conversation_id == second.conversation_id


def test_on_a_site_that_may_not_use_the_chat_nothing_is_stored_and_nothing_lost(
    shop: Shop, visit: Visit, text: str
):
    page = visit(shop.site.replace("127.0.0.1", "localhost"))

    write(page, text)

    # A browser does not tell scripts that another origin refused them: to them it is a lost network.
    expect(bubble(page, text, "waiting")).to_be_visible()
    page.reload()
    expect(bubble(page, text, "waiting")).to_be_visible()
    assert shop.messages(text) == []


def test_what_is_refused_for_good_says_so_and_may_be_tried_again(shop: Shop, visit: Visit, text: str):
    page = visit(f"{shop.site}?channel-id=gone")
    write(page, text)
    expect(bubble(page, text, "failed")).to_contain_text("could not be sent")

    with page.expect_response("**/chatplugin.authenticate") as answer:
        page.get_by_role("button", name="Try again").click()
    assert answer.value.status == 404
    expect(bubble(page, text, "failed")).to_be_visible()
    assert shop.messages(text) == []


def test_a_message_that_is_too_long_does_not_hold_up_the_next(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    page.evaluate("text => parley.send(text + 'x'.repeat(66000))", f"{text} long")
    page.evaluate("text => parley.send(text)", f"{text} short")

    page.locator(".launcher").click()
    expect(bubble(page, f"{text} short", "sent")).to_be_visible()
    expect(bubble(page, f"{text} long", "failed")).to_contain_text("too long")
    assert page.get_by_role("button", name="Try again").count() == 0


def test_answers_to_quick_replies_and_postbacks_keep_their_payloads(shop: Shop, visit: Visit, text: str):
    page = visit(shop.demo)
    page.evaluate("text => parley.postback({title: text, payload: 'call'})", f"{text} postback")
    postback = shop.wait_for(f"{text} postback")
    page.evaluate("parley.forget()")
    page.locator(".launcher").click()
    page.get_by_role("button", name="Where is my order?").click()
    expect(page.locator("li[data-state=sent]")).to_contain_text("Where is my order?")
    expect(page.get_by_role("button", name="Where is my order?")).to_be_hidden()

    reply = shop.messages("Where is my order?")[-1]
    assert (postback.kind, content(postback)["postbackData"]) == ("postback", "call")
    assert (reply.kind, content(reply)["postbackData"]) == ("quick_reply", "order_status")
    assert reply.conversation_id != postback.conversation_id


def test_a_draft_and_the_open_chat_follow_the_visitor_from_page_to_page(shop: Shop, visit: Visit):
    page = visit(shop.site)
    page.locator(".launcher").click()
    page.locator("textarea").fill("Half a sen")

    page.goto(f"{shop.site}/other")

    expect(page.locator("dialog")).to_be_visible()
    expect(page.locator("textarea")).to_have_value("Half a sen")


def test_emoji_go_where_the_cursor_is(shop: Shop, visit: Visit, text: str):
    page = visit(shop.site)
    page.locator(".launcher").click()
    page.locator("textarea").fill(text)
    page.locator("textarea").press("ControlOrMeta+Home")
    page.get_by_role("button", name="Insert emoji").click()
    page.get_by_role("group", name="Insert emoji").get_by_text("👍").click()
    page.locator("textarea").press("Enter")

    assert content(shop.wait_for(text)) == {"text": f"👍{text}"}
