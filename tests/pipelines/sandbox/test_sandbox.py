"""The sandbox answers unmodified clients as the providers do, and tells the receiver what becomes of messages."""

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx
import pytest
from pywa import WhatsApp
from pywa.errors import ReEngagementMessage, WhatsAppError
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from werkzeug.serving import make_server

from pipelines.replies.calls import Places, make_call
from pipelines.replies.channels import Channel
from pipelines.replies.provider import Provider
from pipelines.sandbox.app import create_app
from pipelines.sandbox.clock import ManualClock
from pipelines.sandbox.deliveries import Deliveries
from pipelines.sandbox.sandbox_command import Handler, accounts
from pipelines.sandbox.world import World
from pipelines.sources import PARSERS
from pipelines.sources.normalization import normalize
from receiver.proofs.signatures import matches_hmac_hex
from schemas.replies import decode_reply
from tests.raw_events import raw_event

START = 1_773_489_600.0
TOKEN, SECRET = "token", "app-secret"
TWILIO = "AC" + "1" * 32
PHONE, PAGE, INSTAGRAM = "1003", "1001", "1002"
VISITOR = "491711234567"


class Listener(ThreadingHTTPServer):
    """Takes webhooks, and keeps them."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, dict[str, str]]] = []
        self.status = 200

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.server.taken.append((self.path, body, dict(self.headers)))
                self.send_response(self.server.status)
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Sandbox:
    def __init__(self, listener: Listener, seed: int = 1) -> None:
        self.clock = ManualClock(START)
        environ = {
            "PARLEY_FACEBOOK_APP_SECRETS": SECRET,
            "PARLEY_WHATSAPP_APP_SECRETS": SECRET,
            "PARLEY_TWILIO_AUTH_TOKENS": TOKEN,
        }
        self.world = World(accounts(environ, TOKEN), self.clock, seed)
        self.deliveries = Deliveries(self.clock)
        app = create_app(self.world, self.deliveries, listener.url)
        self.server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
        self.url = f"http://127.0.0.1:{self.server.port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
        self.deliveries.close()

    def control(self, method: str, path: str, content: object = None):
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}/sandbox/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def hear(self, account: str, person: str, text: str = "Hello?") -> str:
        return self.control("POST", "people", {"account": account, "person": person, "text": text})["id"]

    def call(self, path: str, content: object, token: str = TOKEN) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(content).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def settle(self, seconds: float = 60.0) -> None:
        """Let time pass until all webhooks were delivered."""
        self.clock.advance(seconds)
        assert self.deliveries.settle(30)

    def whatsapp(self) -> WhatsApp:
        return WhatsApp(phone_id=PHONE, token=TOKEN, session=httpx.Client(transport=_Elsewhere(self.url)))

    def twilio(self, token: str = TOKEN) -> Client:
        return Client(TWILIO, token, http_client=_TwilioElsewhere(self.url))


class _Elsewhere(httpx.HTTPTransport):
    """Leads a client's requests here, as a proxy would."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        here = {"scheme": "http", "host": self._url.host, "port": self._url.port}
        request.url = request.url.copy_with(**here)
        return super().handle_request(request)


class _TwilioElsewhere(TwilioHttpClient):
    def __init__(self, url: str) -> None:
        super().__init__(pool_connections=False)
        self._base = urlsplit(url)

    def request(self, method, url, *args, **kwargs):
        parts = urlsplit(url)
        here = urlunsplit((self._base.scheme, self._base.netloc, parts.path, parts.query, ""))
        return super().request(method, here, *args, **kwargs)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sandbox(listener: Listener) -> Iterator[Sandbox]:
    running = Sandbox(listener)
    yield running
    running.close()


def page_message(to: str, text: str = "Yes", **more) -> dict:
    return {"recipient": {"id": to}, "messaging_type": "RESPONSE", "message": {"text": text, **more}}


def whatsapp_text(to: str, text: str = "Yes") -> dict:
    return {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}}


def test_pywa_sends_and_the_receiver_hears_every_state_of_it(sandbox: Sandbox, listener: Listener):
    sandbox.hear(PHONE, VISITOR)
    sent = sandbox.whatsapp().send_message(to=VISITOR, text="Yes, in red.", tracker="order 7")
    sandbox.settle()

    states = []
    for path, body, headers in listener.taken[1:]:
        assert path == "/whatsapp"
        assert matches_hmac_hex(headers["X-Hub-Signature-256"], [SECRET], body, prefix="sha256=")
        (status,) = json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"]
        assert status["id"] == sent.id
        assert "order 7" in json.dumps(status)
        states.append(status["status"])
    assert states == ["sent", "delivered", "read"]


