"""A web site with the live chat on it, and the receiver that it talks to: two servers, two origins."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import fastavro

from pipelines.core.rows import Message
from pipelines.local.pubsub import PubSubServer
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent

PROJECT = "parley-test"
CHANNEL = "shop"
SECONDS = 20.0
TOKEN = "token-of-the-desk-with-32-letters"

PLAIN = '<!doctype html><html lang="en"><title>Shop</title><h1>Coats</h1><button>Buy</button>{}'
HOSTILE_STYLES = """<style>
* { all: unset !important; display: none !important; font: 40px cursive !important; color: red !important;
    opacity: 0.1 !important; transform: rotate(9deg) !important; visibility: hidden !important; }
html, head, body { display: block !important; opacity: 1 !important; transform: none !important;
    visibility: visible !important; font-size: 40px !important; direction: rtl !important; }
parley-chat, button, dialog, div, p { position: static !important; width: 3px !important; z-index: -1 !important;
    letter-spacing: 1em !important; text-transform: uppercase !important; }
</style>"""
SHORTCUTS = "<script>window.typed='';addEventListener('keydown',e=>{typed+=e.key;e.preventDefault()})</script>"
STRICT = (
    "default-src 'none'; script-src {origin}; connect-src {origin}; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)


class Shop:
    """The web site's address, and what of its visitors' messages the receiver has stored."""

    def __init__(self, site: str, receiver: str, archive: Path, environ: dict[str, str]) -> None:
        self.environ = environ
        self.site = site
        self.receiver = receiver
        self.demo = f"{receiver}/chatplugin/ui/"
        self._archive = archive

    def raw_events(self, text: str) -> list[RawEvent]:
        """Return every raw event that holds a text, in the order in which they came."""
        found = []
        for path in sorted(self._archive.rglob("*.avro*")):
            with path.open("rb") as file:
                found += [RawEvent.from_avro(record) for record in fastavro.reader(file)]
        return [event for event in found if text in json.dumps(json.loads(event.data), ensure_ascii=False)]

    def messages(self, text: str) -> list[Message]:
        """Return each stored message that holds a text, once, as the pipeline makes it."""
        rows = (row for event in self.raw_events(text) for row in normalize(event))
        return list({row.message_id: row for row in rows if isinstance(row, Message)}.values())

    def wait_for(self, text: str) -> Message:
        """Return the only message that holds a text, as soon as it is stored."""
        wait_until(lambda: bool(self.messages(text)))
        (message,) = self.messages(text)
        return message


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s"
        time.sleep(0.02)


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """Run a receiver and a web site that may use its chat."""
    with ExitStack() as stack:
        pubsub = stack.enter_context(PubSubServer())
        receiver = f"http://127.0.0.1:{_free_port()}"
        site = stack.enter_context(_web_site(f"{receiver}/chatplugin/ui/s.js"))
        environ = os.environ | {
            "PUBSUB_EMULATOR_HOST": pubsub.address,
            "NO_GCE_CHECK": "true",
            "PARLEY_PROJECT": PROJECT,
            "PARLEY_ARCHIVE": str(folder / "archive"),
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PARLEY_PORT": str(urlsplit(receiver).port),
            "PARLEY_WORKERS": "1",
            "PARLEY_CHATPLUGIN_SECRETS": "s" * 32,
            "PARLEY_CHATPLUGIN_CHANNELS": json.dumps({CHANNEL: [site, receiver]}),
            "PARLEY_CHATPLUGIN_DEMO": CHANNEL,
            "PARLEY_REPLY_TOKENS": json.dumps({"desk": {"tokens": [TOKEN], "channels": ["chatplugin/*"]}}),
        }
        topics = {"raw-chatplugin": "parley-sender-chatplugin"}
        topics |= {
            f"raw-{name}": f"parley-sender-{name}" for name in ("replies", "facebook", "whatsapp", "twilio")
        }
        create = f"from pipelines.local.topics import create_topics; create_topics({PROJECT!r}, {topics!r})"
        subprocess.run([sys.executable, "-c", create], env=environ, check=True, timeout=60)
        process = subprocess.Popen([sys.executable, "-m", "receiver"], env=environ, stdout=subprocess.DEVNULL)
        stack.callback(process.wait, timeout=60)
        stack.callback(process.terminate)
        wait_until(lambda: _answers(f"{receiver}/__lbheartbeat__") or process.poll() is not None)
        assert process.poll() is None, "the receiver did not start"
        yield Shop(site, receiver, folder / "archive", environ)


class Desk:
    """Whoever answers: posts replies, which a sender of its own shows to the visitors."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def answer(self, asked: Message | RawEvent, content: object, name: str = "Ada") -> str:
        """Answer a visitor's message, and return the reply's id."""
        event = asked if isinstance(asked, RawEvent) else self._shop.raw_events(asked.content or "")[0]
        reply = {
            "source": "chatplugin",
            "channel": CHANNEL,
            "to": event.attributes["conversation_id"],
            "content": content if isinstance(content, dict) else {"text": content},
            "actor": {"kind": "human", "id": "agent-7", "name": name},
        }
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        request = urllib.request.Request(f"{self._shop.receiver}/replies", json.dumps(reply).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status == 202
            return json.load(response)["reply_id"]


SEND = """
import os, signal, threading
from pipelines.replies.send_command import serve
ending = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ending.set())
serve(os.environ, ending, 2)
"""


@contextmanager
def open_desk(shop: Shop, folder: Path) -> Iterator[Desk]:
    """Run a sender beside a shop's receiver."""
    environ = shop.environ | {"PARLEY_DATA_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "-c", SEND], env=environ)
    try:
        yield Desk(shop)
    finally:
        process.terminate()
        assert process.wait(60) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def _web_site(script: str) -> Iterator[str]:
    """Serve pages with the widget; a page's query gives the script attributes, which come first and win."""
    origin = urlsplit(script)._replace(path="", query="").geturl()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            more = "".join(f' data-{name}="{value}"' for name, value in parse_qsl(query))
            tag = f'<script async src="{script}"{more} data-channel-id="{CHANNEL}"></script>'
            body = PLAIN.format(tag)
            if path == "/hostile-styles":
                body += HOSTILE_STYLES
            elif path == "/shortcuts":
                body += SHORTCUTS
            elif path == "/transformed":
                body = body.replace("<h1>", '<body style="transform: scale(0.5); overflow: hidden"><h1>')
            elif path == "/without":
                body = PLAIN.format("")
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if path == "/strict-policy":
                self.send_header("Content-Security-Policy", STRICT.format(origin=origin))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
