import base64

import pytest
from endpoints import one_byte_changed, only, published, receiving, vectors

from receiver.app import create_app
from receiver.proofs.signatures import hmac_hex

BODY = b'{"object":"whatsapp_business_account","entry":[{"id":"1","note":"\\u00e4\\/"}]}'


@pytest.fixture
def whatsapp(environ, bus):
    more = {"WHATSAPP_APP_SECRETS": "old,new", "WHATSAPP_VERIFY_TOKENS": "token"}
    with receiving(environ, "whatsapp", **more) as client:
        yield client


def post(client, body=BODY, signature=None):
    headers = {} if signature is None else {"X-Hub-Signature-256": signature}
    return client.post("/whatsapp", data=body, headers=headers, content_type="application/json")


@pytest.mark.parametrize("secret", ["old", "new"])
def test_takes_a_signed_body_byte_for_byte(whatsapp, bus, secret):
    assert post(whatsapp, signature=f"sha256={hmac_hex(secret, BODY)}").status_code == 200
    event = only(bus, "whatsapp")
    assert (event.data, event.source) == (BODY, "whatsapp")
    assert event.attributes["verified_by"] == "x-hub-signature-256"


@pytest.mark.parametrize("signature", [None, "", hmac_hex("new", BODY), f"sha256={hmac_hex('app-secret', BODY)}"])
def test_refuses_what_is_not_signed_with_its_own_secret(whatsapp, bus, signature):
    assert post(whatsapp, signature=signature).status_code == 403
    assert not published(bus, "whatsapp")


def test_refuses_each_changed_byte(whatsapp):
    signature = f"sha256={hmac_hex('new', BODY)}"
    for body in one_byte_changed(BODY):
        assert post(whatsapp, body, signature).status_code == 403


@pytest.mark.parametrize(("token", "status"), [("token", 200), ("wrong", 403), ("", 403)])
def test_answers_its_handshake(whatsapp, token, status):
    query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "0012"}
    response = whatsapp.get("/whatsapp", query_string=query)
    assert response.status_code == status
    assert status == 403 or response.data == b"0012"


def test_is_not_there_without_a_secret(environ):
    assert create_app(environ).test_client().post("/whatsapp", data=BODY).status_code == 404


@pytest.mark.parametrize("vector", vectors("meta-x-hub-signature-256"), ids=lambda vector: vector["note"])
def test_agrees_with_signature_vectors_made_by_others(environ, bus, vector):
    body = base64.b64decode(vector["body_b64"])
    with receiving(environ, "whatsapp", WHATSAPP_APP_SECRETS=vector["key"]) as client:
        assert post(client, body, vector["signature"]).status_code == 200
        for changed in one_byte_changed(body):
            assert post(client, changed, vector["signature"]).status_code == 403
        for changed in one_byte_changed(vector["signature"].encode()):
            assert post(client, body, changed.decode()).status_code == 403
