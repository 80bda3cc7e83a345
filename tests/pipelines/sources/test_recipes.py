"""Every recipe: its proof, its handshake, and what its provider's payloads become."""

import base64
import hashlib
import hmac
import json
import sys
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from normalized import normalized
from recipe_payloads import CHAT, FORM, JOINED, OF_CONVERSATION, PAYLOADS, TEAMS, VIBER, ZALO, telnyx

from pipelines.run.shown import filled
from pipelines.sources import PARSERS, registry
from receiver.proofs.schemes import proof
from receiver.proofs.setting import Setting
from receiver.web.answers import Answers
from receiver.web.captured import Captured
from schemas.custom_sources import SourcesFile
from schemas.recipes import names, text

URL = "https://p.example"
SECRET = "a-secret-of-more-than-32-characters-for-all"
PRIVATE = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
NOW = ""
"""The moment of a test: tokens and timestamps are good for a minute, and a test may run long after it was read."""
KAKAO_ANSWER = {"version": "2.0", "template": {"outputs": []}}


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "NOW", str(int(time.time())))


def hex_of(*parts, algorithm="sha256"):
    return hmac.digest(SECRET.encode(), b"".join(parts), algorithm).hex()


def base64_of(*parts):
    return base64.b64encode(hmac.digest(SECRET.encode(), b"".join(parts), "sha256")).decode()


def token(claims, key=SECRET, algorithm="HS256"):
    return jwt.encode({"iat": int(NOW), "exp": int(NOW) + 60} | claims, key, algorithm)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def zalo(body):
    sent = json.loads(body)
    signed = f"{sent['app_id']}".encode() + body + f"{sent['timestamp']}{SECRET}".encode()
    return {"X-ZEvent-Signature": "mac=" + sha256(signed)}


def bird(body):
    url = f"{URL}/sources/messagebird".encode()
    claims = {"iss": "MessageBird", "payload_hash": sha256(body), "url_hash": sha256(url)}
    return {"MessageBird-Signature-JWT": token(claims)}


def rcs_signature(body):
    said = base64.b64decode(json.loads(body)["message"]["data"])
    return base64.b64encode(hmac.digest(SECRET.encode(), said, "sha512")).decode()


