"""The widget on pages of all kinds, for people of all kinds."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from shop import Shop

pytestmark = pytest.mark.thorough

Visit = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOKS = """() => {
  const shadow = document.querySelector('parley-chat').shadowRoot;
  return ['.launcher', 'dialog', 'h2', '.bubble', 'textarea', '.send', 'svg'].map((name) => {
    const node = shadow.querySelector(name);
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    return [name, box.x, box.y, box.width, box.height,
            ...['color', 'fontSize', 'fontFamily', 'opacity', 'letterSpacing', 'textTransform', 'direction',
                'visibility', 'transform', 'display'].map((key) => style[key])];
  });
}"""
PAGE_LOOKS = """() => [...document.querySelectorAll('h1, button')].map((node) => {
  const style = getComputedStyle(node);
  return [...style].map((name) => style[name]);
})"""
FAINT = """() => {
  const channels = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const behind = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return channels(color)[3] === 0 ? behind(node.parentElement) : color;
  };
  const faint = [];
  const check = (node, pseudo, least) => {
    const color = getComputedStyle(node, pseudo).color;
    const [dark, bright] = [light(color), light(behind(node))].sort((a, b) => a - b);
    if (bright / dark < least) faint.push([node.className, pseudo, color, behind(node), bright / dark]);
  };
  const shadow = document.querySelector('parley-chat').shadowRoot;
  for (const node of shadow.querySelectorAll('*')) {
    if (!node.checkVisibility() || node.matches('.unseen')) continue;
    if (node.matches('svg')) check(node, null, 3);
    if (node.matches('textarea')) check(node, '::placeholder', 4.5);
    if ([...node.childNodes].some((child) => child.nodeType === 3)) check(node, null, 4.5);
  }
  return faint;
}"""
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def opened(page: Page) -> Page:
    page.emulate_media(reduced_motion="reduce")
    page.locator(".launcher").click()
    expect(page.locator("textarea")).to_be_visible()
    page.mouse.move(0, 0)
    return page


def violations(page: Page) -> list[Any]:
    """Return what axe finds, and texts and icons of too little contrast, which axe cannot tell in a dialog."""
    found = Axe().run(page, context="parley-chat", options=WCAG).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] + page.evaluate(FAINT)


@pytest.mark.parametrize("path", ["/hostile-styles", "/transformed", "/strict-policy"])
def test_no_page_changes_how_it_looks(shop: Shop, visit: Visit, path: str):
    told: list[str] = []
    expected = opened(visit(shop.site)).evaluate(LOOKS)
    page = visit(f"{shop.site}{path}")
    page.on("console", lambda message: told.append(message.text))

    assert opened(page).evaluate(LOOKS) == expected
    page.locator("textarea").fill("Hello")
    page.locator("textarea").press("Enter")
    expect(page.locator("li[data-state=sent]")).to_be_visible()
    assert told == []


def test_it_changes_nothing_on_the_page(shop: Shop, visit: Visit):
    page = visit(shop.site)
    with_chat = opened(page).evaluate(PAGE_LOOKS)
    page.goto(f"{shop.site}/without")

    assert page.evaluate(PAGE_LOOKS) == with_chat


def test_what_is_typed_is_not_for_the_pages_shortcuts(shop: Shop, visit: Visit):
    page = opened(visit(f"{shop.site}/shortcuts"))
    page.locator("textarea").press_sequentially("s/k")

    expect(page.locator("textarea")).to_have_value("s/k")
    assert page.evaluate("typed") == ""
    page.locator("h1").click()
    page.keyboard.press("s")
    assert page.evaluate("typed") == "s"


def test_it_can_be_used_with_the_keyboard_alone(shop: Shop, visit: Visit):
    page = visit(shop.site)
    focused = "document.querySelector('parley-chat').shadowRoot.activeElement?.ariaLabel"
    page.get_by_role("button", name="Buy").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Open chat"

    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "Write a message"
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(page.locator("li[data-state=sent] .mine")).to_contain_text("First line\nsecond line")

    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Insert emoji"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("group", name="Insert emoji")).to_be_hidden()
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    assert page.evaluate(focused) == "Open chat"


def test_screen_readers_are_told_what_became_of_a_message(shop: Shop, visit: Visit):
    page = opened(visit(shop.site))
    expect(page.get_by_role("dialog", name="Chat with us")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("")

    page.locator("textarea").fill("Hello")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Sent")
    expect(page.get_by_role("log", name="Messages")).to_contain_text("You wrote: Hello")
    page.context.set_offline(True)
    page.locator("textarea").fill("Again")
    page.locator("textarea").press("Enter")
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("Not sent yet")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("color", ["%233454d1", "%23f5c518", "%23777777"])
@pytest.mark.parametrize("screen", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_to_complain_about(
    shop: Shop, visit: Visit, theme: str, color: str, screen: dict[str, Any]
):
    page = visit(f"{shop.demo}?theme={theme}&color={color}", **screen)
    assert violations(page) == []

    opened(page)
    assert violations(page) == []
    page.locator("textarea").fill("Hello")
    page.locator("textarea").press("Enter")
    expect(page.locator("li[data-state=sent]")).to_be_visible()
    page.context.set_offline(True)
    page.locator("textarea").fill("Again")
    page.locator("textarea").press("Enter")
    expect(page.locator("li[data-state=waiting]")).to_be_visible()
    page.get_by_role("button", name="Insert emoji").click()
    assert violations(page) == []


def test_the_demo_page_itself_is_accessible(shop: Shop, visit: Visit):
    page = visit(shop.demo)

    assert Axe().run(page, options=WCAG).violations_count == 0


def test_the_demo_page_may_come_after_the_widget(shop: Shop, new_visitor):
    visitor = new_visitor()
    # As soon as the page's own script has run, and before anything of its body is there.
    visitor.add_init_script(
        "document.addEventListener('load', ({target}) => {"
        " if (target.src?.endsWith('/demo.js')) dispatchEvent(new Event('parley:ready')); }, true)"
    )
    page = visitor.new_page()
    page.goto(shop.demo)
    page.locator(".launcher").wait_for()

    page.get_by_role("button", name="Open chat").first.click()

    expect(page.locator("textarea")).to_be_visible()


def test_everything_that_is_tapped_is_large_enough(shop: Shop, visit: Visit):
    page = opened(visit(shop.demo, **PHONE))
    page.get_by_role("button", name="Insert emoji").click()

    for button in page.locator("dialog button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 568), (844, 390)])
def test_on_a_phone_the_chat_is_the_screen_until_it_is_closed(shop: Shop, visit: Visit, width: int, height: int):
    page = visit(shop.demo, **(PHONE | {"viewport": {"width": width, "height": height}}))
    closed = page.locator(".launcher").bounding_box()
    assert closed is not None
    assert closed["x"] + closed["width"] <= width

    opened(page)
    box = page.locator("dialog").bounding_box()
    assert box == {"x": 0, "y": 0, "width": width, "height": height}
    send = page.get_by_role("button", name="Send", exact=True).bounding_box()
    assert send is not None
    assert (send["x"] + send["width"] <= width, send["y"] + send["height"] <= height) == (True, True)
    assert page.evaluate("document.documentElement.style.overflow") == "hidden"
    page.get_by_role("dialog").get_by_label("Close chat").click()
    expect(page.locator("dialog")).to_be_hidden()
    assert page.evaluate("document.documentElement.style.overflow") == ""


def test_turning_the_phone_keeps_the_chat_on_the_screen(shop: Shop, visit: Visit):
    page = opened(visit(shop.site))
    page.locator("textarea").fill("Half")

    page.set_viewport_size({"width": 390, "height": 700})
    expect(page.locator("dialog")).to_have_css("width", "390px")
    page.set_viewport_size({"width": 1200, "height": 800})
    expect(page.locator("dialog")).to_have_css("width", "384px")

    expect(page.locator("textarea")).to_have_value("Half")
    assert page.evaluate("document.documentElement.style.overflow") == ""


def test_right_to_left_languages_read_from_the_right(shop: Shop, visit: Visit):
    page = opened(visit(f"{shop.demo}?language=ar"))
    launcher, dialog = page.locator(".launcher").bounding_box(), page.locator("dialog").bounding_box()
    assert launcher is not None
    assert dialog is not None
    assert launcher["x"] == dialog["x"] == 20

    for text, direction in (("Hello there", "ltr"), ("مرحبا", "rtl")):
        page.locator("textarea").fill(text)
        page.locator("textarea").press("Enter")
        expect(page.locator("li .mine", has_text=text)).to_have_css("direction", direction)


def test_a_page_that_runs_the_script_again_has_one_chat(shop: Shop, visit: Visit):
    page = opened(visit(shop.site))
    page.locator("textarea").fill("draft")
    again = """url => new Promise((done) => {
      const script = Object.assign(document.createElement('script'), {src: url, onload: done});
      script.dataset.channelId = 'shop';
      document.head.append(script);
    })"""

    page.evaluate(again, f"{shop.receiver}/chatplugin/ui/s.js")

    expect(page.locator(".launcher")).to_have_count(1)
    expect(page.locator("textarea")).to_have_value("draft")


def test_a_page_that_opens_with_the_chat_open_keeps_the_focus(shop: Shop, visit: Visit):
    page = opened(visit(shop.site))

    page.reload()

    expect(page.locator("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_dark_follows_the_device_unless_the_page_says_otherwise(shop: Shop, visit: Visit):
    page = visit(shop.site, color_scheme="dark")
    theme = page.locator(".root")
    expect(theme).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(theme).to_have_attribute("data-theme", "light")

    page.goto(f"{shop.site}?theme=dark")
    expect(theme).to_have_attribute("data-theme", "dark")


def test_nothing_comes_from_elsewhere(shop: Shop, visit: Visit, new_visitor):
    visitor = new_visitor()
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    page = opened(visit(shop.demo, visitor))
    page.locator("textarea").fill("Hello")
    page.locator("textarea").press("Enter")
    expect(page.locator("li[data-state=sent]")).to_be_visible()

    assert {url for url in asked if not url.startswith(shop.receiver)} == set()
