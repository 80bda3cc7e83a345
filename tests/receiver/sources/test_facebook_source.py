import base64
import json
from pathlib import Path

import pytest
from receiver_support import archived

from receiver.app import create_app
from receiver.proofs.signatures import hmac_hex

VECTORS = Path(__file__).parents[4] / "shared" / "fixtures" / "signature_vectors.json"
BODY = b'{"object":"page","entry":[{"id":"1","note":"\\u00e4\\/ \xf0\x9f\x98\x80"}]}'


def signed(body: bytes, secret: str = "new-secret") -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac_hex(secret, body)}"}


def handshake(client, **changes):
    query = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "0012<b>"} | changes
    return client.get("/facebook", query_string=query)


def test_answers_the_handshake_with_the_challenge_as_it_is(app):
    response = handshake(app.test_client())
    assert (response.status_code, response.data) == (200, b"0012<b>")
    assert response.mimetype == "text/plain"


@pytest.mark.parametrize(
    "changes", [{"hub.verify_token": "wrong"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}]
)
def test_refuses_a_handshake_of_others(app, changes):
    assert handshake(app.test_client(), **changes).status_code == 403


@pytest.mark.parametrize("secret", ["old-secret", "new-secret"])
def test_takes_a_signed_body_byte_for_byte(app, bus, tmp_path, secret):
    response = app.test_client().post(
        "/facebook", data=BODY, headers=signed(BODY, secret), content_type="application/json"
    )
    assert response.status_code == 200
    (event,) = bus.published()
    assert event.data == BODY
    assert event.source == "facebook"
    assert event.content_type == "application/json"
    assert event.attributes["verified_by"] == "x-hub-signature-256"
    app.extensions["committers"].close()
    assert archived(tmp_path / "archive") == [event]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": hmac_hex("new-secret", BODY)},
        {"X-Hub-Signature-256": "sha256=é"},
        {"X-Hub-Signature": "sha1=0"},
        signed(BODY, "wrong"),
        signed(BODY + b" "),
    ],
)
def test_refuses_what_is_not_signed(app, bus, tmp_path, headers):
    response = app.test_client().post("/facebook", data=BODY, headers=headers)
    assert response.status_code == 403
    assert not bus.published()
    assert not (tmp_path / "archive").exists()


def test_is_not_there_without_a_secret(environ):
    del environ["PARLEY_FACEBOOK_APP_SECRETS"]
    client = create_app(environ).test_client()
    assert client.post("/facebook", data=BODY).status_code == 404
    assert handshake(client).status_code == 404


def test_takes_unsigned_bodies_where_that_is_said_explicitly(environ, bus):
    del environ["PARLEY_FACEBOOK_APP_SECRETS"]
    app = create_app(environ | {"PARLEY_ALLOW_UNSIGNED": "facebook"})
    assert app.test_client().post("/facebook", data=BODY).status_code == 200
    app.extensions["committers"].close()
    assert [event.attributes["verified_by"] for event in bus.published()] == ["none"]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared fixtures are not here")
def test_agrees_with_signature_vectors_made_by_others(environ, bus):
    vectors = [each for each in json.loads(VECTORS.read_text()) if "body_b64" in each]
    vectors = [each for each in vectors if each["scheme"] == "meta-x-hub-signature-256"]
    assert vectors
    for vector in vectors:
        app = create_app(environ | {"PARLEY_FACEBOOK_APP_SECRETS": vector["key"]})
        body = base64.b64decode(vector["body_b64"])
        headers = {"X-Hub-Signature-256": vector["signature"]}
        client = app.test_client()
        assert client.post("/facebook", data=body, headers=headers).status_code == 200
        dumped_again = json.dumps(json.loads(body)).encode()
        assert client.post("/facebook", data=dumped_again, headers=headers).status_code == 403
        app.extensions["committers"].close()
