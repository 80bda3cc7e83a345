"""Proofs as the sources file declares them, with vectors that providers and standards have published."""

import base64
import gzip
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Request
from standardwebhooks import Webhook
from werkzeug.test import EnvironBuilder

from receiver.proofs import key_sets
from receiver.proofs.key_sets import KeysMissingError, RemoteKeys
from receiver.proofs.schemes import proof
from receiver.proofs.setting import Setting, seconds_of
from schemas.custom_sources import SourcesFile

NOW = 1_795_372_200
FORM = "application/x-www-form-urlencoded"
RSA = rsa.generate_private_key(65537, 2048)
PRIVATE = ed25519.Ed25519PrivateKey.generate()


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def request(body=b"{}", headers=(), query="", content_type="application/json", method="POST"):
    return Request(
        EnvironBuilder(
            path="/sources/s1",
            method=method,
            data=body,
            headers=dict(headers),
            query_string=query,
            content_type=content_type,
        ).get_environ()
    )


def prover(table, *secrets, now=NOW, urls=("https://p.example",), folder=None):
    definition = SourcesFile(f"[s1]\n{table}").definitions["s1"]
    setting = Setting(urls, *([folder] if folder else []))._replace(clock=lambda: now)
    return proof("s1", definition, secrets, setting)


def changes(body, headers):
    """Every byte of the body changed, and the first, middle and last of each header's value."""
    for at in range(len(body)):
        yield body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], headers
    for name, value in headers.items():
        for at in {0, len(value) // 2, len(value) - 1}:
            yield body, headers | {name: value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]}


def test_slacks_published_vector():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "X-Slack-Request-Timestamp": "1531420618",
    }
    is_proven = prover(
        "scheme='hmac'\nhmac={header='X-Slack-Signature', prefix='v0=', signed='v0:{timestamp}:{body}', "
        "timestamp_header='X-Slack-Request-Timestamp'}",
        "8f742231b10e8888abcd99yyyzzz85a5",
        now=1531420618,
    )
    assert is_proven(request(body, headers, content_type=FORM))
    for other, wrong in changes(body, headers):
        assert not is_proven(request(other, wrong, content_type=FORM))


def test_twilios_published_vector_over_the_url_and_the_fields_of_a_form():
    body = b"Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675309&From=%2B14158675309"
    table = "scheme='hmac'\nhmac={header='X-S', algorithm='sha1', encoding='base64', signed='{url}{fields}'}"
    is_proven = prover(table, "12345", urls=("https://other.example", "https://mycompany.com"))
    signature = hmac.digest(
        b"12345",
        b"https://mycompany.com/sources/s1?foo=1&bar=2CallSidCA1234567890ABCDECaller+14158675309Digits1234"
        b"From+14158675309To+18005551212",
        "sha1",
    )
    headers = {"X-S": base64.b64encode(signature).decode()}
    assert is_proven(request(body, headers, "foo=1&bar=2", FORM))
    assert not is_proven(request(body, headers, "foo=1&bar=3", FORM))
    # The same signature covers no JSON: its fields would be none.
    assert not is_proven(request(body, headers, "foo=1&bar=2", "application/json"))
    for other, wrong in changes(body, headers):
        assert not is_proven(request(other, wrong, "foo=1&bar=2", FORM))


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}])
@pytest.mark.parametrize("body", [b"text=forged" + b"&a" * 500, b"text=forged" + b"d" * 300_000])
def test_signature_of_an_empty_form_covers_none_that_cannot_be_taken_apart(body, headers):
    is_proven = prover("scheme='hmac'\nhmac={header='X-S', signed='{url}{fields}'}", "12345")
    headers = headers | {"X-S": hmac.digest(b"12345", b"https://p.example/sources/s1", "sha256").hex()}
    assert is_proven(request(b"", headers, content_type=FORM))
    assert not is_proven(request(body, headers, content_type=FORM))
    assert not is_proven(request(gzip.compress(body), headers, content_type=FORM))


@pytest.mark.parametrize("spelling", ["raw", "base64"])
def test_hash_of_the_body_is_signed_in_either_spelling(spelling):
    is_proven = prover(
        "scheme='hmac'\nhmac={header='X-S', encoding='base64', timestamp_header='X-T', "
        f'signed="""{{timestamp}}\n{{url}}\n{{body_sha256:{spelling}}}"""}}',
        "12345",
    )
    body, digest = b'{"a":1}', hashlib.sha256(b'{"a":1}').digest()
    told = {"raw": digest, "base64": base64.b64encode(digest)}[spelling]
    signature = hmac.digest(b"12345", f"{NOW}\nhttps://p.example/sources/s1\n".encode() + told, "sha256")
    headers = {"X-S": base64.b64encode(signature).decode(), "X-T": str(NOW)}
    assert is_proven(request(body, headers))
    for other, wrong in changes(body, headers):
        assert not is_proven(request(other, wrong))