def test_twilio_sends_and_hears_every_state_of_it(sandbox: Sandbox, listener: Listener):
    callback = f"{listener.url}/twilio?reply=7"
    sent = sandbox.twilio().messages.create(
        to="+491711234567", from_="+15550100004", body="Yes", status_callback=callback
    )
    sandbox.settle()

    states = []
    for path, body, headers in listener.taken:
        assert path == "/twilio?reply=7"
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        assert RequestValidator(TOKEN).validate(callback, form, headers["X-Twilio-Signature"])
        assert form["MessageSid"] == sent.sid
        states.append(form["MessageStatus"])
    assert states == ["queued", "sent", "delivered"]
    assert sandbox.twilio().messages(sent.sid).fetch().status == "delivered"
    found = sandbox.twilio().messages.list(to="+491711234567", from_="+15550100004")
    assert [each.sid for each in found] == [sent.sid]
    assert sandbox.twilio().messages.list(to="+1") == []


@pytest.mark.parametrize(
    ("account", "kinds"), [(PAGE, ["message", "delivery", "read"]), (INSTAGRAM, ["message", "read"])]
)
def test_a_page_sends_and_its_echo_carries_the_metadata(sandbox, listener: Listener, account: str, kinds):
    sandbox.hear(account, "visitor")
    status, answer = sandbox.call(f"/v23.0/{account}/messages", page_message("visitor", metadata="reply-7"))
    sandbox.settle()

    assert status == 200
    items = [json.loads(body)["entry"][0]["messaging"][0] for _, body, _ in listener.taken[1:]]
    assert [next(kind for kind in ("message", "delivery", "read") if kind in item) for item in items] == kinds
    assert items[0]["message"]["mid"] == answer["message_id"]
    assert items[0]["message"]["is_echo"]
    assert items[0]["message"]["metadata"] == "reply-7"


