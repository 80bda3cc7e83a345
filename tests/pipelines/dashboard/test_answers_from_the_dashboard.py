"""A conversation is answered in its reader: by a page of this dashboard only, and once."""

import datetime as dt
import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
from dashboard_shop import NOON, PHONE, Shop
from flask.testing import FlaskClient

from pipelines.dashboard.app import create_app
from pipelines.dashboard.reader import Entry
from pipelines.dashboard.reply_box import entries, init_app, is_ours, post, prove, unsendable
from pipelines.dashboard.warehouse import UnansweredError, Warehouse
from pipelines.run.desk import Desk, DeskError
from schemas.replies import OUTCOME_TYPE
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

TOKEN = "token-of-the-desk-" + "0" * 20
HERE = {"Origin": "http://localhost"}
HOSTILE = '</textarea><script>alert(1)</script> "&amp; \u202e\n{{ 7*7 }} 😀'


class Receiver(ThreadingHTTPServer):
    """Takes replies as the receiver does, or refuses them."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, dict[str, Any]]] = []
        self.status, self.answer = 202, {}

        class Take(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.server.taken.append((self.headers["Authorization"], self.headers["Idempotency-Key"], body))
                key = self.headers["Idempotency-Key"]
                answer = self.server.answer or {"reply_id": str(uuid.uuid5(uuid.NAMESPACE_OID, key))}
                self.send_response(self.server.status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Office:
    """Whoever answers in a shop's dashboard."""

    def __init__(self, shop: Shop, url: str) -> None:
        self.shop = shop
        self.now = NOON
        self.app = create_app(shop.warehouse, today=NOON.date, desk=Desk(url, TOKEN), now=lambda: self.now)
        self.client: FlaskClient = self.app.test_client()
        (row,) = shop.analyst.query(
            "SELECT conversation_id, source_channel_id "
            "FROM parley.conversations JOIN parley.channels USING (channel_id)"
        )
        self.conversation, self.channel = row["conversation_id"], row["source_channel_id"]
        self.path = f"/conversations/{self.conversation}"

    def look(self, path: str = "") -> str:
        answer = self.client.get(path or self.path)
        assert answer.status_code == 200
        assert TOKEN not in answer.text
        return answer.text

    def form(self) -> dict[str, str]:
        """Return a form as a page has it, without the page's questions."""
        with self.app.app_context():
            key = str(uuid.uuid4())
            return {"key": key, "proof": prove(self.conversation, key, self.now)}

    def send(self, text: str, form: dict[str, str] | None = None, **headers: str):
        return self.client.post(
            f"{self.path}/reply", data=(form or self.form()) | {"text": text}, headers=HERE | headers
        )


def form_of(page: str) -> dict[str, str]:
    return {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("key", "proof")}


@pytest.fixture(scope="module")
def shop(analyst_of_shops: Analyst) -> Shop:
    """One for all these tests: a contact has asked an hour ago."""
    analyst_of_shops.forget()
    shop = Shop(analyst_of_shops)
    shop.asked(NOON - dt.timedelta(hours=1))
    shop.stored()
    return shop


@pytest.fixture(scope="module")
def only_office(shop: Shop) -> Office:
    return Office(shop, "http://127.0.0.1:1")


@pytest.fixture
def office(only_office: Office, receiver: Receiver) -> Office:
    only_office.now = NOON
    with only_office.app.app_context():
        init_app(only_office.app, Desk(f"http://127.0.0.1:{receiver.server_port}", TOKEN), lambda: only_office.now)
    return only_office


