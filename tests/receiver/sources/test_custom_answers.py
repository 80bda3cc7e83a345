"""Handshakes and answers of custom sources."""

import hmac
import json
import time

import pytest
from endpoints import only, published, receiving

from receiver.app import create_app
from receiver.config import ConfigError

TOKEN = "0123456789abcdef-token"
SLACK = """
[slack]
scheme = "hmac"
hmac = { header = "X-S", signed = "{timestamp}:{body}", timestamp_header = "X-T" }
[[slack.answers]]
field = "/type"
equals = "url_verification"
echo = { field = "/challenge" }
[[slack.answers]]
field = "/type"
equals = "json"
echo = { field = "/challenge", name = "challenge" }
[[slack.answers]]
field = "/type"
equals = "1"
body = '{"type": 1}'
[[slack.answers]]
field = "/type"
equals = "3"
body = '{"type": 6}'
status = 202
keep = true
"""


@pytest.fixture
def told(environ, bus, tmp_path):
    def told(text, name, **more):
        file = tmp_path / "sources.toml"
        file.write_text(text)
        secrets = {f"SOURCE_{name.upper()}_SECRETS": TOKEN}
        return receiving(environ, name, SOURCES_FILE=str(file), **secrets, **more)

    return told


def signed(body):
    now = str(int(time.time()))
    return {"X-T": now, "X-S": hmac.digest(TOKEN.encode(), f"{now}:".encode() + body, "sha256").hex()}


def post(client, sent, headers=None):
    body = json.dumps(sent).encode()
    given = signed(body) if headers is None else headers
    return client.post("/sources/slack", data=body, headers=given, content_type="application/json")


def test_challenge_is_repeated_after_the_proof_and_is_no_event(told, bus):
    with told(SLACK, "slack") as client:
        sent = {"type": "url_verification", "challenge": "<b>é"}
        answer = post(client, sent)
        assert (answer.status_code, answer.text, answer.mimetype) == (200, "<b>é", "text/plain")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer = post(client, {"type": "json", "challenge": 'a"'})
        assert (answer.json, answer.mimetype) == ({"challenge": 'a"'}, "application/json")
        assert post(client, {"type": 1}).json == {"type": 1}
        assert post(client, sent, {}).status_code == 403
        assert not published(bus, "slack")


def test_event_is_durable_before_it_gets_its_own_answer(told, bus):
    with told(SLACK, "slack") as client:
        answer = post(client, {"type": 3})
        assert (answer.status_code, answer.json) == (202, {"type": 6})
        assert only(bus, "slack").data == b'{"type": 3}'


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "message", "text": "url_verification"},
        {"type": "url_verification"},
        {"type": "url_verification", "challenge": None},
        {"type": "url_verification", "challenge": "x" * 5000},
        {"type": "url_verification", "challenge": "x", "more": "x" * 70_000},
        {"type": 13},
        [],
    ],
)
def test_what_is_no_handshake_is_an_event(told, bus, sent):
    with told(SLACK, "slack") as client:
        answer = post(client, sent)
        assert (answer.status_code, answer.text) == (200, "")
        assert json.loads(only(bus, "slack").data) == sent


META = """
[page]
scheme = "token"
token = { header = "X-T" }
[[page.answers]]
method = "GET"
query = "hub.mode"
equals = "subscribe"
echo = { query = "hub.challenge" }
proven = false
verify = { query = "hub.verify_token" }
[[page.answers]]
method = "HEAD"
proven = false
status = 204
"""


def test_handshake_by_get_needs_the_verify_token(told, bus):
    with told(META, "page", SOURCE_PAGE_VERIFY_TOKENS="other,verify-me") as client:
        query = "hub.mode=subscribe&hub.challenge=42&hub.verify_token="
        assert client.get(f"/sources/page?{query}verify-me").text == "42"
        assert client.get(f"/sources/page?{query}verify-mf").status_code == 403
        assert client.get("/sources/page?hub.challenge=42&hub.verify_token=verify-me").status_code == 403
        assert client.head("/sources/page").status_code == 204
        assert client.put("/sources/page").status_code == 405
        assert client.post("/sources/page", data=b"{}", headers={"X-T": TOKEN}).status_code == 200
        assert client.post("/sources/page", data=b"{}").status_code == 403
        assert len(published(bus, "page")) == 1


def test_head_of_a_source_that_takes_get_is_no_event(told, bus):
    text = "[sms]\nmethods=['GET']\nscheme='token'\ntoken={query='k'}"
    with told(text, "sms") as client:
        assert client.head(f"/sources/sms?k={TOKEN}").status_code == 405
        assert client.get(f"/sources/sms?k={TOKEN}&a=1").status_code == 200
        assert only(bus, "sms").query == "a=1"


def test_challenge_in_a_header(told):
    text = """
        [front]
        scheme = "bearer"
        [[front.answers]]
        header = "X-Front-Challenge"
        echo = { header = "X-Front-Challenge", name = "challenge" }
    """
    with told(text, "front") as client:
        headers = {"X-Front-Challenge": "abc", "Authorization": f"Bearer {TOKEN}"}
        assert client.post("/sources/front", headers=headers).json == {"challenge": "abc"}
        assert client.post("/sources/front", headers={"X-Front-Challenge": "abc"}).status_code == 403


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ("[{field='/a', query='b'}]", "a1.answers[0].query: at most one of"),
        ("[{equals='b'}]", "a1.answers[0].equals: needs one of"),
        ("[{field='a'}]", "a1.answers[0].field: a JSON Pointer"),
        ("[{echo={}}]", "a1.answers[0].echo: needs one of field, query and header"),
        ("[{echo={query='a'}, body='b'}]", "keep one of echo and body"),
        ("[{keep=true, method='GET'}]", "an event is proven, and comes by one of"),
        ("[{keep=true, proven=false}]", "an event is proven"),
        ("[{proven=false}]", "would answer every event"),
        ("[{proven=false, field='/a', body='b'}]", "a fixed answer that nobody has to prove"),
        ("[{status=404}]", "a1.answers[0].status: Expected `int` <= 299"),
        ("[{method='HEAD', proven=false, verify={query='a'}}]", "PARLEY_SOURCE_A1_VERIFY_TOKENS is not set"),
        (str([{}] * 9).replace("'", ""), "a1.answers: at most 8"),
    ],
)
def test_answers_that_contradict_themselves_stop_the_start(environ, tmp_path, answers, problem):
    file = tmp_path / "sources.toml"
    file.write_text(f"[a1]\nscheme='bearer'\nanswers={answers}")
    variables = {"PARLEY_SOURCES_FILE": str(file), "PARLEY_SOURCE_A1_SECRETS": TOKEN}
    with pytest.raises(ConfigError) as caught:
        create_app(environ | variables)
    assert problem in str(caught.value)