@pytest.mark.parametrize(
    ("account", "body", "expected"),
    [
        (PAGE, {"recipient": {"id": VISITOR}, "sender_action": "typing_on"}, {"recipient_id": VISITOR}),
        (PHONE, {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1"}, {"success": True}),
    ],
)
def test_typing_and_seen_are_no_messages(sandbox: Sandbox, listener: Listener, account: str, body, expected):
    sandbox.hear(account, VISITOR)
    assert sandbox.call(f"/v23.0/{account}/messages", body) == (200, expected)
    sandbox.settle()

    assert len(listener.taken) == 1
    assert sandbox.world.sent == []


def test_what_the_sandbox_tells_is_what_the_parsers_read(sandbox: Sandbox, listener: Listener):
    for account, person in ((PHONE, VISITOR), (PAGE, "a"), (INSTAGRAM, "b"), (TWILIO, "+491711234567")):
        sandbox.hear(account, person)
    sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(VISITOR))
    sandbox.call(f"/v23.0/{PAGE}/messages", page_message("a"))
    sandbox.call(f"/v23.0/{INSTAGRAM}/messages", page_message("b"))
    sandbox.twilio().messages.create(
        to="+491711234567", from_="+15550100004", body="Yes", status_callback=f"{listener.url}/twilio"
    )
    sandbox.settle()

    assert len(listener.taken) == 4 + 3 + 3 + 2 + 3
    for path, body, headers in listener.taken:
        source = path.strip("/")
        assert source in PARSERS
        event = raw_event(body, source=source)
        event.attributes["content_type"] = headers["Content-Type"]
        ledger, *rows = normalize(event)
        assert ledger.outcome == "normalized", (ledger.reason, body)
        assert rows


def test_a_call_is_refused_as_the_provider_does(sandbox: Sandbox):
    path = f"/v23.0/{PHONE}/messages"

    assert sandbox.call(path, whatsapp_text(VISITOR), token="stolen")[1]["error"]["code"] == 190
    assert sandbox.call("/v23.0/9/messages", whatsapp_text(VISITOR))[1]["error"]["code"] == 100
    assert sandbox.call(path, whatsapp_text(VISITOR))[1]["error"]["code"] == 131047, "nobody has written"
    assert sandbox.call(f"/v23.0/{PAGE}/messages", page_message("a"))[1]["error"]["code"] == 10
    sandbox.hear(PHONE, VISITOR)
    for wrong in ({"to": ""}, {"type": "poem"}, {"text": {}}, {"messaging_product": "sms"}):
        status, answer = sandbox.call(path, whatsapp_text(VISITOR) | wrong)
        assert (status, answer["error"]["code"]) == (400, 100)
    with pytest.raises(ReEngagementMessage):
        sandbox.whatsapp().send_message(to="15550109999", text="Hello?")
    with pytest.raises(TwilioRestException) as unknown:
        sandbox.twilio("wrong").messages.create(to="+1", from_="+1", body="x")
    assert (unknown.value.status, unknown.value.code) == (401, 20003)
    with pytest.raises(TwilioRestException) as missing:
        sandbox.twilio().messages.create(to="+491711234567", from_="+1")
    assert missing.value.code == 21602
    assert sandbox.control("GET", "messages") == []


@pytest.mark.parametrize(("app_secret", "expected"), [("", 200), (SECRET, 200), ("another app's", 400)])
def test_a_call_proves_that_its_sender_knows_the_apps_secret(sandbox: Sandbox, app_secret: str, expected: int):
    sandbox.hear(PHONE, VISITOR)
    reply = decode_reply(
        json.dumps({"source": "whatsapp", "channel": PHONE, "to": VISITOR, "content": {"text": "Yes"}}).encode()
    )
    channel = Channel(token=TOKEN, app_secret=app_secret)
    places = Places(graph=f"{sandbox.url}/v23.0")
    with Provider(places) as provider:
        response = provider.send("whatsapp", make_call(reply, "r-1", channel, places), channel)

    assert response.status == expected
    assert response.answer.stops == (expected != 200), "all of the channel's calls would be refused"


def test_instagram_takes_a_thousand_bytes_and_messenger_characters(sandbox: Sandbox):
    for account in (PAGE, INSTAGRAM):
        sandbox.hear(account, VISITOR)
    assert sandbox.call(f"/v23.0/{INSTAGRAM}/messages", page_message(VISITOR, "ü" * 500))[0] == 200
    assert sandbox.call(f"/v23.0/{PAGE}/messages", page_message(VISITOR, "ü" * 2000))[0] == 200
    for text in ("ü" * 501, "x" * 1001, "\ud800" * 400):
        status, answer = sandbox.call(f"/v23.0/{INSTAGRAM}/messages", page_message(VISITOR, text))
        assert (status, answer["error"]["code"]) == (400, 100)


def test_the_window_closes_a_day_after_the_person_last_wrote(sandbox: Sandbox):
    sandbox.hear(PAGE, "a")
    sandbox.clock.advance(24 * 3600 - 1)
    assert sandbox.call(f"/v23.0/{PAGE}/messages", page_message("a"))[0] == 200
    sandbox.clock.advance(1)
    assert sandbox.call(f"/v23.0/{PAGE}/messages", page_message("a"))[0] == 400

    tagged = page_message("a") | {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert sandbox.call(f"/v23.0/{PAGE}/messages", tagged)[0] == 200
    sandbox.clock.advance(6 * 24 * 3600)
    assert sandbox.call(f"/v23.0/{PAGE}/messages", tagged)[0] == 400


def test_twilio_takes_a_message_outside_of_whatsapps_window_and_tells_later(sandbox, listener: Listener):
    sent = sandbox.twilio().messages.create(
        to="whatsapp:+491711234567",
        from_="whatsapp:+15550100004",
        body="Yes",
        status_callback=f"{listener.url}/twilio",
    )
    sandbox.settle()

    last = dict(parse_qsl(listener.taken[-1][1].decode()))
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", "63016")
    assert sandbox.twilio().messages(sent.sid).fetch().error_code == 63016


def test_who_cannot_be_reached_is_told(sandbox: Sandbox, listener: Listener):
    sandbox.hear(PHONE, VISITOR)
    sandbox.control("PUT", "deaf", [VISITOR])
    assert sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(VISITOR))[0] == 200
    sandbox.settle()

    last = json.loads(listener.taken[-1][1])["entry"][0]["changes"][0]["value"]["statuses"][0]
    assert (last["status"], last["errors"][0]["code"]) == ("failed", 131026)


def test_rates_are_those_of_the_provider(sandbox: Sandbox):
    for number in range(200):
        sandbox.world.wrote(PHONE, f"p{number}")
    answers = [sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(f"p{n}"))[0] for n in range(81)]
    assert answers == [200] * 80 + [429]
    sandbox.clock.advance(1)
    assert sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text("p100"))[0] == 200
    one = [sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text("p150"))[1] for _ in range(46)]
    assert one[-1]["error"]["code"] == 131056


