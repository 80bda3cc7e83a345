import base64
import datetime as dt
import gzip
import hmac
import io
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from endpoints import one_byte_changed, only, published, receiving
from standardwebhooks import Webhook
from werkzeug.exceptions import RequestTimeout

from pipelines.sources import registry
from receiver.app import create_app
from receiver.config import ConfigError
from receiver.metrics import REJECTED
from schemas.custom_sources import SourcesFileError
from schemas.recipes import text as recipe

BODY = '{"messages":[{"content":"ä"}]}'.encode()
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
TOKEN = "0123456789abcdef-token"
BOT = """
[bot]
scheme = "hmac"
keep_headers = ["X-Bot-Event"]
[bot.hmac]
header = "X-Bot-Signature"
prefix = "v0="
encoding = "base64"
algorithm = "sha512"
signed = "v0:{timestamp}:{body}"
timestamp_header = "X-Bot-Timestamp"
"""


@pytest.fixture
def sources_file(tmp_path):
    def write(text):
        path = tmp_path / "sources.toml"
        path.write_text(text)
        return str(path)

    return write


def standard(body=BODY, secret=SECRET, at=None, message_id="msg_1"):
    at = at or dt.datetime.now(dt.UTC)
    signature = Webhook(secret).sign(message_id, at, body.decode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,AAAA {signature}",
    }


def post(client, path="/sources/shop", body=BODY, headers=()):
    return client.post(path, data=body, headers=dict(headers), content_type="application/json")


@pytest.fixture
def shop(environ, bus, sources_file):
    more = {"SOURCES_FILE": sources_file("[shop]"), "SOURCE_SHOP_SECRETS": f"{SECRET},whsec_b3RoZXI="}
    with receiving(environ, "shop", **more) as client:
        yield client


@pytest.mark.parametrize("secret", [SECRET, "whsec_b3RoZXI="])
def test_standard_webhook_is_taken_byte_for_byte(shop, bus, secret):
    assert post(shop, headers=standard(secret=secret)).status_code == 200
    event = only(bus, "shop")
    assert (event.data, event.source) == (BODY, "shop")
    assert event.attributes["verified_by"] == "standard-webhooks"
    assert not [name for name in event.attributes if "webhook" in name]


def test_standard_webhook_that_is_not_genuine_is_refused(shop, bus):
    headers = standard()
    for body in one_byte_changed(BODY):
        assert post(shop, body=body, headers=headers).status_code == 403
    old = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    early = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=6)
    for wrong in (
        {},
        standard(at=old),
        standard(at=early),
        standard(secret="whsec_d3Jvbmc="),
        headers | {"webhook-id": "msg_2"},
        headers | {"webhook-signature": "nonsense"},
        headers | {"webhook-signature": "v1,é"},
        headers | {"webhook-timestamp": "soon"},
    ):
        assert post(shop, headers=wrong).status_code == 403
    assert post(shop, body=b"\xff", headers=headers).status_code == 403
    assert not published(bus, "shop")


def test_other_methods_and_names_are_not_there(shop):
    assert shop.get("/sources/shop").status_code == 405
    assert post(shop, "/sources/other").status_code == 404
    assert post(shop, "/sources/shop/").status_code == 404


def bot_headers(body=BODY, secret="bot-secret", at=None):
    stamp = str(int(time.time()) if at is None else at)
    digest = hmac.digest(secret.encode(), f"v0:{stamp}:".encode() + body, "sha512")
    return {
        "X-Bot-Signature": "v0=" + base64.b64encode(digest).decode(),
        "X-Bot-Timestamp": stamp,
        "X-Bot-Event": "READ",
    }


@pytest.fixture
def bot(environ, bus, sources_file):
    more = {"SOURCES_FILE": sources_file(BOT), "SOURCE_BOT_SECRETS": "bot-secret"}
    with receiving(environ, "bot", **more) as client:
        yield client


def test_hmac_as_configured_is_taken_with_the_headers_to_keep(bot, bus):
    assert post(bot, "/sources/bot", headers=bot_headers()).status_code == 200
    event = only(bus, "bot")
    assert (event.data, event.attributes["verified_by"]) == (BODY, "hmac")
    assert event.attributes["header.x-bot-event"] == "READ"


def test_hmac_takes_timestamps_in_milliseconds(bot):
    assert post(bot, "/sources/bot", headers=bot_headers(at=int(time.time() * 1000))).status_code == 200