def test_what_base64_spells_is_signed():
    is_proven = prover(
        "scheme='hmac'\nhmac={header='X-S', encoding='base64', algorithm='sha512', "
        "signed='{base64:/message/data}', body_unsigned=true}",
        "client-token",
    )
    said = json.dumps({"text": "ä" * 6000}).encode()
    headers = {"X-S": base64.b64encode(hmac.digest(b"client-token", said, "sha512")).decode()}
    assert is_proven(request(json.dumps({"message": {"data": base64.b64encode(said).decode()}}).encode(), headers))
    assert not is_proven(request(b'{"message":{"data":"e30="}}', headers))
    # Nothing is no message, whoever has signed it.
    headers = {"X-S": base64.b64encode(hmac.digest(b"client-token", b"", "sha512")).decode()}
    for data in ('""', '"%"', "null", "1" * 70_000):
        assert not is_proven(request(f'{{"message":{{"data":{data}}}}}'.encode(), headers))


def test_senders_that_do_not_sign_the_body_are_proven_where_the_file_says_so():
    is_proven = prover(
        "scheme='hmac'\nhmac={field='/signature/signature', timestamp_field='/signature/timestamp', "
        "signed='{timestamp}{field:/signature/token}', body_unsigned=true}",
        "key",
    )
    signed = {
        "timestamp": str(NOW),
        "token": "a1",
        "signature": hmac.digest(b"key", f"{NOW}a1".encode(), "sha256").hex(),
    }
    assert is_proven(request(json.dumps({"signature": signed, "event-data": {}}).encode()))
    assert not is_proven(request(json.dumps({"signature": signed | {"token": "a2"}}).encode()))
    assert not is_proven(request(json.dumps({"signature": signed | {"timestamp": str(NOW - 999)}}).encode()))