def test_media_is_good_for_30_days(sandbox: Sandbox):
    sandbox.hear(PHONE, VISITOR)
    client = sandbox.whatsapp()
    media = client.upload_media(b"\x89PNG", mime_type="image/png", filename="a.png")
    client.send_image(to=VISITOR, image=media)
    sandbox.clock.advance(30 * 24 * 3600)
    sandbox.hear(PHONE, VISITOR)
    with pytest.raises(WhatsAppError):
        client.send_image(to=VISITOR, image=media)


def test_answers_fail_as_the_script_says_and_only_so_often(sandbox: Sandbox):
    sandbox.hear(PHONE, VISITOR)
    path = f"/v23.0/{PHONE}/messages"
    expected = (("429", 429, 130429), ("500", 500, 2), ("token", 401, 190), ("window", 400, 131047))
    for answer, status, code in expected:
        sandbox.control("POST", "faults", {"answer": answer, "provider": "whatsapp", "to": VISITOR})
        failed = sandbox.call(path, whatsapp_text(VISITOR))
        assert (failed[0], failed[1]["error"]["code"]) == (status, code)
        assert sandbox.call(path, whatsapp_text(VISITOR))[0] == 200
    assert len(sandbox.control("GET", "messages")) == 4
    with pytest.raises(urllib.error.HTTPError):
        sandbox.control("POST", "faults", {"answer": "sulk"})


def test_an_answer_may_be_lost_after_the_message_was_taken(sandbox: Sandbox, listener: Listener):
    sandbox.hear(PHONE, VISITOR)
    sandbox.control("POST", "faults", {"answer": "lost"})
    with pytest.raises((urllib.error.URLError, ConnectionError, OSError)):
        sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(VISITOR))
    sandbox.settle()

    assert len(sandbox.control("GET", "messages")) == 1
    assert len(listener.taken) == 4, "the person's message, and three states"


def test_webhooks_may_be_doubled_lost_late_or_swapped(sandbox: Sandbox, listener: Listener):
    def told(**habits: float) -> list[str]:
        sandbox.control("DELETE", "faults")
        sandbox.control("PUT", "habits", habits)
        listener.taken.clear()
        sandbox.hear(PHONE, VISITOR)
        sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(VISITOR))
        sandbox.settle()
        values = [json.loads(body)["entry"][0]["changes"][0]["value"] for _, body, _ in listener.taken]
        return [value["statuses"][0]["status"] for value in values if "statuses" in value]

    assert told(doubled=1.0) == ["sent", "sent", "delivered", "delivered", "read", "read"]
    assert told(lost=1.0) == []
    assert told(late=1.0, late_by=30.0) == ["sent", "delivered", "read"]
    assert sorted(told(swapped=0.5)) == ["delivered", "read", "sent"]


def test_a_webhook_that_nobody_takes_comes_again(sandbox: Sandbox, listener: Listener):
    listener.status = 503
    sandbox.hear(PAGE, "a")
    assert sandbox.deliveries.settle(30)
    listener.status = 200
    sandbox.settle()

    assert [made.status for made in sandbox.deliveries.made] == [503, 200]
    assert listener.taken[0][1] == listener.taken[1][1]


def test_the_same_seed_gives_the_same_bytes(listener: Listener):
    def run(seed: int) -> list[bytes]:
        listener.taken.clear()
        with contextlib.closing(Sandbox(listener, seed)) as sandbox:
            sandbox.control("PUT", "habits", {"doubled": 0.5, "lost": 0.3, "late": 0.5})
            for number in range(5):
                sandbox.hear(PHONE, f"49{number}")
                sandbox.call(f"/v23.0/{PHONE}/messages", whatsapp_text(f"49{number}"))
            sandbox.settle()
        return [body for _, body, _ in listener.taken]

    first = run(7)
    assert run(7) == first
    assert run(8) != first


def test_every_call_to_a_provider_is_counted_whatever_becomes_of_it(sandbox: Sandbox):
    assert sandbox.control("GET", "requests") == {"requests": 0}
    sandbox.hear(PHONE, VISITOR)
    body = {"messaging_product": "whatsapp", "to": VISITOR, "type": "text", "text": {"body": "Yes"}}
    for token, status in ((TOKEN, 200), ("another", 401)):
        assert sandbox.call(f"/v23.0/{PHONE}/messages", body, token)[0] == status
    sandbox.twilio().messages.list()

    assert sandbox.control("GET", "requests") == {"requests": 3}