RS256 = {
    "teams": {"iss": "https://api.botframework.com", "aud": "00000000-0000-0000-0000-000000000000"},
    "google-chat": {"iss": "chat@system.gserviceaccount.com", "aud": "000000000000"},
}
SIGNED = {
    "telegram": lambda body: {"X-Telegram-Bot-Api-Secret-Token": SECRET},
    "line": lambda body: {"X-Line-Signature": base64_of(body)},
    "viber": lambda body: {"X-Viber-Content-Signature": hex_of(body)},
    "slack": lambda body: {
        "X-Slack-Signature": "v0=" + hex_of(f"v0:{NOW}:".encode(), body),
        "X-Slack-Request-Timestamp": NOW,
    },
    "discord": lambda body: {
        "X-Signature-Ed25519": PRIVATE.sign(NOW.encode() + body).hex(),
        "X-Signature-Timestamp": NOW,
    },
    "intercom": lambda body: {"X-Hub-Signature": "sha1=" + hex_of(body, algorithm="sha1")},
    "zendesk": lambda body: {"X-API-Key": SECRET},
    "vonage": lambda body: {"Authorization": "Bearer " + token({"iss": "Vonage", "payload_hash": sha256(body)})},
    "messagebird": bird,
    "front": lambda body: {
        "X-Front-Signature": base64_of(f"{NOW}123:".encode(), body),
        "X-Front-Request-Timestamp": f"{NOW}123",
    },
    "zalo": zalo,
    "kakao": lambda body: {"X-Parley-Token": SECRET},
    "gupshup": lambda body: {},
    "infobip": lambda body: {"Authorization": "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode()},
    "teams": lambda body: {"Authorization": "Bearer " + token(RS256["teams"], RSA, "RS256")},
    "google-chat": lambda body: {"Authorization": "Bearer " + token(RS256["google-chat"], RSA, "RS256")},
    "mattermost": lambda body: {},
    "crisp": lambda body: {
        "X-Crisp-Signature": hex_of(f"[{NOW}123;".encode(), body, b"]"),
        "X-Crisp-Request-Timestamp": f"{NOW}123",
    },
    "chatwoot": lambda body: {
        "X-Chatwoot-Signature": "sha256=" + hex_of(f"{NOW}.".encode(), body),
        "X-Chatwoot-Timestamp": NOW,
    },
    "freshchat": lambda body: {
        "X-Freshchat-Signature": base64.b64encode(RSA.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
    },
}
SIGNED |= {
    "rcs": lambda body: {"X-Goog-Signature": rcs_signature(body)},
    "telnyx": lambda body: {
        "Telnyx-Signature-Ed25519": base64.b64encode(PRIVATE.sign(NOW.encode() + b"|" + body)).decode(),
        "Telnyx-Timestamp": NOW,
    },
}
BODY_IS_SIGNED = set(SIGNED) - {
    "telegram", "zendesk", "kakao", "gupshup", "infobip", "teams", "google-chat", "mattermost"
}  # fmt: skip
QUERIES = {"gupshup": f"token={SECRET}"}
SECRETS = {"mattermost": "a-token-of-26-letters-here", "infobip": f"u:{SECRET}"}


def recipe(name):
    """The recipe with keys of ours, as an operator puts in the own ones."""
    der = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    own = text(name).replace("0" * 64, PRIVATE.public_key().public_bytes_raw().hex())
    own = own.replace('["..."]', f'["{base64.b64encode(der).decode()}"]')
    if name in RS256:
        # Their keys are at an address, which tests do not call.
        lines = [line for line in own.splitlines() if not line.startswith("keys_url")]
        at = next(number for number, line in enumerate(lines) if line.startswith("audience"))
        lines.insert(at + 1, f'public_keys = ["{base64.b64encode(der).decode()}"]')
        own = "\n".join(lines)
    return own


def request(name, body, headers=None):
    kind = "application/json" if body[:1] in {b"{", b"["} else FORM
    given = SIGNED[name](body) if headers is None else headers
    captured = Captured(body, {"Content-Type": kind, **given}, QUERIES.get(name, ""), "POST")
    return captured.request(f"/sources/{name}")


def prover(name):
    definition = SourcesFile(recipe(name)).definitions[name]
    secrets = () if definition.keeps_public_keys else (SECRETS.get(name, SECRET),)
    return proof(name, definition, secrets, Setting((URL,)))


def written(payload):
    return payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()


def test_every_recipe_is_tested():
    assert names() == sorted(PAYLOADS) == sorted(SIGNED)
    assert all(len(payloads) >= 3 for payloads in PAYLOADS.values())


@pytest.mark.parametrize("name", sorted(SIGNED))
def test_proof_is_accepted_and_refused_with_one_byte_changed(name):
    is_proven = prover(name)
    body = written(PAYLOADS[name][0][0])
    if name == "zalo":
        body = body.replace(b"1795372200000", f"{NOW}000".encode())
    headers = SIGNED[name](body)
    assert is_proven(request(name, body, headers))
    if name in BODY_IS_SIGNED:
        for at in (1, len(body) // 2, len(body) - 2):
            changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            assert not is_proven(request(name, changed, headers))
    for header, value in headers.items():
        at = len(value) // 2
        wrong = headers | {header: value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]}
        assert not is_proven(request(name, body, wrong))
        assert not is_proven(request(name, body, {}))


def test_tokens_in_the_url_and_the_body_are_looked_at():
    assert not prover("gupshup")(Captured(b"{}", {}, f"token={SECRET}x", "POST").request("/sources/gupshup"))
    assert not prover("mattermost")(request("mattermost", b'{"token":"a-token-of-26-letters-herf"}'))


@pytest.mark.parametrize(
    ("name", "sent", "headers", "answer"),
    [
        ("slack", {"type": "url_verification", "challenge": "c1"}, {}, "c1"),
        ("discord", {"type": 1, "id": "1"}, {}, {"type": 1}),
        ("intercom", {"topic": "ping", "data": {"item": {"type": "ping"}}}, {}, "pong"),
        ("front", {"type": "sync"}, {"X-Front-Challenge": "c2"}, {"challenge": "c2"}),
    ],
)
def test_handshake_is_completed_after_the_proof(name, sent, headers, answer):
    definition = SourcesFile(recipe(name)).definitions[name]
    body = json.dumps(sent).encode()
    asked = request(name, body, SIGNED[name](body) | headers)
    assert prover(name)(asked)
    answers = Answers(definition.answers, ())
    assert answers.before_proof(asked) is None
    given = answers.after_proof(asked)
    assert not given.keep
    assert (given.response.json if isinstance(answer, dict) else given.response.get_data(as_text=True)) == answer


@pytest.mark.parametrize(
    ("name", "number", "answer"),
    [("discord", 0, {"type": 5}), ("discord", 2, {"type": 6}), ("kakao", 0, KAKAO_ANSWER)],
)
def test_event_whose_sender_waits_for_more_is_kept_and_answered(name, number, answer):
    definition = SourcesFile(recipe(name)).definitions[name]
    given = Answers(definition.answers, ()).after_proof(request(name, written(PAYLOADS[name][number][0])))
    assert (given.keep, given.response.json) == (True, answer)


def test_googles_handshake_of_rcs_needs_the_client_token():
    answers = Answers(SourcesFile(recipe("rcs")).definitions["rcs"].answers, (SECRET,))
    for given, answer in ((SECRET, b"a1"), ("another", None)):
        asked = request("rcs", written({"clientToken": given, "secret": "a1"}), {})
        response = answers.before_proof(asked)
        assert (response and response.get_data()) == answer


def test_what_telnyx_sent_is_a_message_of_the_same_conversation(monkeypatch):
    asked, answered = rows_of(
        "telnyx",
        monkeypatch,
        telnyx("message.received", text="Hi"),
        telnyx("message.sent", "outbound", id="t9", to={"status": "queued"}, text="Yes"),
    )
    assert answered.messages.direction == "outbound"
    assert answered.messages.conversation_id == asked.messages.conversation_id
    assert answered.facts() == {"source.delivery_state": "sent"}


def test_intercoms_head_is_answered():
    definition = SourcesFile(recipe("intercom")).definitions["intercom"]
    head = Captured(b"", {}, "", "HEAD").request("/sources/intercom")
    assert Answers(definition.answers, ()).before_proof(head).status_code == 200


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_payloads_are_read_and_facts_joined(name, monkeypatch):
    monkeypatch.setitem(PARSERS, name, registry.parsers(recipe(name))[name])
    first = None
    for payload, becomes in PAYLOADS[name]:
        body = written(payload)
        kind = "application/json" if body[:1] == b"{" else FORM
        stamp = {"header.x-signature-timestamp": NOW} if name == "discord" else {}
        rows = normalized(name, body, content_type=kind, **stamp)
        assert rows.events.outcome == "normalized", (payload, rows["dead_letters"])
        assert not [row for row in rows["metadata"] if row.key == "source.unknown"], payload
        if isinstance(becomes, dict):
            assert rows.facts() == becomes
            if becomes.keys() <= JOINED:
                assert rows.metadata.subject_id == first.message_id
                assert rows.metadata.conversation_id in {None, first.conversation_id}
            if becomes.keys() <= OF_CONVERSATION:
                assert rows.metadata.subject_id == first.conversation_id
            continue
        message = rows.messages
        first = first or message
        if name not in {"kakao", "mattermost"} and message.direction == "inbound" and message is first:
            assert message.sent_at_from == "item" or name == "discord"
        found = filled(message.content, message.reading)
        if isinstance(becomes, str):
            assert found["text"] == becomes
        elif "attachments" in found:
            assert (found["attachments"][0]["type"], becomes[1] in found["attachments"][0].values()) == (
                becomes[0],
                True,
            )
        else:
            assert (message.kind, found["postbackData"]) == becomes


def rows_of(name, monkeypatch, *payloads):
    monkeypatch.setitem(PARSERS, name, registry.parsers(recipe(name))[name])
    return [normalized(name, written(payload)) for payload in payloads]


def test_zalo_is_believed_when_it_tries_again_after_hours():
    body = written(PAYLOADS["zalo"][0][0] | {"timestamp": f"{int(NOW) - 6_630}000"})
    assert prover("zalo")(request("zalo", body))


def test_zalos_groups_and_anonymous_visitors_have_conversations_of_their_own(monkeypatch):
    sent = ZALO | {"oa_id": "zr"}
    rows = rows_of(
        "zalo",
        monkeypatch,
        sent | {"event_name": "user_send_text", "message": {"msg_id": "1"}},
        sent | {"event_name": "user_send_group_text", "recipient": {"id": "g"}, "message": {"msg_id": "2"}},
        sent | {"event_name": "anonymous_send_text", "message": {"msg_id": "3", "conversation_id": "c"}},
        {"event_name": "oa_send_consent", "oa_id": "zr", "phone": "84", "request_type": "SENT"},
    )
    messages = [each.messages for each in rows[:3]]
    assert {each.source_channel_id for each in messages} == {"zr"}
    assert [each.source_conversation_id or each.source_contact_id for each in messages] == ["zs", "g", "c"]
    assert rows[3].facts() == {"source.unknown": ""}


def test_teams_numbers_messages_by_conversation(monkeypatch):
    said = TEAMS | {"type": "message", "text": "Hi", "replyToId": "7"}
    here, there = rows_of("teams", monkeypatch, said, said | {"conversation": {"id": "19:d"}})
    assert here.messages.message_id != there.messages.message_id
    assert filled(here.messages.content, here.messages.reading)["context"]["id"] == "19:c:7"


def test_whoever_adds_googles_app_by_name_has_said_something_besides(monkeypatch):
    message = {"name": "spaces/A/messages/D", "text": "@Shop are you open?"}
    added, alone = CHAT | {"type": "ADDED_TO_SPACE", "message": message}, CHAT | {"type": "ADDED_TO_SPACE"}
    with_message, without = rows_of("google-chat", monkeypatch, added, alone)
    assert with_message.facts() == without.facts() == {"source.subscription": "ADDED_TO_SPACE"}
    assert with_message.messages.source_message_id == "spaces/A/messages/D"
    assert not without["messages"]


def test_what_a_viber_bot_remembers_is_no_button(monkeypatch):
    message = {"type": "text", "text": "Hi", "tracking_data": "step 3"}
    (rows,) = rows_of("viber", monkeypatch, VIBER | {"event": "message", "message": message})
    assert filled(rows.messages.content, rows.messages.reading) == {"text": "Hi"}


def test_fronts_bounce_is_told(monkeypatch):
    bounced = json.loads(written(PAYLOADS["front"][1][0]))
    bounced["payload"]["type"] = "message_bounce_error"
    (rows,) = rows_of("front", monkeypatch, bounced)
    assert rows.facts() == {"source.event": "message_bounce_error"}


def test_discord_is_told_what_it_may_suggest():
    definition = SourcesFile(recipe("discord")).definitions["discord"]
    body = written({"id": "1", "type": 4, "data": {"name": "ask"}})
    given = Answers(definition.answers, ()).after_proof(request("discord", body))
    assert (given.keep, given.response.json) == (False, {"type": 8, "data": {"choices": []}})


def test_recipes_name_where_their_secret_is():
    for name in names():
        first, second, *_ = text(name).splitlines()
        assert "https://" in first
        assert "ecret" in second or "key" in second or "signs nothing" in second or "udience" in text(name)
    assert Path(__file__).parents[3].joinpath("docs", "recipes.md").exists()
