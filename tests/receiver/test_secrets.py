"""Secrets are found in no log, no process's command line, no raw event, no metric and no dead letter."""

import base64
import contextlib
import http.client
import json
import sys
from pathlib import Path

import pytest
from receiver_server import Server, serving
from receiver_support import archived

from pipelines.core.rows import DeadLetter
from pipelines.local.topics import create_topics
from pipelines.sources.normalization import normalize
from receiver.chatplugin.tokens import SEND, Tokens, Visitor
from receiver.proofs.signatures import hmac_base64, hmac_hex

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"), pytest.mark.thorough]

ORIGIN = "https://shop.example"
REPLY_TOKEN = "reply-token-of-32-characters-17--"
VISITOR = Visitor("shop", "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa")
SECRETS = {
    "FACEBOOK_APP_SECRETS": "facebook-app-secret-17",
    "FACEBOOK_VERIFY_TOKENS": "facebook-verify-token-17",
    "WHATSAPP_APP_SECRETS": "whatsapp-app-secret-17",
    "WHATSAPP_VERIFY_TOKENS": "whatsapp-verify-token-17",
    "TWILIO_AUTH_TOKENS": "twilio-auth-token-17",
    "GOOGLE_KEYS": "google-key-17",
    "GOOGLE_CLIENT_TOKENS": "google-client-token-17",
    "AIRY_SIGNATURE_KEYS": "airy-signature-key-17",
    "CHATPLUGIN_SECRETS": "chatplugin-secret-of-32-bytes-17",
    "METRICS_TOKENS": "metrics-token-17",
    "SOURCE_DESK_SECRETS": "desk-bearer-token-of-ours-17",
}


@pytest.fixture
def server(environ, bus, tmp_path):
    create_topics("parley-test", {"raw-desk": "desk", "raw-chatplugin": "chatplugin", "raw-replies": "replies"})
    (tmp_path / "sources.toml").write_text('[desk]\nscheme = "bearer"\n')
    environ = environ | {f"PARLEY_{name}": secret for name, secret in SECRETS.items()}
    environ |= {
        "PARLEY_REPLY_TOKENS": json.dumps({"desk": {"tokens": [REPLY_TOKEN], "channels": ["twilio/*"]}}),
        "PARLEY_LOG_LEVEL": "DEBUG",
        "PARLEY_SOURCES_FILE": str(tmp_path / "sources.toml"),
        "PARLEY_PUBLIC_URL": "https://hooks.example",
        "PARLEY_CHATPLUGIN_CHANNELS": json.dumps({"shop": [ORIGIN]}),
    }
    with serving(environ, tmp_path / "log") as server:
        yield server


def ask(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    with contextlib.closing(server.connect()) as connection, contextlib.suppress(http.client.HTTPException):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return connection.getresponse().status
    return 0


def command_lines(server: Server) -> str:
    pids = [server.process.pid, *server.workers()]
    return "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)


def test_no_secret_is_found_anywhere(server, tmp_path):
    token = Tokens((SECRETS["CHATPLUGIN_SECRETS"],), 7).issue(VISITOR, SEND)
    body = b'{"object":"page","entry":[{"id":"1","time":1,"messaging":[7]}]}'
    signature = "sha256=" + hmac_hex(SECRETS["FACEBOOK_APP_SECRETS"], body)
    google = hmac_base64(SECRETS["GOOGLE_KEYS"], b"[]", "sha512")
    desk = f"Bearer {SECRETS['SOURCE_DESK_SECRETS']}"
    wrong = "Bearer " + "wrong-but-secret-17"
    verify = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={SECRETS['FACEBOOK_VERIFY_TOKENS']}"
    message = b'{"message":{"text":"hi"}}'
    reply = b'{"source":"twilio","channel":"+1","to":"+2","content":{"text":"hi"}}'
    keyed = {"Content_Type": "application/json", "Idempotency_Key": "key"}
    chat = {"Origin": ORIGIN, "Content_Type": "application/json"}

    answers = [
        ask(server, "POST", "/facebook", body, X_Hub_Signature_256=signature),
        ask(server, "POST", "/facebook", body, X_Hub_Signature_256="sha256=" + SECRETS["FACEBOOK_APP_SECRETS"]),
        ask(server, "GET", f"/facebook?{verify}"),
        ask(server, "GET", f"/facebook?{verify}x"),
        ask(server, "POST", "/google", b"[]", X_Goog_Signature=google),
        ask(server, "POST", "/sources/desk", b'{"messages":[7]}', Authorization=desk, Cookie="session=cookie-17"),
        ask(server, "POST", "/sources/desk", b"{}", Authorization=wrong),
        ask(server, "POST", "/sources.webhook", b"{}", Authorization=desk),
        ask(server, "POST", "/twilio", b"a=b", X_Twilio_Signature=SECRETS["TWILIO_AUTH_TOKENS"]),
        ask(
            server,
            "POST",
            "/chatplugin.send",
            b'{"message":{"text":"hi"}}',
            Authorization=f"Bearer {token}",
            **chat,
        ),
        ask(server, "POST", "/chatplugin.send", message, Authorization=f"{token}x", **chat),
        ask(server, "POST", "/replies", reply, Authorization=f"Bearer {REPLY_TOKEN}", **keyed),
        ask(server, "POST", "/replies", reply, Authorization=f"Bearer {REPLY_TOKEN}x", **keyed),
        ask(server, "GET", "/metrics", Authorization=f"Bearer {SECRETS['METRICS_TOKENS']}"),
    ]
    assert answers == [200, 403, 200, 403, 200, 200, 403, 200, 403, 200, 401, 202, 401, 200]
    told = command_lines(server)
    metrics = server.request("GET", "/metrics", Authorization=f"Bearer {SECRETS['METRICS_TOKENS']}").body.decode()
    heartbeat = server.request("GET", "/__heartbeat__").body.decode()
    assert server.terminate() == 0

    events = archived(tmp_path / "archive")
    assert len(events) == 6
    raw = "".join(repr(event.attributes) + event.data.decode() for event in events)
    letters = [row for event in events for row in normalize(event) if isinstance(row, DeadLetter)]
    assert letters
    places = {
        "log": server.log,
        "command line": told,
        "metrics": metrics,
        "heartbeat": heartbeat,
        "raw events": raw,
        "dead letters": repr(letters),
    }
    hidden = [*SECRETS.values(), REPLY_TOKEN, signature, google, token, "wrong-but-secret-17", "cookie-17"]
    hidden += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in SECRETS.values()]
    found = [(place, secret) for place, text in places.items() for secret in hidden if secret in text]
    assert found == []