SVIX = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("name", ["svix", "webhook"])
def test_svixs_published_vector_under_either_name(name):
    body = b'{"test": 2432232314}'
    headers = {
        f"{name}-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        f"{name}-timestamp": "1614265330",
        f"{name}-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    is_proven = prover("", SVIX, now=1614265330 + 299)
    assert is_proven(request(body, headers))
    for other, wrong in changes(body, headers):
        assert not is_proven(request(other, wrong))
    assert not prover("", SVIX, now=1614265330 + 301)(request(body, headers))
    assert prover("tolerance_seconds=600", SVIX, now=1614265330 + 301)(request(body, headers))


def test_standard_webhooks_of_the_library_are_those_of_ours():
    import datetime as dt

    at = dt.datetime.fromtimestamp(NOW, dt.UTC)
    signed = Webhook(SVIX).sign("m", at, "ä")
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,AAAA {signed}"}
    assert prover("", SVIX)(request("ä".encode(), headers))


def test_githubs_published_vector():
    headers = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    is_proven = prover(
        "scheme='hmac'\nhmac={header='X-Hub-Signature-256', prefix='sha256='}", "It's a Secret to Everybody"
    )
    assert is_proven(request(b"Hello, World!", headers))
    assert is_proven(
        request(b"Hello, World!", {"X-Hub-Signature-256": "sha256=" + headers.popitem()[1][7:].upper()})
    )


def test_ed25519_by_the_vector_of_its_rfc():
    public = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    headers = {
        "X-S": "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    }
    is_proven = prover(
        f"scheme='signature'\nsignature={{algorithm='ed25519', header='X-S', public_keys=['{public}']}}"
    )
    assert is_proven(request(b"\xaf\x82", headers))
    for other, wrong in changes(b"\xaf\x82", headers):
        assert not is_proven(request(other, wrong))


RFC7515 = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
RFC7515_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="


def test_jwt_by_the_vector_of_its_rfc():
    table = "scheme='jwt'\njwt={algorithm='HS256', issuer='joe', key_encoding='base64'}"
    is_proven = prover(table, RFC7515_KEY, now=1300819380)
    assert is_proven(request(headers={"Authorization": f"Bearer {RFC7515}"}))
    for at in range(0, len(RFC7515) - 1, 7):
        wrong = RFC7515[:at] + chr(ord(RFC7515[at]) ^ 1) + RFC7515[at + 1 :]
        assert not is_proven(request(headers={"Authorization": f"Bearer {wrong}"}))
    late = prover(table, RFC7515_KEY, now=1300819380 + 61)
    assert not late(request(headers={"Authorization": f"Bearer {RFC7515}"}))


def test_basic_by_the_example_of_its_rfc():
    is_proven = prover("scheme='basic'", "Aladdin:open sesame")
    assert is_proven(request(headers={"Authorization": "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}))
    right = "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    for wrong in ("", "Basic", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZA==", f"Bearer {right}", f"A {right}"):
        assert not is_proven(request(headers={"Authorization": wrong}))


def test_a_token_has_sixteen_characters_at_least():
    shortest = "sixteen-letters-"
    assert prover("scheme='bearer'", shortest)(request(headers={"Authorization": f"Bearer {shortest}"}))
    with pytest.raises(ValueError, match="at least 16 characters"):
        prover("scheme='bearer'", shortest[:-1])


TOKEN = "a-token-of-more-than-16"


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ("header='X-T'", {"headers": {"X-T": TOKEN}}),
        ("header='Authorization', prefix='Token '", {"headers": {"Authorization": f"Token {TOKEN}"}}),
        ("query='key'", {"query": f"a=1&key={TOKEN}"}),
        ("field='/token'", {"body": json.dumps({"a": [1], "token": TOKEN}).encode()}),
        ("field='/a/b~1c'", {"body": json.dumps({"a": {"b/c": TOKEN}}).encode()}),
        ("field='/token'", {"body": f"a=1&token={TOKEN}".encode(), "content_type": FORM}),
    ],
)
def test_token_in_a_header_a_parameter_or_a_field(place, sent):
    is_proven = prover(f"scheme='token'\ntoken={{{place}}}", "another-token-of-ours", TOKEN)
    assert is_proven(request(**sent))
    wrong = json.loads(json.dumps(sent, default=bytes.decode).replace(TOKEN, TOKEN[:-1] + "x"))
    if "body" in wrong:
        wrong["body"] = wrong["body"].encode()
    assert not is_proven(request(**wrong))
    assert not is_proven(request())


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b"null", b'"token"', b'{"token":null}', b'{"token":{}}', b"\xff", b"[" * 9999]
)
def test_body_without_the_field_proves_nothing(body):
    is_proven = prover("scheme='token'\ntoken={field='/token'}", TOKEN)
    assert not is_proven(request(body))
    assert not is_proven(request(body, content_type=FORM))


def test_form_with_too_many_fields_is_not_taken_apart():
    is_proven = prover("scheme='token'\ntoken={field='/token'}", TOKEN)
    assert is_proven(request(f"token={TOKEN}".encode() + b"&a" * 499, content_type=FORM))
    assert not is_proven(request(f"token={TOKEN}".encode() + b"&a" * 500, content_type=FORM))
    assert not is_proven(request(f"token={TOKEN}&a=".encode() + b"a" * 300_000, content_type=FORM))


TIMES = {
    str(NOW): True,
    f"{NOW}000": True,
    "2026-11-22T18:30:00Z": True,
    "2026-11-22T19:30:00.5+01:00": True,
    str(NOW + 299): True,
    "2026-11-22T18:30:00": False,
    str(NOW + 301): False,
    str(NOW - 301): False,
    f"{NOW}.0": False,
    "soon": False,
    "": False,
    "²": False,
    "9" * 41: False,
    "0001-01-01T00:00:00Z": False,
}


@pytest.mark.parametrize("told", TIMES)
def test_times_in_seconds_milliseconds_and_iso_8601(told):
    is_proven = prover(
        "scheme='hmac'\nhmac={header='X-S', signed='{timestamp}{body}', timestamp_header='X-T'}", "s"
    )
    signature = hmac.digest(b"s", told.encode() + b"{}", "sha256").hex()
    assert (
        is_proven(request(headers={"X-S": signature, "X-T": told.encode("latin-1").decode("latin-1")}))
        is (TIMES[told])
    )


def test_time_that_is_not_signed_for_is_no_time():
    assert seconds_of("1969-12-31T23:59:59Z") == -1
    assert seconds_of("99999-12-31T23:59:59Z") is None


