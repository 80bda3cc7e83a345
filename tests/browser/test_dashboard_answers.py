"""Somebody answers in a real browser: hostile text, the button, and what becomes of it; without scripts, too."""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bigquery_fixtures import Emulator
from dashboard_shop import PHONE, Shop
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from pipelines.dashboard.app import create_app
from pipelines.run.desk import Desk
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

REPLY_ID = "8b5b64b4-8f5b-5a57-9a3c-6a1d2f4b7c11"
HOSTILE = "</textarea><script>document.title = 'taken over'</script> \"&amp; {{ 7*7 }} 😀"


class Receiver(ThreadingHTTPServer):
    """Takes each reply, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[dict] = []

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.server.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(202)
                self.end_headers()
                self.wfile.write(json.dumps({"reply_id": REPLY_ID}).encode())

            def log_message(self, *_) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)


class Office:
    def __init__(self, shop: Shop, receiver: Receiver, url: str) -> None:
        self.shop, self.receiver, self.url = shop, receiver, url


@pytest.fixture(scope="module")
def office(browser: Browser, bigquery_emulator: Emulator) -> Iterator[Office]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        shop = Shop(Analyst())
        shop.asked(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5))
        shop.stored()
        receiver = Receiver()
        app = create_app(shop.warehouse, desk=Desk(f"http://127.0.0.1:{receiver.server_port}", "token"))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threads = [threading.Thread(target=each.serve_forever) for each in (receiver, server)]
        for thread in threads:
            thread.start()
        (row,) = shop.analyst.query("SELECT conversation_id FROM parley.conversations")
        try:
            yield Office(shop, receiver, f"http://127.0.0.1:{server.port}/conversations/{row['conversation_id']}")
        finally:
            for each in (receiver, server):
                each.shutdown()
            for thread in threads:
                thread.join()
            receiver.server_close()
            server.server_close()
            shop.analyst.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_an_answer_is_sent_and_shows_what_becomes_of_it(office: Office, new_visitor, scripts: bool) -> None:
    office.receiver.taken.clear()
    page: Page = new_visitor(java_script_enabled=scripts).new_page()
    page.goto(office.url)
    expect(page.get_by_text("The window is open until")).to_be_visible()
    page.get_by_label("Answer through WhatsApp").fill(HOSTILE)
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("status")).to_contain_text("Taken")
    (taken,) = office.receiver.taken
    assert taken["content"] == {"text": HOSTILE}
    assert taken["to"] == PHONE
    if scripts:
        office.shop.told_of_a_reply(REPLY_ID, taken, dt.datetime.now(dt.UTC))
        office.shop.stored()
    else:
        page.get_by_role("link", name="Look again").click()
    bubble = page.locator(".message.outbound")
    expect(bubble.locator(".text")).to_have_text(HOSTILE)
    expect(bubble.locator(".state")).to_have_text("Pending")
    assert page.title() == "Conversation · Parley"
