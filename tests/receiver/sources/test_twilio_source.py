import base64
import hashlib
import hmac
from urllib.parse import urlencode, urlsplit

import pytest
from endpoints import only, published, receiving, vectors
from receiver_support import archived
from twilio.request_validator import RequestValidator

from receiver.app import create_app
from receiver.config import ConfigError

BASE = "https://hooks.example.com"
TOKEN = "primary-token"
MESSAGE = b"MessageSid=SM1&SmsStatus=received&From=%2B4915550000042&To=%2B4915550000001&Body=a%3Db+%C3%BC&x="
CALLBACK = b"MessageSid=SM1&MessageStatus=sent&To=%2B4915550000042&From=%2B4915550000001"
FIELDS = {
    "MessageSid": "SM1",
    "SmsStatus": "received",
    "From": "+4915550000042",
    "To": "+4915550000001",
    "Body": "a=b ü",
    "x": "",
}


@pytest.fixture
def twilio(environ, bus):
    with receiving(environ, "twilio", TWILIO_AUTH_TOKENS=f"{TOKEN},second-token", PUBLIC_URL=BASE) as client:
        yield client


def signature(url, fields=(), token=TOKEN, algorithm="sha1"):
    signed = url + "".join(name + value for name, value in sorted(dict(fields).items()))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), algorithm)).decode()


def post(client, body=MESSAGE, path="/twilio", **headers):
    content_type = headers.pop("content_type", "application/x-www-form-urlencoded")
    sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return client.post(path, data=body, headers=sent, content_type=content_type)


@pytest.mark.parametrize("token", [TOKEN, "second-token"])
def test_takes_a_signed_message_byte_for_byte_and_answers_nothing_in_twiml(twilio, bus, tmp_path, token):
    signed = signature(f"{BASE}/twilio", FIELDS, token)
    response = post(twilio, X_Twilio_Signature=signed, I_Twilio_Idempotency_Token="retry-1")
    assert response.status_code == 200
    assert response.data == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    assert response.content_type.startswith("text/xml")
    event = only(bus, "twilio")
    assert event.data == MESSAGE
    assert event.attributes["verified_by"] == "x-twilio-signature"
    assert event.attributes["header.i-twilio-idempotency-token"] == "retry-1"
    assert signed not in event.attributes.values()
    twilio.application.extensions["committers"].close()
    assert archived(tmp_path / "archive") == [event]


@pytest.mark.parametrize("state", ["MessageStatus=sent", "SmsStatus=delivered"])
def test_answers_a_callback_with_nothing(twilio, bus, state):
    body = f"MessageSid=SM1&{state}".encode()
    fields = dict(pair.split("=") for pair in body.decode().split("&"))
    response = post(twilio, body, X_Twilio_Signature=signature(f"{BASE}/twilio", fields))
    assert (response.status_code, response.data) == (204, b"")


def test_takes_get_with_the_exact_query(twilio, bus):
    query = "Body=a%2Fb%7E%2b&From=%2B1&To=%2B2&MessageSid=SM1&empty="
    response = twilio.get(f"/twilio?{query}", headers={"X-Twilio-Signature": signature(f"{BASE}/twilio?{query}")})
    assert (response.status_code, response.mimetype) == (200, "text/xml")
    event = only(bus, "twilio")
    assert (event.data, event.query) == (b"", query)


def test_answers_a_callback_by_get_with_nothing(twilio, bus):
    query = "MessageStatus=sent&MessageSid=SM1"
    response = twilio.get(f"/twilio?{query}", headers={"X-Twilio-Signature": signature(f"{BASE}/twilio?{query}")})
    assert response.status_code == 204


@pytest.mark.parametrize("typed", [f"{BASE}/twilio", f"{BASE}:443/twilio", f"{BASE}/twilio?"])
def test_takes_the_url_in_each_form_in_which_twilio_signs_it(twilio, typed):
    assert post(twilio, X_Twilio_Signature=signature(typed, FIELDS)).status_code == 200