@pytest.mark.parametrize(
    ("encoding", "spelt"), [("text", "s€cret"), ("base64", "_wD-"), ("base64", "/wD+"), ("hex", "ff00FE")]
)
def test_keys_as_text_base64_and_hex(encoding, spelt):
    key = spelt.encode() if encoding == "text" else b"\xff\x00\xfe"
    signature = base64.b64encode(hmac.digest(key, b"{}", "sha512")).decode()
    table = (
        f"scheme='hmac'\nhmac={{header='X-S', algorithm='sha512', encoding='base64', key_encoding='{encoding}'}}"
    )
    assert prover(table, spelt)(request(headers={"X-S": signature}))
    url_safe = signature.rstrip("=").replace("+", "-").replace("/", "_")
    assert prover(table, spelt)(request(headers={"X-S": url_safe}))


@pytest.mark.parametrize(("encoding", "secret"), [("base64", "no base64!"), ("hex", "xy"), ("base64", "")])
def test_secret_that_is_not_of_its_encoding_stops_the_start(encoding, secret):
    with pytest.raises(ValueError, match="a secret is"):
        prover(f"scheme='hmac'\nhmac={{header='X-S', key_encoding='{encoding}'}}", secret)


def test_template_of_headers_method_path_query_and_a_field():
    table = """
        scheme = "hmac"
        [s1.hmac]
        query = "sig"
        signed = "{method} {path} {query:a} {header:X-A}\\n{field:/n/id}\\n{body}"
    """
    body = b'{"n":{"id":4912661846655238145}}'
    content = b"POST /sources/s1 b c d\n4912661846655238145\n" + body
    signature = hmac.digest(b"s", content, "sha256").hex()
    sent = {"headers": {"X-A": "d"}, "query": f"a=b+c&sig={signature}"}
    assert prover(table, "s")(request(body, **sent))
    assert not prover(table, "s")(request(body, headers={"X-A": "e"}, query=sent["query"]))


def test_signature_among_the_parts_of_a_header():
    signature = hmac.digest(b"s", f"{NOW}.{{}}".encode(), "sha256").hex()
    table = "scheme='hmac'\nhmac={header='X-S', part='v1', timestamp_part='t', signed='{timestamp}.{body}'}"
    for header in (f"t={NOW},v1={signature},v0=ab", f"t={NOW}, v1=ff, v1={signature}"):
        assert prover(table, "s")(request(headers={"X-S": header}))
    for header in (f"t={NOW},v0={signature}", f"v1={signature}", f"t={NOW},v1=", ",".join(["v1=a"] * 99)):
        assert not prover(table, "s")(request(headers={"X-S": header}))


def test_hash_with_the_secret_in_it():
    table = """
        scheme = "hash"
        [s1.hash]
        header = "X-ZEvent-Signature"
        prefix = "mac="
        signed = "{field:/app_id}{body}{timestamp}{secret}"
        timestamp_field = "/timestamp"
    """
    body = f'{{"app_id":"77","timestamp":"{NOW}000"}}'.encode()
    mac = hashlib.sha256(b"77" + body + f"{NOW}000".encode() + b"oa-secret").hexdigest()
    headers = {"X-ZEvent-Signature": f"mac={mac}"}
    assert prover(table, "old", "oa-secret")(request(body, headers))
    assert not prover(table, "old", "oa-secret", now=NOW + 301)(request(body, headers))
    for other, wrong in changes(body, headers):
        assert not prover(table, "oa-secret")(request(other, wrong))


SHA256 = hashes.SHA256()
SIGNERS = {
    "rsa-sha1": (RSA, lambda content: RSA.sign(content, padding.PKCS1v15(), hashes.SHA1())),
    "rsa-sha256": (RSA, lambda content: RSA.sign(content, padding.PKCS1v15(), SHA256)),
    "rsa-pss-sha256": (
        RSA,
        lambda content: RSA.sign(content, padding.PSS(padding.MGF1(SHA256), padding.PSS.MAX_LENGTH), SHA256),
    ),
    "ed25519": (PRIVATE, PRIVATE.sign),
}