def test_hmac_that_is_not_genuine_is_refused(bot, bus):
    now = int(time.time())
    headers = bot_headers(at=now)
    for body in one_byte_changed(BODY):
        assert post(bot, "/sources/bot", body, headers).status_code == 403
    for wrong in (
        {},
        bot_headers(at=now - 400),
        bot_headers(at=now + 400),
        bot_headers(at="{body}"),
        bot_headers(at="-1"),
        bot_headers(at="9" * 30),
        bot_headers(secret="other"),
        headers | {"X-Bot-Timestamp": str(now - 1)},
        headers | {"X-Bot-Signature": headers["X-Bot-Signature"].removeprefix("v0=")},
    ):
        assert post(bot, "/sources/bot", headers=wrong).status_code == 403
    assert not published(bus, "bot")


def test_hmac_in_hexadecimal_over_the_body_alone_is_taken(environ, bus, sources_file):
    text = "[viber]\nscheme = 'hmac'\nhmac = { header = 'X-Viber-Content-Signature' }"
    more = {"SOURCES_FILE": sources_file(text), "SOURCE_VIBER_SECRETS": "s1"}
    with receiving(environ, "viber", **more) as client:
        signature = hmac.digest(b"s1", BODY, "sha256").hex()
        headers = {"X-Viber-Content-Signature": signature}
        assert post(client, "/sources/viber", headers=headers).status_code == 200
        for body in one_byte_changed(BODY):
            assert post(client, "/sources/viber", body, headers).status_code == 403


@pytest.fixture
def desks(environ, bus, sources_file):
    text = "[desk]\nscheme = 'bearer'\n[help-desk]\nscheme = 'bearer'"
    more = {
        "SOURCES_FILE": sources_file(text),
        "SOURCE_DESK_SECRETS": TOKEN,
        "SOURCE_HELP_DESK_SECRETS": "another-token-of-16",
    }
    with receiving(environ, "desk", "help-desk", **more) as client:
        yield client


