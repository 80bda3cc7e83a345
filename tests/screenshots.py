"""Takes the pictures of the README, from the sample world and a real browser: run by `make screenshots`."""

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from flask import Flask
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[1]
# As pytest finds them.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from bigquery_fixtures import PROJECT, Emulator, free_ports, running_emulator  # noqa: E402
from dashboard_world import DashboardWorld  # noqa: E402
from shop import open_shop  # noqa: E402

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target  # noqa: E402
from pipelines.dashboard.app import create_app  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
PREFIX = "pictures_"
COLORS = 96
"""A picture has no more: that is a third of the bytes, and nobody sees it."""
PLAIN = r"^[\x20-\x{24F}\s€…]*$"
"""Texts that the fonts of any machine can show."""
DESK = {"width": 1120, "height": 760}
PHONE = {"width": 390, "height": 760}
OLDER = (
    "UPDATE `{messages}` SET kind = 'message' WHERE sent_date > '2026-03-01' AND kind = 'quick_reply'",
    "DELETE FROM `{messages}` WHERE sent_date = '2026-03-04' AND source = 'instagram' AND kind = 'message'",
    "DELETE FROM `{metadata}` WHERE occurred_date = '2026-03-03' AND key = 'reaction.emoji'",
)
"""As an older logic would have made the rows, so that a run has something to mend."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Take all pictures, and say how large they are."""
    PICTURES.mkdir(exist_ok=True)
    path = os.environ.get("PARLEY_TEST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        sys.exit("no Chromium on this machine: name one by PARLEY_TEST_CHROMIUM")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        # Only pages of this machine are shown.
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox"])
        expect.set_options(timeout=60_000)
        with running_emulator(Path(folder) / "bigquery", *free_ports(2)) as emulator:
            take_the_dashboard(browser, emulator, Path(folder))
        take_the_widget(browser, Path(folder))
        browser.close()
    for each in sorted(PICTURES.glob("*.png")):
        print(f"{each.relative_to(ROOT)}  {each.stat().st_size / 1024:.0f} KiB")  # noqa: T201 - for who ran it


def take_the_dashboard(browser: Browser, emulator: Emulator, folder: Path) -> None:
    """Take the overview, a conversation, and the report of a plan that finds something to mend."""
    os.environ |= {REST_EMULATOR: emulator.rest, GRPC_EMULATOR: emulator.rpc}
    world = DashboardWorld(Target.prefixed(PROJECT, PREFIX), folder / "archive", is_hostile=False)
    (longest,) = world.query(
        "SELECT conversation_id, DATE(MAX(sent_at)) AS day FROM parley.message_texts WHERE source = 'whatsapp' "
        f"GROUP BY conversation_id HAVING LOGICAL_AND(COALESCE(REGEXP_CONTAINS(text, r'{PLAIN}'), TRUE)) "
        "ORDER BY COUNT(*) DESC, conversation_id LIMIT 1"
    )
    (latest,) = world.query("SELECT MAX(received_at) AS received_at FROM parley.events")
    now = latest["received_at"] + dt.timedelta(seconds=4)
    app = create_app(world.warehouse, str(world.root), today=now.date, now=lambda: now)
    with served(app) as url:
        page = opened(browser, f"{url}/", DESK)
        expect(page.locator("[aria-busy]")).to_have_count(0)
        keep(page, "overview")
        conversation = f"{url}/conversations/{longest['conversation_id']}?day={longest['day']}"
        keep(opened(browser, conversation, PHONE), "conversation")
    for statement in OLDER:
        tables = {name: world.target.table(name) for name in ("messages", "metadata")}
        world.client.query(statement.format(**tables)).result()
    report = folder / "report.html"
    environ = os.environ | {
        "PARLEY_PROJECT": PROJECT,
        "PARLEY_DATASET_PREFIX": PREFIX,
        "PARLEY_ARCHIVE": world.root.name,
        "LOGNAME": "ada",
    }
    command = [sys.executable, "-m", "pipelines.cli", "backfill", "plan", "--quiet", "--reason", "quick replies"]
    subprocess.run([*command, "--report", str(report)], env=environ, check=True, timeout=300, cwd=folder)
    keep(opened(browser, report.as_uri(), DESK), "plan")
    world.client.close()


def take_the_widget(browser: Browser, folder: Path) -> None:
    """Take the live chat on its demo page, with a question in it."""
    with open_shop(folder / "shop") as shop:
        page = opened(browser, shop.demo, PHONE)
        page.locator(".launcher").click()
        page.locator("textarea").fill("Is the Loden coat back in size 40?")
        page.locator("textarea").press("Enter")
        expect(page.locator("li[data-state=sent]")).to_be_visible()
        keep(page, "widget")


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve a dashboard, and yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(browser: Browser, url: str, size: dict[str, int]) -> Page:
    """Return a page that stands still."""
    page = browser.new_page(viewport=size, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(url)
    return page


def keep(page: Page, name: str) -> None:
    """Keep what a page shows first as a small picture."""
    picture = Image.open(BytesIO(page.screenshot()))
    small = picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    small.save(PICTURES / f"{name}.png", optimize=True)
    page.close()


if __name__ == "__main__":
    main()
