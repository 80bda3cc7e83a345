import base64

import pytest
from endpoints import one_byte_changed, only, published, receiving, vectors

from receiver.app import create_app
from receiver.proofs.signatures import hmac_hex

BODY = b'{"type":"message.created","payload":{}}'


def post(client, body=BODY, signature=None):
    headers = {} if signature is None else {"X-Airy-Content-Signature": signature}
    return client.post("/airy", data=body, headers=headers, content_type="application/json")


@pytest.fixture
def airy(environ, bus):
    with receiving(environ, "airy", AIRY_SIGNATURE_KEYS="old,new") as client:
        yield client


@pytest.mark.parametrize("key", ["old", "new"])
def test_takes_a_signed_body_byte_for_byte(airy, bus, key):
    assert post(airy, signature=hmac_hex(key, BODY)).status_code == 200
    event = only(bus, "airy")
    assert (event.data, event.attributes["verified_by"]) == (BODY, "x-airy-content-signature")


@pytest.mark.parametrize("signature", [None, "", "é", f"sha256={hmac_hex('new', BODY)}", hmac_hex("other", BODY)])
def test_refuses_what_is_not_signed(airy, bus, signature):
    assert post(airy, signature=signature).status_code == 403
    assert not published(bus, "airy")


def test_is_not_there_without_a_key(environ):
    assert create_app(environ).test_client().post("/airy", data=BODY).status_code == 404


def test_takes_unsigned_bodies_where_that_is_said_explicitly(environ, bus):
    with receiving(environ, "airy", ALLOW_UNSIGNED="airy") as client:
        assert post(client).status_code == 200
    assert only(bus, "airy").attributes["verified_by"] == "none"


@pytest.mark.parametrize("vector", vectors("airy-x-airy-content-signature"), ids=lambda vector: vector["note"])
def test_agrees_with_signature_vectors_made_by_others(environ, bus, vector):
    body = base64.b64decode(vector["body_b64"])
    with receiving(environ, "airy", AIRY_SIGNATURE_KEYS=vector["key"]) as client:
        assert post(client, body, vector["signature"]).status_code == 200
        for changed in one_byte_changed(body):
            assert post(client, changed, vector["signature"]).status_code == 403
        for changed in one_byte_changed(vector["signature"].encode()):
            assert post(client, body, changed.decode()).status_code == 403
