import pytest
from endpoints import FIXTURES, one_byte_changed, only, published, receiving, vectors

from receiver.app import create_app
from receiver.proofs.signatures import hmac_base64

BODY = '{"agent":"brands/b/agents/a","message":{"text":"ä"}}'.encode()
HANDSHAKE = b'{"clientToken":"client-token","secret":"<b>0012</b>"}'


@pytest.fixture
def google(environ, bus):
    more = {"GOOGLE_KEYS": "partner-key,client-token", "GOOGLE_CLIENT_TOKENS": "client-token"}
    with receiving(environ, "google", **more) as client:
        yield client


def post(client, body=BODY, signature=None):
    headers = {} if signature is None else {"X-Goog-Signature": signature}
    return client.post("/google", data=body, headers=headers, content_type="application/json")


@pytest.mark.parametrize("key", ["partner-key", "client-token"])
def test_takes_a_body_signed_with_either_key(google, bus, key):
    assert post(google, signature=hmac_base64(key, BODY, "sha512")).status_code == 200
    event = only(bus, "google")
    assert (event.data, event.attributes["verified_by"]) == (BODY, "x-goog-signature")


def test_agrees_with_another_implementation(google):
    """The signature is OpenSSL's: `openssl dgst -sha512 -hmac partner-key -binary | base64`."""
    signature = "HFc7neHHxWaGTbqivZreH4/f0FrX5QVro8qI5GFjGLWfF7BHyZpywZSBHOpqW1jKfAHYzGQ3jKo2VzuoClL0fA=="
    assert post(google, signature=signature).status_code == 200
    for body in one_byte_changed(BODY):
        assert post(google, body, signature).status_code == 403


@pytest.mark.parametrize("signature", [None, "", "é", hmac_base64("partner-key", BODY), "A" * 88])
def test_refuses_what_is_not_signed(google, bus, signature):
    assert post(google, signature=signature).status_code == 403
    assert not published(bus, "google")


def test_answers_the_handshake_without_making_an_event(google, bus):
    response = post(google, HANDSHAKE)
    assert (response.status_code, response.data, response.mimetype) == (200, b"<b>0012</b>", "text/plain")
    assert not published(bus, "google")


@pytest.mark.parametrize(
    "body",
    [
        HANDSHAKE.replace(b"client-token", b"other"),
        HANDSHAKE.replace(b"}", b',"message":{"text":"x"}}'),
        b'{"clientToken":"client-token"}',
        b'{"clientToken":"client-token","secret":1}',
        b'["client-token"]',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_only_the_exact_handshake_needs_no_signature(google, bus, body):
    assert post(google, body).status_code == 403
    assert not published(bus, "google")


def test_no_handshake_succeeds_without_a_client_token(environ, bus):
    with receiving(environ, "google", GOOGLE_KEYS="partner-key") as client:
        assert post(client, HANDSHAKE.replace(b"client-token", b"")).status_code == 403


def test_is_off_unless_keys_are_set(environ):
    client = create_app(environ | {"PARLEY_GOOGLE_CLIENT_TOKENS": "client-token"}).test_client()
    assert post(client, HANDSHAKE).status_code == 404


def test_takes_unsigned_replays_where_that_is_said_explicitly(environ, bus):
    with receiving(environ, "google", ALLOW_UNSIGNED="google") as client:
        assert post(client).status_code == 200
    assert only(bus, "google").attributes["verified_by"] == "none"


@pytest.mark.parametrize("vector", vectors("gbm-x-goog-signature"), ids=lambda vector: vector["note"])
def test_agrees_with_signature_vectors_made_by_others(environ, bus, vector):
    path = FIXTURES / vector["body_file"]
    if not path.exists():
        pytest.skip("the vector's body is not among the shared fixtures")
    body = path.read_bytes()
    with receiving(environ, "google", GOOGLE_KEYS=vector["key"]) as client:
        assert post(client, body, vector["signature"]).status_code == 200
        for changed in one_byte_changed(body):
            assert post(client, changed, vector["signature"]).status_code == 403


def test_handshake_with_a_wrong_signature_is_refused(google):
    assert post(google, HANDSHAKE, "A" * 88).status_code == 403