@pytest.mark.parametrize("algorithm", SIGNERS)
@pytest.mark.parametrize("kept", ["public_keys", "keys_file", "secrets"])
def test_signature_with_a_private_key(algorithm, kept, tmp_path):
    key, sign = SIGNERS[algorithm]
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "k.pem").write_text(pem(RSA if key is PRIVATE else PRIVATE) + pem(key))
    where, secrets = {
        "public_keys": (f'public_keys=["""{pem(key)}"""]', []),
        "keys_file": ("keys_file='k.pem'", []),
        "secrets": ("", [base64.b64encode(der).decode()]),
    }[kept]
    table = (
        f"scheme='signature'\n[s1.signature]\nalgorithm='{algorithm}'\nheader='X-S'\nencoding='base64'\n{where}"
    )
    if kept == "keys_file":
        with pytest.raises(ValueError, match=f"a public key is not one for {algorithm}"):
            prover(table, folder=tmp_path)
        (tmp_path / "k.pem").write_text(pem(key))
    is_proven = prover(table, *secrets, folder=tmp_path)
    headers = {"X-S": base64.b64encode(sign(b'{"a":1}')).decode()}
    assert is_proven(request(b'{"a":1}', headers))
    for other, wrong in changes(b'{"a":1}', headers):
        assert not is_proven(request(other, wrong)) or wrong["X-S"][:-1] == headers["X-S"][:-1]


@pytest.mark.parametrize(
    "text", ["nonsense!", "abcd", "AAAA", "-----BEGIN PUBLIC KEY-----\nAA\n-----END PUBLIC KEY"]
)
def test_key_that_cannot_be_read_stops_the_start(text):
    with pytest.raises(ValueError, match="a public key"):
        prover(f"scheme='signature'\nsignature={{algorithm='ed25519', header='X', public_keys=['''{text}''']}}")


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f"])
def test_key_by_which_anybody_could_sign_is_refused(point, sign):
    raw = bytes.fromhex(point)
    text = bytes([*raw[:-1], raw[-1] | sign]).hex()
    with pytest.raises(ValueError, match="it is no one's"):
        prover(f"scheme='signature'\nsignature={{algorithm='ed25519', header='X', public_keys=['{text}']}}")


def test_key_of_too_few_bits_proves_nothing():
    weak = rsa.generate_private_key(65537, 1024).public_key()
    assert weak.key_size == 1024
    with pytest.raises(ValueError, match="a public key is not one for ed25519"):
        prover(
            "scheme='signature'\n[s1.signature]\nalgorithm='ed25519'\nheader='X'\n"
            f'public_keys=["""{pem(ec.generate_private_key(ec.SECP256R1()))}"""]'
        )


SHARED = "a-shared-secret-of-32-characters"
JWT = "scheme='jwt'\n[s1.jwt]\nalgorithm='HS256'\n"


def bearing(claims, key=SHARED, algorithm="HS256", body=b"{}", query="", **headers):
    token = jwt.encode(claims, key, algorithm, headers=headers)
    return request(body, {"Authorization": f"Bearer {token}"}, query)


def sha256(text):
    return hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    ("table", "claims", "is_good"),
    [
        ("", {"iat": NOW}, True),
        ("", {"iat": NOW - 300}, True),
        ("", {"iat": NOW - 301}, False),
        ("", {"iat": NOW + 61}, False),
        ("", {"exp": NOW + 1, "iat": NOW - 9999}, True),
        ("", {"exp": NOW - 61}, False),
        ("", {"exp": NOW + 1, "nbf": NOW + 61}, False),
        ("", {}, False),
        ("", {"exp": "soon"}, False),
        ("issuer='Vonage'", {"iat": NOW, "iss": "Vonage"}, True),
        ("issuer='Vonage'", {"iat": NOW, "iss": "vonage"}, False),
        ("issuer='Vonage'", {"iat": NOW}, False),
        ("audience='42'", {"iat": NOW, "aud": ["1", "42"]}, True),
        ("audience='42'", {"iat": NOW, "aud": "43"}, False),
        ("audience='42'", {"iat": NOW}, False),
        ("claims={email='a@b.example'}", {"iat": NOW, "email": "a@b.example"}, True),
        ("claims={email='a@b.example'}", {"iat": NOW, "email": ["a@b.example"]}, False),
        ("body_hash='payload_hash'", {"iat": NOW, "payload_hash": sha256(b"{}")}, True),
        ("body_hash='payload_hash'", {"iat": NOW, "payload_hash": sha256(b"{ }")}, False),
        ("body_hash='payload_hash'", {"iat": NOW}, False),
        ("url_hash='u'", {"iat": NOW, "u": sha256(b"https://p.example/sources/s1?a=1")}, True),
        ("url_hash='u'", {"iat": NOW, "u": sha256(b"https://p.example/sources/s1")}, False),
    ],
)
def test_jwt_with_claims(table, claims, is_good):
    assert prover(JWT + table, SHARED)(bearing(claims, query="a=1")) is is_good