def test_an_answer_goes_to_the_receiver_once_however_often_its_form_is_sent(office: Office, receiver: Receiver):
    page = office.look()
    form = form_of(page)
    assert "open until 11 Mar 2026, 11:00:00" in page

    first = office.send("We open\r\nat 9", form)
    again = office.send("We open\r\nat 9", form)

    assert first.status_code == again.status_code == 303
    assert first.location == again.location
    assert {key for _, key, _ in receiver.taken} == {form["key"]}
    authorization, _, body = receiver.taken[0]
    assert authorization == f"Bearer {TOKEN}"
    assert body == {
        "source": "whatsapp",
        "channel": office.channel,
        "to": PHONE,
        "actor": {"kind": "human"},
        "content": {"text": "We open\nat 9"},
    }
    after = office.look(first.location)
    assert "it shows above as soon as it is stored" in after
    assert form_of(after)["key"] != form["key"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:1", "https://localhost"])
def test_a_form_of_elsewhere_is_refused(office: Office, receiver: Receiver, origin: str):
    assert office.send("Hi", Origin=origin).status_code == 403
    assert receiver.taken == []


def test_a_form_without_this_dashboards_proof_is_refused_with_its_text(office: Office, receiver: Receiver):
    answer = office.send(HOSTILE, office.form() | {"key": str(uuid.uuid4())})

    assert answer.status_code == 403
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert receiver.taken == []


def test_a_proof_is_of_one_conversation_and_key_and_of_some_hours(office: Office):
    form = office.form()
    key, proof = form["key"], form["proof"]
    with office.app.app_context():
        assert is_ours(office.conversation, key, proof)
        assert not is_ours("another", key, proof)
        assert not is_ours(office.conversation, str(uuid.uuid4()), proof)
        for wrong in (
            "",
            "1." + "0" * 64,
            proof + "0",
            proof.replace(".", ".é"),
            "9" * 400 + ".0",
            "²." + "0" * 64,
        ):
            assert not is_ours(office.conversation, key, wrong)
        office.now = NOON + dt.timedelta(hours=13)
        assert not is_ours(office.conversation, key, proof)


def test_a_closed_window_is_told(office: Office):
    office.now = NOON + dt.timedelta(hours=23, seconds=1)

    page = office.look()

    assert "The window is closed: the contact wrote last on 10 Mar 2026, 11:00:00" in page
    assert "takes only templates" in page
    assert "<textarea" not in page


def test_a_window_that_closes_while_one_writes_refuses_the_answer(office: Office, receiver: Receiver):
    office.now = NOON + dt.timedelta(hours=22, minutes=59)
    form = office.form()
    office.now += dt.timedelta(minutes=2)
    answer = office.send("Almost", form)

    assert answer.status_code == 409
    assert "Almost" in answer.text
    assert receiver.taken == []


def test_what_the_receiver_refuses_is_told_in_words_and_the_text_is_kept(office: Office, receiver: Receiver):
    receiver.status, receiver.answer = 401, {"message": "such is life"}
    form = office.form()
    answer = office.send(HOSTILE, form)

    assert answer.status_code == 502
    assert "does not know the dashboard&#39;s token" in answer.text
    assert form["key"] in answer.text
    assert "<script>alert" not in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "may not reply on this channel"),
        (404, "takes no replies"),
        (400, "The receiver refuses it: such is life"),
        (503, "Send it again: it goes out once."),
    ],
)
def test_every_refusal_has_its_words(office: Office, receiver: Receiver, status: int, words: str):
    receiver.status, receiver.answer = status, {"message": "such is life"}
    with office.app.app_context():
        reply_id, problem = post({"source": "whatsapp", "channel": "1", "to": "2"}, "Hi", "key")
    assert reply_id == ""
    assert words in problem


def test_a_text_that_is_changed_after_an_error_can_be_sent_as_an_answer_of_its_own(
    office: Office, receiver: Receiver
):
    receiver.status = 503
    unknown = office.send("We open at 8", office.form())
    # The receiver may have taken it all the same, or kept its key.
    receiver.status, receiver.answer = 409, {"error": "other_body", "message": "was used with another body."}
    changed = office.send("We open at 9", form_of(unknown.text))
    receiver.status, receiver.answer = 202, {}
    sent = office.send("We open at 9", form_of(changed.text))

    assert changed.status_code == 409
    assert "may have been taken" in changed.text and "Nothing was sent" not in changed.text
    assert "We open at 9</textarea>" in changed.text
    assert sent.status_code == 303
    (first, again, last) = [key for _, key, _ in receiver.taken]
    assert first == again != last


