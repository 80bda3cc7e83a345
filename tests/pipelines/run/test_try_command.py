import datetime as dt
import hmac
import json

import pytest
from click.testing import CliRunner
from standardwebhooks import Webhook

from pipelines.run.preview import preview
from pipelines.run.sources_command import sources
from pipelines.sources import PARSERS

TEXT = """
[bot]
scheme = "hmac"
keep_headers = ["X-Kind"]
hmac = { header = "X-Sign", prefix = "v1=", signed = "{timestamp}.{body}", timestamp_header = "X-Time" }
[[bot.answers]]
field = "/type"
equals = "hello"
echo = { field = "/challenge" }
[bot.mapping]
contact = "item.from"
[[bot.mapping.message]]
when = "headers.\\"x-kind\\" == 'said'"
id = "item.id"
text = "item.words"
[[bot.mapping.message.attachments]]
url = "item.fil"
type = "'file'"
"""
SAID = json.dumps({"from": "u", "id": 7, "words": "Grüße", "file": "https://a.example/f"}).encode()
THEN = 1_795_372_200


@pytest.fixture
def run(tmp_path):
    (tmp_path / "sources.toml").write_text(TEXT)
    env = {"PARLEY_SOURCES_FILE": str(tmp_path / "sources.toml"), "PARLEY_SOURCE_BOT_SECRETS": "s"}

    def run(body, *arguments, name="bot", **more):
        result = CliRunner().invoke(sources, ["try", name, "-", *arguments], input=body, env=env | more)
        return result.exit_code, result.output

    return run


def signed(body, secret=b"s"):
    mac = hmac.digest(secret, f"{THEN}.".encode() + body, "sha256").hex()
    return ("--header", f"X-Sign: v1={mac}", "--header", f"X-Time: {THEN}", "--header", "X-Kind: said")


AT = ("--at", "2026-11-22T18:30:00Z")


def test_a_request_is_shown_with_proof_rows_texts_and_expressions(run):
    code, shown = run(SAID, *signed(SAID), *AT)
    assert code == 0
    assert shown.startswith("proof: accepted, hmac\n")
    for line in (
        "  normalized: 1 row",
        "    source_message_id        7",
        "    → text                   Grüße",
        '    → attachment             {"type": "file"}',
        "  message[0].text                  item.words",
        "                                   → Grüße",
        "  note: message[0].attachments[0].url: item has no fil, but file",
    ):
        assert line in shown.splitlines()
    assert "bot" not in PARSERS


def test_an_old_request_is_known_by_its_time(run):
    code, shown = run(SAID, *signed(SAID))
    assert code == 1
    assert "refused (403): only its time is too long ago: it was good at 2026-11-22T18:30:00+00:00" in shown
    assert "    → text                   Grüße" in shown


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "there is no header X-Sign"),
        (("--header", "X-Sing: v1=ab"), "there is no header X-Sign, but x-sing"),
        (("--header", "X-Sign: ab"), "there is no signature with the prefix 'v1='"),
        (("--header", "X-Sign: v1=ab"), "the timestamp '' is no time"),
        (signed(SAID, b"other"), "the signature is by another secret, over another body, or of another template"),
    ],
)
def test_what_is_refused_is_explained(run, arguments, why):
    code, shown = run(SAID, *arguments, *AT)
    assert code == 1
    assert f"proof: refused (403): {why}" in shown


STANDARD = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
def test_a_standard_webhook_that_is_refused_is_explained(run, tmp_path, prefix):
    (tmp_path / "sources.toml").write_text("[bot]")
    body = b'{"messages":[{"content":"x","from_contact":true,"source_sender_id":"u"}]}'
    secret = {"PARLEY_SOURCE_BOT_SECRETS": STANDARD}
    signature = Webhook(STANDARD).sign("m1", dt.datetime.fromtimestamp(THEN, dt.UTC), body.decode())
    headers = {f"{prefix}-id": "m1", f"{prefix}-timestamp": str(THEN), f"{prefix}-signature": signature}
    given = [each for name, value in headers.items() for each in ("--header", f"{name}: {value}")]
    assert run(body, *given, *AT, **secret)[0] == 0
    assert "only its time is too long ago: it was good at 2026-11-22" in run(body, *given, **secret)[1]
    assert "the signature is by another secret" in run(body + b" ", *given, *AT, **secret)[1]
    assert f"there is no header {prefix}-timestamp" in run(body, *given[:2], **secret)[1]


@pytest.mark.parametrize(
    ("table", "arguments", "answer"),
    [
        ("methods = ['GET']", (), "answer: 405: events come by GET, not by POST"),
        ("", ("--method", "GET"), "answer: 405: events come by POST, not by GET"),
        ("", ("--header", "Content-Encoding: br"), "answer: 415: br is none of"),
    ],
)
def test_what_the_receiver_does_not_take_is_said(run, tmp_path, table, arguments, answer):
    (tmp_path / "sources.toml").write_text(f"[bot]\nscheme = 'token'\ntoken = {{ query = 'key' }}\n{table}")
    token = "a-token-of-26-letters"
    code, shown = run(b"{}", "--query", f"key={token}", *arguments, PARLEY_SOURCE_BOT_SECRETS=token)
    assert (code, answer in shown, "rows" in shown) == (1, True, False)


def test_a_handshake_is_shown_with_its_answer(run):
    body = b'{"type": "hello", "challenge": "c1"}'
    code, shown = run(body, *signed(body), *AT)
    assert code == 0
    assert "answer: 200 c1 (a handshake, no event)" in shown
    assert "rows" not in shown


def test_a_secret_that_is_missing_is_said(run):
    code, shown = run(SAID, PARLEY_SOURCE_BOT_SECRETS="")
    assert code == 1
    assert "proof: not tried: PARLEY_SOURCE_BOT_SECRETS is not set" in shown


def test_a_misspelt_source_is_shown_beside_the_nearest(run):
    code, shown = run(SAID, name="bott")
    assert (code, "did you mean bot?" in shown) == (2, True)


def test_a_dead_letter_is_shown_and_exits_with_1(run):
    code, shown = run(b'{"id": 1}', *signed(b'{"id": 1}'), *AT)
    assert code == 1
    assert "contact gives nothing" in shown


FORM = """
[bot]
scheme = "token"
token = { field = "/token" }
[bot.mapping]
contact = "item.from"
[[bot.mapping.message]]
id = "item.id"
"""


@pytest.mark.parametrize("header", ["Content-Type", "content-type", None])
def test_a_form_is_one_however_its_content_type_is_written(run, tmp_path, header):
    (tmp_path / "sources.toml").write_text(FORM)
    body = b"token=a-token-of-26-letters&from=u&id=7"
    arguments = ("--header", f"{header}: application/x-www-form-urlencoded") if header else ()
    code, shown = run(body, *arguments, PARLEY_SOURCE_BOT_SECRETS="a-token-of-26-letters")
    assert (code, "proof: accepted, token\n" in shown, "source_message_id        7" in shown) == (0, True, True)
    assert ("note: read as a form" in shown) == (header is None)


def test_a_preview_is_for_a_person_to_read(tmp_path):
    (tmp_path / "sources.toml").write_text(TEXT)
    env = {"PARLEY_SOURCES_FILE": str(tmp_path / "sources.toml")}
    arguments = ["--source", "bot", "--attribute", "header.x-kind=said"]
    result = CliRunner().invoke(preview, arguments, input=SAID, env=env)
    assert result.exit_code == 0
    assert "  → text                   Grüße" in result.output.splitlines()
    assert result.output.startswith("normalized: 1 row\n")