def test_jwt_that_is_not_genuine_is_refused():
    is_proven = prover(JWT, "old-secret-of-16-characters", SHARED)
    good = {"iat": NOW}
    assert is_proven(bearing(good))
    assert not is_proven(bearing(good, "other-secret-of-32-characters-xx"))
    assert not is_proven(bearing(good, SHARED * 2, "HS512"))
    unsigned = jwt.encode(good, None, "none")
    for token in (unsigned, "", "a.b.c", "Bearer", "é", "." * 9000, f"{jwt.encode(good, SHARED, 'HS256')}x"):
        assert not is_proven(request(headers={"Authorization": f"Bearer {token}"}))


def test_public_key_is_no_shared_secret():
    """The oldest trick: an HS256 token that is signed with the text of the public key."""
    is_proven = prover(f'scheme="jwt"\n[s1.jwt]\nalgorithm="RS256"\npublic_keys=["""{pem(RSA)}"""]')
    assert is_proven(bearing({"iat": NOW}, RSA, "RS256"))
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    content = header + b"." + base64.urlsafe_b64encode(json.dumps({"iat": NOW}).encode()).rstrip(b"=")
    forged = (
        content + b"." + base64.urlsafe_b64encode(hmac.digest(pem(RSA).encode(), content, "sha256")).rstrip(b"=")
    )
    assert not is_proven(request(headers={"Authorization": f"Bearer {forged.decode()}"}))


def jwks(**keys):
    made = []
    for kid, key in keys.items():
        made.append(json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    return json.dumps({"keys": made})


def test_keys_of_a_file_are_known_by_their_names(tmp_path):
    other = rsa.generate_private_key(65537, 2048)
    (tmp_path / "keys.json").write_text(jwks(one=other, two=RSA))
    is_proven = prover("scheme='jwt'\njwt={algorithm='RS256', keys_file='keys.json'}", folder=tmp_path)
    assert is_proven(bearing({"iat": NOW}, RSA, "RS256", kid="two"))
    assert is_proven(bearing({"iat": NOW}, RSA, "RS256"))
    assert not is_proven(bearing({"iat": NOW}, RSA, "RS256", kid="one"))
    assert not is_proven(bearing({"iat": NOW}, RSA, "RS256", kid="three"))


@pytest.mark.parametrize("text", ["{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}', "{", '{"keys":3}'])
def test_file_without_public_keys_stops_the_start(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ValueError, match="JWKS"):
        prover("scheme='jwt'\njwt={algorithm='RS256', keys_file='keys.json'}", folder=tmp_path)
    with pytest.raises(ValueError, match="keys_file cannot be read"):
        prover("scheme='jwt'\njwt={algorithm='RS256', keys_file='none.json'}", folder=tmp_path)


def until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("not in time")


def keys_in(remote, kid):
    try:
        return remote.find(kid)
    except KeysMissingError:
        return None


def test_published_keys_are_fetched_beside_the_requests(monkeypatch):
    monkeypatch.setattr(key_sets, "RETRY_SECONDS", 0.05)
    answers = [OSError("down"), jwks(one=RSA), jwks(one=RSA, two=RSA)]
    asked = []

    def fetch(url):
        asked.append(url)
        answer = answers.pop(0) if answers else jwks(two=RSA)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remote = RemoteKeys("https://keys.example", fetch)
    assert not asked
    with pytest.raises(KeysMissingError):
        remote.find("one")
    until(lambda: keys_in(remote, "one"))
    # An unknown name lets the keys be fetched again, which its sender has to wait for.
    until(lambda: keys_in(remote, "two"))
    assert asked[:3] == ["https://keys.example"] * 3


def test_unknown_key_is_refused_once_the_keys_are_fresh(monkeypatch):
    monkeypatch.setattr(key_sets, "RETRY_SECONDS", 30.0)
    remote = RemoteKeys("https://keys.example", lambda url: jwks(one=RSA))
    until(lambda: keys_in(remote, None))
    assert remote.find("nobody") == []


def test_fetch_takes_no_redirect_and_no_endless_answer():
    import http.server
    import threading
    import urllib.error

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/keys")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * (300_000 if self.path == "/long" else 3))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert key_sets.fetched(f"{url}/keys") == "xxx"
            with pytest.raises(urllib.error.HTTPError) as caught:
                key_sets.fetched(f"{url}/moved")
            caught.value.close()
            with pytest.raises(ValueError, match="more than"):
                key_sets.fetched(f"{url}/long")
        finally:
            server.shutdown()