@pytest.mark.parametrize("base", ["https://user:pass@hooks.example.com:8443", "https://other.example.com/parley/"])
def test_takes_each_of_several_public_urls_whatever_the_request_says(environ, bus, base):
    with receiving(environ, "twilio", TWILIO_AUTH_TOKENS=TOKEN, PUBLIC_URL=f"{BASE},{base}") as client:
        url = base.rstrip("/") + "/twilio"
        assert post(client, X_Twilio_Signature=signature(url, FIELDS), Host="10.0.0.1").status_code == 200


def test_header_of_a_proxy_does_not_choose_the_url(twilio):
    signed = signature("https://evil.example.com/twilio", FIELDS)
    headers = {"X_Forwarded_Host": "evil.example.com", "Host": "evil.example.com"}
    assert post(twilio, X_Twilio_Signature=signed, **headers).status_code == 403


def test_shared_key_signs_with_sha256(twilio):
    signed = signature(f"{BASE}/twilio", FIELDS, algorithm="sha256")
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    headers = {"X_Twilio_Signature": signed, "X_Twilio_Webhooks_Signature_Settings": settings}
    assert post(twilio, **headers).status_code == 200
    headers["X_Twilio_Webhooks_Signature_Settings"] = "algorithm=MD5"
    assert post(twilio, **headers).status_code == 403


@pytest.mark.parametrize(
    "signed",
    [None, "", "é", "x" * 28, signature(f"{BASE}/twilio"), signature(f"{BASE}/twilio", FIELDS, "wrong")],
)
def test_refuses_what_is_not_signed(twilio, bus, tmp_path, signed):
    assert post(twilio, X_Twilio_Signature=signed).status_code == 403
    assert not published(bus, "twilio")
    assert not (tmp_path / "archive").exists()


def test_refuses_a_changed_or_added_field(twilio):
    signed = signature(f"{BASE}/twilio", FIELDS)
    assert post(twilio, MESSAGE.replace(b"a%3Db", b"a%3Dc"), X_Twilio_Signature=signed).status_code == 403
    assert post(twilio, MESSAGE + b"&New=1", X_Twilio_Signature=signed).status_code == 403
    assert post(twilio, path="/twilio?New=1", X_Twilio_Signature=signed).status_code == 403


def test_json_is_signed_by_its_hash_in_the_url(twilio, bus):
    body = b'{"a":1}'
    path = f"/twilio?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"X_Twilio_Signature": signature(BASE + path), "content_type": "application/json"}
    assert post(twilio, body, path, **headers).status_code == 200
    assert only(bus, "twilio").data == body
    assert post(twilio, b'{"a":2}', path, **headers).status_code == 403
    assert post(twilio, b"", path, **headers).status_code == 403
    assert post(twilio, b"\xff", path, **headers).status_code == 403
    assert post(twilio, body, path, X_Twilio_Signature=signature(BASE + path)).status_code == 403


@pytest.mark.parametrize("query", ["bodySHA256", "bodySHA256=", "bodySHA256=&bodySHA256=x"])
def test_refuses_a_body_whose_hash_is_empty(twilio, query):
    signed = signature(f"{BASE}/twilio?{query}")
    for body in (b"{}", b""):
        sent = {"X_Twilio_Signature": signed, "content_type": "application/json"}
        assert post(twilio, body, f"/twilio?{query}", **sent).status_code == 403


def test_what_an_unknown_algorithm_is_called_is_not_logged(twilio, caplog):
    settings = "algorithm=a stranger's text"
    headers = {"X_Twilio_Signature": "x", "X_Twilio_Webhooks_Signature_Settings": settings}
    assert post(twilio, **headers).status_code == 403
    assert "stranger" not in caplog.text


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data", ""])
def test_body_that_the_signature_does_not_cover_is_refused(twilio, content_type):
    signed = signature(f"{BASE}/twilio")
    assert post(twilio, b"Body=x", X_Twilio_Signature=signed, content_type=content_type).status_code == 403


def test_form_without_fields_is_refused(twilio):
    assert post(twilio, b"&&", X_Twilio_Signature=signature(f"{BASE}/twilio")).status_code == 403


def test_is_not_there_without_a_token(environ):
    assert create_app(environ).test_client().post("/twilio").status_code == 404