@pytest.mark.parametrize("path", ["/sources/desk", "/sources.webhook"])
def test_bearer_token_is_taken_and_kept_nowhere(desks, bus, path):
    assert post(desks, path, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    event = only(bus, "desk")
    assert event.attributes["verified_by"] == "bearer"
    assert not [value for value in event.attributes.values() if TOKEN in value]


def test_token_tells_the_source_at_airys_endpoint(desks, bus):
    headers = {"Authorization": "Bearer another-token-of-16"}
    assert post(desks, "/sources.webhook", headers=headers).status_code == 200
    assert only(bus, "help-desk").source == "help-desk"
    assert post(desks, "/sources/desk", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/sources/desk", "/sources.webhook"])
@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_wrong_bearer_token_is_refused(desks, bus, path, value):
    headers = {} if value is None else {"Authorization": value}
    assert post(desks, path, headers=headers).status_code == 403
    assert not published(bus, "desk")


def test_source_without_proof_is_taken_where_the_file_says_so(environ, bus, sources_file):
    with receiving(environ, "open", SOURCES_FILE=sources_file("[open]\nscheme = 'none'")) as client:
        assert post(client, "/sources/open").status_code == 200
        assert only(bus, "open").attributes["verified_by"] == "none"
        assert post(client, "/sources.webhook").status_code == 403


def test_get_is_taken_where_the_file_says_so_without_its_secret(environ, bus, sources_file):
    text = "[sms]\nmethods=['GET']\nscheme='token'\ntoken={query='api key'}"
    with receiving(environ, "sms", SOURCES_FILE=sources_file(text), SOURCE_SMS_SECRETS=TOKEN) as client:
        assert client.get(f"/sources/sms?from=1&api+key={TOKEN}&text=%C3%A4").status_code == 200
        assert client.get(f"/sources/sms?from=1&api%20key={TOKEN}x").status_code == 403
        assert post(client, "/sources/sms").status_code == 405
    event = only(bus, "sms")
    assert (event.data, event.query, event.attributes["verified_by"]) == (b"", "from=1&text=%C3%A4", "token")
    assert not [value for value in event.attributes.values() if TOKEN in value]


def test_public_keys_of_the_file_need_no_secret(environ, bus, sources_file):
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    text = f"""
        [disco]
        scheme = "signature"
        [disco.signature]
        algorithm = "ed25519"
        header = "X-Signature-Ed25519"
        timestamp_header = "X-Signature-Timestamp"
        signed = "{{timestamp}}{{body}}"
        public_keys = ["{public}"]
    """
    with receiving(environ, "disco", SOURCES_FILE=sources_file(text)) as client:
        now = str(int(time.time()))
        signature = key.sign(now.encode() + BODY).hex()
        headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": now}
        assert post(client, "/sources/disco", headers=headers).status_code == 200
        for body in one_byte_changed(BODY):
            assert post(client, "/sources/disco", body, headers).status_code == 403
    assert only(bus, "disco").attributes["verified_by"] == "signature"


def test_sender_that_wants_401_hears_it_of_a_wrong_signature(environ, bus, sources_file):
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    with receiving(
        environ, "discord", SOURCES_FILE=sources_file(recipe("discord").replace("0" * 64, public))
    ) as client:
        headers = {"X-Signature-Ed25519": "00" * 64, "X-Signature-Timestamp": str(int(time.time()))}
        assert post(client, "/sources/discord", b'{"type": 1}', headers).status_code == 401
    assert not published(bus, "discord")


def rejected(source: str, reason: str) -> float:
    (family,) = REJECTED.collect()
    labels = {"source": source, "reason": reason}
    return sum(each.value for each in family.samples if each.labels == labels and each.name.endswith("_total"))


def test_password_is_asked_for(environ, bus, sources_file):
    text = "[desk]\nscheme='basic'"
    with receiving(
        environ, "desk", SOURCES_FILE=sources_file(text), SOURCE_DESK_SECRETS="desk:open-sesame"
    ) as client:
        before = rejected("desk", "asked for credentials"), rejected("desk", "not proven by basic")
        refused = post(client, "/sources/desk")
        assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Basic ")
        wrong = {"Authorization": "Basic " + base64.b64encode(b"desk:closed-sesame").decode()}
        assert post(client, "/sources/desk", headers=wrong).status_code == 401
        # Who comes without a password each time first is no sender whose secret is wrong.
        after = rejected("desk", "asked for credentials"), rejected("desk", "not proven by basic")
        assert after == (before[0] + 1, before[1] + 1)
        given = {"Authorization": "Basic " + base64.b64encode(b"desk:open-sesame").decode()}
        assert post(client, "/sources/desk", headers=given).status_code == 200


def test_sender_whose_keys_have_not_come_is_to_try_again(environ, bus, sources_file):
    # Nobody listens there.
    url = "http://127.0.0.1:9/keys"
    text = f"[space]\nscheme='jwt'\njwt={{algorithm='RS256', audience='1', keys_url='{url}'}}"
    with receiving(environ, "space", SOURCES_FILE=sources_file(text)) as client:
        token = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"
        answer = post(client, "/sources/space", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert post(client, "/sources/space").status_code == 403
    assert not published(bus, "space")


CODE = """
class Odd:
    def parse(self, event, lineage):
        return None

    def verify(self, headers, body, secrets):
        if headers["x-odd"] == "stumble":
            raise RuntimeError
        return headers["x-odd"] in secrets and body != b""

class Deaf:
    def parse(self, event, lineage):
        return None
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    metadata = tmp_path / "odd_source-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-source\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[parley.sources]\nodd = odd_source:Odd\ndeaf = odd_source:Deaf\n")
    (tmp_path / "odd_source.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_source", raising=False)


def test_code_of_an_installed_package_proves_its_source(environ, bus, sources_file, installed):
    more = {"SOURCES_FILE": sources_file("[odd]\nscheme = 'code'"), "SOURCE_ODD_SECRETS": "s1,s2"}
    with receiving(environ, "odd", **more) as client:
        assert post(client, "/sources/odd", headers={"X-Odd": "s2"}).status_code == 200
        for wrong in ({}, {"X-Odd": "s3"}, {"X-Odd": "stumble"}):
            assert post(client, "/sources/odd", headers=wrong).status_code == 403
    assert only(bus, "odd").attributes["verified_by"] == "code"


def test_code_may_prove_what_a_mapping_reads(installed):
    mapped = "[odd]\nscheme='code'\n[odd.mapping]\ncontact='item.c'\n[[odd.mapping.message]]\nid='item.id'"
    parse = registry.parsers(mapped)["odd"]
    assert parse.__self__.__class__.__name__ == "Mapped"
    with pytest.raises(SourcesFileError, match="odd_source:Odd reads this source"):
        registry.parsers(mapped.replace("code", "bearer"))


class TooSlow(io.BytesIO):
    def readinto(self, buffer):
        raise RequestTimeout


def test_a_body_that_does_not_come_is_no_forgery(environ, bus, sources_file, installed):
    text = "[odd]\nscheme = 'code'\n[shop]"
    more = {"SOURCE_ODD_SECRETS": "s1", "SOURCE_SHOP_SECRETS": SECRET}
    with receiving(environ, "odd", SOURCES_FILE=sources_file(text), **more) as client:
        for source, headers in (("odd", {"X-Odd": "s1"}), ("shop", standard())):
            slow = {"input_stream": TooSlow(BODY)}
            assert client.post(f"/sources/{source}", headers=headers, **slow).status_code == 408


def test_registered_source_needs_no_table_but_secrets(environ, bus, installed):
    assert post(create_app(environ).test_client(), "/sources/odd").status_code == 404
    with receiving(environ, "odd", SOURCE_ODD_SECRETS=SECRET) as client:
        assert post(client, "/sources/odd", headers=standard()).status_code == 200


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        ("[shop]", {}, "PARLEY_SOURCE_SHOP_SECRETS is not set"),
        (
            "[shop]",
            {"SOURCE_SHOP_SECRETS": "whsec_not base64, é"},
            "PARLEY_SOURCE_SHOP_SECRETS: a secret is not whsec_",
        ),
        ("[shop]\nscheme = 'none'", {"SOURCE_SHOP_SECRETS": "x"}, 'is set, but the scheme is "none"'),
        ("[shop]\nscheme = 'bearer'", {"SOURCE_SHOP_SECRETS": "short"}, "at least 16 characters"),
        ("[shop]\nscheme = 'code'", {"SOURCE_SHOP_SECRETS": "x"}, "no installed package registers shop"),
        (
            "[deaf]\nscheme = 'code'",
            {"SOURCE_DEAF_SECRETS": "x"},
            "odd_source:Deaf cannot be used: AttributeError",
        ),
        (
            "[shop]\nscheme='hmac'\nhmac={header='X', signed='{url}{body}'}",
            {"SOURCE_SHOP_SECRETS": "x"},
            "PARLEY_PUBLIC_URL is not set: shop signs the URL",
        ),
        ("[shop]\nscheme='basic'", {"SOURCE_SHOP_SECRETS": "no-colon-in-this-one"}, "a secret is user:password"),
        (
            "[shop]\nscheme='jwt'\njwt={algorithm='HS256'}",
            {"SOURCE_SHOP_SECRETS": "short"},
            "PARLEY_SOURCE_SHOP_SECRETS: a secret for HS256 has at least 16 bytes",
        ),
        (
            "[shop]\nscheme='signature'\nsignature={algorithm='ed25519', header='X', public_keys=['aa']}",
            {"SOURCE_SHOP_SECRETS": "x"},
            "is set, but the sources file has the public keys",
        ),
        ("\n[shop]\nscheme = 'hmak'", {}, "line 3: shop.scheme"),
        (
            "[a1]\nscheme = 'bearer'\n[b1]\nscheme = 'bearer'",
            {"SOURCE_A1_SECRETS": TOKEN, "SOURCE_B1_SECRETS": TOKEN},
            "PARLEY_SOURCE_B1_SECRETS is a token of a1 too",
        ),
    ],
)
def test_wrong_configuration_stops_the_start_and_says_where(environ, sources_file, installed, text, more, problem):
    variables = {f"PARLEY_{name}": value for name, value in more.items()}
    with pytest.raises(ConfigError) as caught:
        create_app(environ | variables | {"PARLEY_SOURCES_FILE": sources_file(text)})
    assert problem in str(caught.value)


def test_file_that_is_not_there_stops_the_start(environ, tmp_path):
    with pytest.raises(ConfigError, match="PARLEY_SOURCES_FILE cannot be read"):
        create_app(environ | {"PARLEY_SOURCES_FILE": str(tmp_path / "none.toml")})


def packed(environ, sources_file, signed):
    text = f"[zip]\nscheme='hmac'\nhmac={{header='X-S', signed='{signed}'}}"
    return environ, {"SOURCES_FILE": sources_file(text), "SOURCE_ZIP_SECRETS": "s"}


@pytest.mark.parametrize("signed", ["{body}", "{plain_body}"])
def test_compressed_body_is_kept_as_it_came_and_signed_in_either_form(environ, bus, sources_file, signed):
    environ, more = packed(environ, sources_file, signed)
    sent = gzip.compress(BODY)
    with receiving(environ, "zip", **more) as client:
        for content, encoding, status in (
            (sent if signed == "{body}" else BODY, "gzip", 200),
            (BODY if signed == "{body}" else sent, "gzip", 403),
            (sent if signed == "{body}" else b"", "br", 415 if signed == "{body}" else 403),
        ):
            headers = {"X-S": hmac.digest(b"s", content, "sha256").hex(), "Content-Encoding": encoding}
            assert post(client, "/sources/zip", sent, headers).status_code == status
    event = only(bus, "zip")
    assert (event.data, event.attributes["content_encoding"]) == (sent, "gzip")


def test_bomb_is_not_proven(environ, bus, sources_file):
    environ, more = packed(environ, sources_file, "{plain_body}")
    bomb = gzip.compress(b"0" * 5_000_000)
    with receiving(environ, "zip", **more) as client:
        headers = {"X-S": hmac.digest(b"s", b"", "sha256").hex(), "Content-Encoding": "gzip"}
        assert post(client, "/sources/zip", bomb, headers).status_code == 403


def test_body_that_is_not_compressed_has_no_encoding(shop, bus):
    assert post(shop, headers=standard() | {"Content-Encoding": "identity"}).status_code == 200
    assert "content_encoding" not in only(bus, "shop").attributes