def test_a_receiver_that_is_not_there_may_have_taken_it(office: Office):
    with office.app.app_context():
        init_app(office.app, Desk("http://127.0.0.1:1", TOKEN), lambda: NOON)
        assert "may have taken it or not" in post({}, "Hi", "key")[1]


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 202 ACCEPTED\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 503 UNAVAILABLE\r\nContent-Length: 99\r\n\r\n{",
        b"no HTTP\r\n",
    ],
)
def test_after_half_an_answer_it_may_have_taken_it(office: Office, start: bytes):
    with socket.create_server(("127.0.0.1", 0)) as server, office.app.app_context():
        thread = threading.Thread(target=answer_by, args=(server, start))
        thread.start()
        init_app(office.app, Desk(f"http://127.0.0.1:{server.getsockname()[1]}", TOKEN), lambda: NOON)
        assert "may have taken it or not" in post({}, "Hi", "key")[1]
        thread.join()


def answer_by(server: socket.socket, data: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(data)


@pytest.mark.parametrize("text", [" \r\n ", "x" * 4097])
def test_nothing_and_too_much_are_refused(office: Office, receiver: Receiver, text: str):
    assert office.send(text).status_code == 400
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("endpoint", "text", "words"),
    [
        ("instagram", "x" * 1000, ""),
        ("instagram", "ü" * 500, ""),
        ("instagram", "ü" * 501, "has 1002 bytes, and may have 1000"),
        ("instagram", "😀" * 251, "has 1004 bytes, and may have 1000"),
        ("facebook", "ü" * 2000, ""),
        ("whatsapp", "ü" * 4096, ""),
    ],
)
def test_instagram_takes_bytes_and_others_characters(endpoint: str, text: str, words: str):
    assert words in unsendable(endpoint, text)
    assert bool(words) == bool(unsendable(endpoint, text))


def test_without_a_token_nobody_can_answer(office: Office):
    client = create_app(office.shop.warehouse, today=NOON.date).test_client()
    page = client.get(office.path)

    assert "<textarea" not in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert client.post(f"{office.path}/reply", data={"text": "Hi"}, headers=HERE).status_code == 404


def test_what_was_written_outlasts_a_bigquery_that_does_not_answer(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object, **__: object) -> None:
        raise UnansweredError("BigQuery does not answer.", will_pass=True)

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "ask", fails)
        lost = office.send(HOSTILE)
    assert lost.status_code == 503
    assert "&lt;/textarea&gt;&lt;script&gt;" in lost.text and "<script>alert" not in lost.text
    # A browser would ask for it anew, without the text.
    assert "http-equiv" not in lost.text and "Trying again" not in lost.text
    assert lost.headers["Referrer-Policy"] == "same-origin"
    assert receiver.taken == []

    assert office.send(HOSTILE, form_of(lost.text)).status_code == 303
    assert len(receiver.taken) == 1


def test_links_of_a_page_on_which_an_answer_was_not_taken_lead_to_the_conversation(office: Office):
    query = "before=2026-03-10T11%3A00%3A00%2B00%3A00%2Cm&_scheme=javascript&_external=1"
    answer = office.client.get(f"{office.path}/reply?{query}")
    assert answer.status_code == 303
    assert answer.location == f"{office.path}?{query}"


def test_an_unknown_conversation_cannot_be_answered(office: Office, receiver: Receiver):
    office.conversation, known = str(uuid.uuid4()), office.conversation
    form = office.form()
    path, office.conversation = f"/conversations/{office.conversation}/reply", known
    assert office.client.post(path, data=form | {"text": "Hi"}, headers=HERE).status_code == 404
    assert receiver.taken == []


def test_what_becomes_of_an_answer_shows_as_it_is_told(office: Office):
    reply = {"source": "whatsapp", "channel": office.channel, "to": PHONE, "content": {"text": HOSTILE}}
    outcome = {"reply_id": "r-1", "number": 1, "at": NOON.isoformat(), "result": "in_doubt", "reply": reply}
    accepted = outcome | {"result": "accepted", "source_message_id": "wamid.answer"}
    shop = office.shop
    shop.told_of_a_reply("r-1", reply, NOON)
    assert "Pending" in told(office)
    shop.told_of_a_reply("r-1", outcome, NOON + dt.timedelta(seconds=1), OUTCOME_TYPE)
    assert "In doubt" in told(office)
    shop.told_of_a_reply("r-1", accepted, NOON + dt.timedelta(seconds=2), OUTCOME_TYPE)
    shop.receipt("wamid.answer", "delivered", NOON + dt.timedelta(seconds=3))
    page = told(office, "?answered=r-1")
    assert "In doubt" not in page and "Pending" not in page
    assert "Delivered" in page and "It is sent." in page