def test_token_without_a_public_url_stops_the_start(environ):
    with pytest.raises(ConfigError, match="PARLEY_PUBLIC_URL is not set"):
        create_app(environ | {"PARLEY_TWILIO_AUTH_TOKENS": TOKEN})


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://a.example", "https://", "https://a?b=c", "https://a:x"]
)
def test_public_url_that_is_none_stops_the_start(environ, url):
    with pytest.raises(ConfigError, match="PARLEY_PUBLIC_URL must be like"):
        create_app(environ | {"PARLEY_TWILIO_AUTH_TOKENS": TOKEN, "PARLEY_PUBLIC_URL": url})


def test_takes_unsigned_requests_where_that_is_said_explicitly(environ, bus):
    with receiving(environ, "twilio", ALLOW_UNSIGNED="twilio") as client:
        assert post(client).status_code == 200
        assert only(bus, "twilio").attributes["verified_by"] == "none"


@pytest.mark.parametrize("vector", vectors("twilio-hmac-sha1"), ids=lambda vector: vector["note"])
def test_agrees_with_signature_vectors_made_by_others(environ, bus, vector, monkeypatch):
    """The vectors' URLs end in another path, so the route is asked for by it."""
    parts = urlsplit(vector["url"])
    monkeypatch.setattr("receiver.sources.twilio._urls", lambda bases: [f"{bases[0]}{parts.path}?{parts.query}"])
    is_json = isinstance(vector["params"], str)
    params = vector["params"]
    pairs = [tuple(pair) for pair in params] if isinstance(params, list) else params
    body = (params if is_json else urlencode(pairs)).encode()
    content_type = "application/json" if is_json else "application/x-www-form-urlencoded"
    base = f"{parts.scheme}://{parts.netloc}"
    with receiving(environ, "twilio", TWILIO_AUTH_TOKENS=vector["key"], PUBLIC_URL=base) as client:
        path = f"/twilio?{parts.query}"
        known = {"X_Twilio_Signature": vector["signature"], "content_type": content_type}
        assert post(client, body, path, **known).status_code in {200, 204}
        changed = body.replace(b"r", b"s", 1) if is_json else body.replace(b"1", b"7", 1)
        assert changed != body
        assert post(client, changed, path, **known).status_code == 403
        known["X_Twilio_Signature"] = vector["signature"].swapcase()
        assert post(client, body, path, **known).status_code == 403


def test_signs_as_twilios_own_library_does():
    assert signature(BASE, FIELDS) == RequestValidator(TOKEN).compute_signature(BASE, FIELDS)


def test_form_with_repeated_keys_is_taken(twilio):
    body = b"Digits=5678&Digits=1234&Digits=1234&MessageSid=SM1"
    signed = signature(f"{BASE}/twilioDigits1234Digits5678MessageSidSM1")
    assert post(twilio, body, X_Twilio_Signature=signed).status_code == 200


def test_unavailable_is_answered_so_that_twilio_tries_again(environ, bus):
    with receiving(
        environ, "twilio", TWILIO_AUTH_TOKENS=TOKEN, PUBLIC_URL=BASE, ARCHIVE="/proc/nowhere"
    ) as client:
        assert post(client, X_Twilio_Signature=signature(f"{BASE}/twilio", FIELDS)).status_code == 503


@pytest.mark.parametrize(
    "body",
    [b"&".join(b"%x=" % n for n in range(501)), b"a=1&" * 1_000_000, b"&" * 200_000, b"a=" + b"x" * 300_000],
)
def test_takes_no_form_apart_that_is_larger_than_any_of_twilio(twilio, bus, monkeypatch, body):
    def parse(*_, **__):
        raise AssertionError("parsed")

    monkeypatch.setattr("receiver.sources.twilio.parse_qsl", parse)
    assert post(twilio, body).status_code == 413
    assert post(twilio, body, X_Twilio_Signature="x").status_code == 413
    assert published(bus, "twilio") == []


def test_takes_no_query_apart_that_has_more_fields_than_any_of_twilio(twilio):
    assert twilio.get("/twilio?" + "a&" * 500).status_code == 414


def test_takes_a_form_of_as_many_fields_as_are_allowed(twilio, bus):
    fields = {f"field{n}": str(n) for n in range(500)}
    signed = signature(f"{BASE}/twilio", fields)
    assert post(twilio, urlencode(fields).encode(), X_Twilio_Signature=signed).status_code == 200
