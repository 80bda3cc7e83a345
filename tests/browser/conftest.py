import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from shop import SECONDS, Desk, Shop, open_desk, open_shop

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium: the one of PARLEY_TEST_CHROMIUM, or of the system.

    It ends with its module: as long as Playwright runs, its thread has an event loop, and no test can run another.
    """
    path = os.environ.get("PARLEY_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian's package is named chromium)")
    with sync_playwright() as playwright:
        expect.set_options(timeout=SECONDS * 1000)
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture(scope="module")
def desk(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(shop, tmp_path_factory.mktemp("desk")) as opened:
        yield opened


@pytest.fixture
def new_visitor(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Make visitors, each with a browser profile of their own; their pages may have no errors."""
    visitors: list[BrowserContext] = []
    # Told at the end: whatever a listener raises ends the connection to the browser, and with it every later test.
    errors: list[str] = []

    def make(**settings: Any) -> BrowserContext:
        visitor = browser.new_context(**({"viewport": {"width": 1200, "height": 800}} | settings))
        visitor.set_default_timeout(SECONDS * 1000)
        visitor.on("weberror", lambda error: errors.append(f"{error.page and error.page.url}: {error.error}"))
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.close()
    assert errors == []


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext]) -> Visit:
    """Open a page in a new visitor's browser, or in that of one who is there already."""

    def go(url: str, visitor: BrowserContext | None = None, **settings: Any) -> Page:
        page = (visitor or new_visitor(**settings)).new_page()
        page.goto(url)
        page.locator(".launcher").wait_for()
        return page

    return go