def told(office: Office, query: str = "") -> str:
    """Return the page, on which the answer is one message."""
    office.shop.stored()
    page = office.look(office.path + query)
    assert page.count("&lt;/textarea&gt;&lt;script&gt;alert(1)") == 1
    assert "<script>alert" not in page
    return page


def test_what_ends_an_answer_outlasts_what_came_later():
    def row(value: str, seconds: int, error: str | None = None) -> dict[str, Any]:
        at = NOON + dt.timedelta(seconds=seconds)
        return {
            "reply_id": "r",
            "value": value,
            "occurred_at": at,
            "occurred_date": at.date(),
            "received_at": at,
            "event_id": "e",
            "text": "Hi",
            "error": error,
        }

    (entry,) = entries([row("refused", 1, "131047"), row("not_sent", 2), row("posted", 0)])
    assert isinstance(entry, Entry)
    assert (entry.state, entry.error, entry.at) == ("refused", "131047", NOON)
    assert entries([row("posted", 3), row("accepted", 1)]) == []
    assert entries([row("not_sent", 1)])[0].state == "pending"


def text_message(shop: Shop, at: dt.datetime) -> None:
    sid = f"SM{int(at.timestamp()):032d}"
    form = {"From": "+15550100001", "To": "+15550100002", "Body": "Open?", "MessageSid": sid, "AccountSid": "AC1"}
    shop.told_raw("twilio", urlencode(form).encode(), at, content_type="application/x-www-form-urlencoded")
    shop.stored()


def day(days_ago: int) -> str:
    return (NOON - dt.timedelta(days=days_ago)).date().isoformat()


@pytest.mark.parametrize(("days_ago", "since", "until"), [(60, 80, 0), (60, 80, 50), (20, 80, 0), (20, 25, 10)])
def test_an_answer_after_weeks_is_posted_and_shows(
    analyst_of_shops: Analyst, receiver: Receiver, days_ago: int, since: int, until: int
):
    analyst_of_shops.forget()
    shop = Shop(analyst_of_shops)
    text_message(shop, NOON - dt.timedelta(days=days_ago))
    office = Office(shop, f"http://127.0.0.1:{receiver.server_port}")
    page = office.look(f"{office.path}?day={day(days_ago)}&from={day(since)}&to={day(until)}")
    action = unescape(re.search(r'action="([^"]+/reply[^"]*)"', page)[1])

    answer = office.client.post(action, data=form_of(page) | {"text": "Now we are."}, headers=HERE)

    assert answer.status_code == 303
    assert "as soon as it is stored" in office.look(answer.location)
    (reply_id,) = re.findall(r"answered=([0-9a-f-]+)", answer.location)
    shop.told_of_a_reply(reply_id, receiver.taken[0][2], NOON)
    shop.stored()
    stored = office.look(answer.location)
    assert "Now we are." in stored and "What becomes of it is said above." in stored


def test_what_is_not_taken_is_kept_where_the_contact_has_written_meanwhile(
    analyst_of_shops: Analyst, receiver: Receiver
):
    analyst_of_shops.forget()
    shop = Shop(analyst_of_shops)
    text_message(shop, NOON - dt.timedelta(days=1))
    office = Office(shop, f"http://127.0.0.1:{receiver.server_port}")
    path = f"{office.path}/reply?day={day(1)}"
    form = form_of(office.look(f"{office.path}?day={day(1)}"))
    text_message(shop, NOON)
    receiver.status = 503

    answer = office.client.post(path, data=form | {"text": "Yesterday"}, headers=HERE)

    assert answer.status_code == 502
    assert "Yesterday" in answer.text and "Send it again" in answer.text
    assert form_of(answer.text)["key"] == form["key"]


def test_a_desk_needs_a_url_and_hides_its_token():
    assert Desk.from_environment({}) is None
    environ = {"PARLEY_REPLY_TOKEN": TOKEN, "PARLEY_PUBLIC_URL": "https://a.example/, https://b.example"}
    assert Desk.from_environment(environ) == Desk("https://a.example", TOKEN)
    assert TOKEN not in repr(Desk.from_environment(environ))
    with pytest.raises(DeskError):
        Desk.from_environment({"PARLEY_REPLY_TOKEN": TOKEN})
