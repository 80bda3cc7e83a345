import json
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from chat import HELP, OLD_SECRET, SECRET, SHOP, Chat, chat

from pipelines.local.pubsub import PubSubServer
from receiver.chatplugin import tokens
from receiver.chatplugin.tokens import RESUME, SEND, Tokens, Visitor

CONVERSATION = "3d9ac0d8-2ac1-4b0e-9f0e-4a3c54b3a0aa"
VISITOR = Visitor("shop", CONVERSATION)
ENDLESS = {"aud": SEND, "iat": 1, "channel_id": "shop", "conversation_id": CONVERSATION}


@pytest.fixture
def shop(pubsub: PubSubServer, tmp_path: Path) -> Iterator[Chat]:
    with chat(tmp_path) as opened:
        yield opened


def test_a_message_is_stored_as_sent_with_the_verified_identity_beside_it(shop: Chat):
    opened = shop.authenticate()

    response = shop.client.post(
        "/chatplugin.send",
        data=' {"message": {"text":"caf\\u00e9 \U0001f600"},\n "extra": 1.50}',
        headers={
            "Origin": SHOP,
            "Authorization": f"Bearer {opened['token']}",
            "Content-Type": "application/json",
            "Idempotency-Key": "key-1",
            "User-Agent": "Somebody's very own browser",
        },
    )

    assert response.status_code == 200
    (event,) = shop.stored()
    assert event.data == b' {"message": {"text":"caf\\u00e9 \xf0\x9f\x98\x80"},\n "extra": 1.50}'
    assert event.source == "chatplugin"
    assert event.attributes["channel_id"] == "shop"
    assert event.attributes["conversation_id"] == opened["conversation_id"]
    assert event.attributes["message_id"] == response.json["id"]
    assert set(event.attributes) == {
        "event_id", "source", "received_at", "verified_by", "content_type",
        "channel_id", "conversation_id", "message_id",
    }  # fmt: skip


def test_the_answer_is_the_message_as_airy_gives_it(shop: Chat):
    opened = shop.authenticate()

    answer = shop.send(opened["token"], {"text": "Hello"}).json

    assert answer["content"] == {"text": "Hello"}
    assert answer["sender"] == {"id": opened["conversation_id"]}
    assert answer["from_contact"] is True
    assert answer["delivery_state"] == "delivered"
    assert answer["sent_at"].endswith("Z")


def test_a_retry_is_the_same_message_but_another_visitors_key_is_not(shop: Chat):
    mine, theirs = shop.authenticate()["token"], shop.authenticate()["token"]

    first, again, quoted, other = (
        shop.send(token, key=key).json["id"]
        for token, key in ((mine, "key-1"), (mine, "key-1"), (mine, '"key-1"'), (theirs, "key-1"))
    )

    assert first == again == quoted != other
    assert len({shop.send(mine).json["id"] for _ in range(2)} | {first}) == 3


def test_a_resume_token_goes_on_with_the_conversation(shop: Chat):
    opened = shop.authenticate()
    resume = shop.post("resumeToken", Authorization=opened["token"]).json["resume_token"]

    for resumed in (
        shop.post("authenticate", {"resume_token": resume}).json,
        shop.authenticate(resume_token=opened["resume_token"]),
    ):
        assert resumed["conversation_id"] == opened["conversation_id"]
        assert resumed["messages"] == []
        assert shop.send(resumed["token"]).json["sender"]["id"] == opened["conversation_id"]


@pytest.mark.parametrize(
    ("token", "status", "error"),
    [
        ("", 401, "invalid_token"),
        ("nonsense", 401, "invalid_token"),
        (Tokens(("x" * 32,), 7).issue(VISITOR, SEND), 401, "invalid_token"),
        (Tokens((SECRET,), 7).issue(VISITOR, RESUME), 401, "invalid_token"),
        (jwt.encode({"aud": SEND, "channel_id": "shop"}, SECRET, "HS256"), 401, "invalid_token"),
        (jwt.encode(ENDLESS, SECRET, "HS256"), 401, "invalid_token"),
        (jwt.encode({"aud": SEND, "channel_id": "shop"}, key="", algorithm="none"), 401, "invalid_token"),
        (Tokens((SECRET,), 7).issue(Visitor("gone", CONVERSATION), SEND), 404, "unknown_channel"),
        (Tokens((SECRET,), 7).issue(Visitor("help", CONVERSATION), SEND), 403, "origin_not_allowed"),
    ],
    ids=[
        "missing",
        "nonsense",
        "forged",
        "resume",
        "no claims",
        "endless",
        "unsigned",
        "channel gone",
        "other channel",
    ],
)
def test_a_token_that_does_not_speak_for_this_chat_is_refused(shop: Chat, token: str, status: int, error: str):
    response = shop.send(token)

    assert (response.status_code, response.json["error"]) == (status, error)
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert shop.stored() == []


@pytest.mark.parametrize(("purpose", "seconds"), [(SEND, tokens.TOKEN_SECONDS), (RESUME, 7 * tokens.DAY_SECONDS)])
def test_a_token_ends(shop: Chat, monkeypatch: pytest.MonkeyPatch, purpose: str, seconds: int):
    now = tokens.time.time()
    past = now - seconds - tokens.LEEWAY_SECONDS
    monkeypatch.setattr(tokens.time, "time", lambda: past - 1)
    ended = Tokens((SECRET,), 7).issue(VISITOR, purpose)
    monkeypatch.setattr(tokens.time, "time", lambda: past + 60)
    lasting = Tokens((SECRET,), 7).issue(VISITOR, purpose)
    monkeypatch.undo()

    def use(token: str):
        return shop.send(token) if purpose == SEND else shop.post("authenticate", {"resume_token": token})

    response = use(ended)
    assert (response.status_code, response.json["error"]) == (401, "token_expired")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert use(lasting).status_code == 200


def test_tokens_of_the_old_key_are_good_until_it_is_taken_away(pubsub: PubSubServer, tmp_path: Path):
    token = Tokens((OLD_SECRET,), 7).issue(VISITOR, SEND)

    with chat(tmp_path, CHATPLUGIN_SECRETS=f"{SECRET},{OLD_SECRET}") as rotating:
        assert rotating.send(token).status_code == 200
        assert Tokens((SECRET,), 7).verify(rotating.authenticate()["token"], SEND).channel_id == "shop"
    with chat(tmp_path, CHATPLUGIN_SECRETS=SECRET) as rotated:
        assert rotated.send(token).status_code == 401


def test_a_resume_token_of_another_channel_is_refused(shop: Chat):
    resume = shop.authenticate()["resume_token"]

    response = shop.post("authenticate", {"channel_id": "help", "resume_token": resume})

    assert (response.status_code, response.json["error"]) == (403, "other_channel")


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", HELP, SHOP + ".evil.example"])
def test_a_web_site_that_the_channel_does_not_name_is_refused(shop: Chat, origin: str | None):
    token = shop.authenticate()["token"]

    for response in (
        shop.post("authenticate", {"channel_id": "shop"}, origin=origin),
        shop.send(token, origin=origin),
    ):
        assert (response.status_code, response.json["error"]) == (403, "origin_not_allowed")
    assert shop.stored() == []


def test_an_answer_is_readable_by_the_origins_of_the_chat_only(shop: Chat):
    for origin, readable in ((SHOP, SHOP), (HELP, HELP), ("https://evil.example", None)):
        preflight = shop.client.options("/chatplugin.send", headers={"Origin": origin})
        post = shop.post("send", origin=origin)

        assert preflight.status_code == 204
        for response in (preflight, post):
            assert response.headers.get("Access-Control-Allow-Origin") == readable
            assert "Origin" in response.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(
            preflight.headers["Access-Control-Allow-Headers"].split(", ")
        )


def test_an_unknown_channel_is_not_found(shop: Chat):
    response = shop.post("authenticate", {"channel_id": "gone"})

    assert (response.status_code, response.json["error"]) == (404, "unknown_channel")


def test_too_many_messages_of_a_conversation_are_refused_until_later(pubsub: PubSubServer, tmp_path: Path):
    with chat(tmp_path, CHATPLUGIN_MESSAGES_PER_MINUTE="9") as slow:
        token, other = slow.authenticate()["token"], slow.authenticate()["token"]
        answers = [slow.send(token) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].json["error"] == "too_many_requests"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 7
        assert slow.send(other).status_code == 200
        assert len(slow.stored()) == 4


@pytest.mark.parametrize(
    ("proxies", "forwarded", "limited"),
    [
        ("0", ["203.0.113.1", "203.0.113.2"], True),
        ("1", ["203.0.113.1", "203.0.113.2"], False),
        ("1", ["198.51.100.1, 203.0.113.1", "198.51.100.2, 203.0.113.1"], True),
        ("1", ["2001:db8:1:1::1", "2001:db8:1:1:f::2"], True),
        ("1", ["2001:db8:1:1::1", "2001:db8:1:2::1"], False),
        ("2", ["203.0.113.1", "203.0.113.2"], False),
    ],
)
def test_an_address_is_the_one_that_our_own_proxies_saw(
    pubsub: PubSubServer, tmp_path: Path, proxies: str, forwarded: list[str], limited: bool
):
    with chat(tmp_path, CHATPLUGIN_REQUESTS_PER_MINUTE="3", TRUSTED_PROXIES=proxies) as slow:
        statuses = [
            slow.post("authenticate", {"channel_id": "shop"}, X_Forwarded_For=hops).status_code
            for hops in forwarded
        ]

    assert statuses == [200, 429 if limited else 200]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "error"),
    [
        (b'{"message":"' + b"x" * 65_536 + b'"}', "application/json", 413, "too_large"),
        (b'{"message":"x"}', "text/plain", 415, "not_json"),
        (b"", "application/json", 400, "invalid_request"),
        (b'{"message":', "application/json", 400, "invalid_request"),
        (b'{"message":NaN}', "application/json", 400, "invalid_request"),
        (b'{"message":"\xff"}', "application/json", 400, "invalid_request"),
        (b"[" * 60_000, "application/json", 400, "invalid_request"),
        (b'{"message":' + b"[" * 200 + b"]" * 200 + b"}", "application/json", 400, "invalid_request"),
        (b'{"message":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "application/json", 400, "invalid_request"),
        (b'{"message":1e999}', "application/json", 400, "invalid_request"),
        (b"[1]", "application/json", 400, "invalid_request"),
        (b"{}", "application/json", 400, "invalid_request"),
        (b'{"message":null}', "application/json", 400, "invalid_request"),
    ],
    ids=[
        "long",
        "text",
        "empty",
        "cut",
        "nan",
        "latin",
        "deep",
        "nested",
        "closed",
        "infinite",
        "array",
        "no message",
        "null",
    ],
)
def test_a_body_that_is_no_message_is_refused(shop: Chat, body: bytes, content_type: str, status: int, error: str):
    headers = {"Origin": SHOP, "Authorization": shop.authenticate()["token"], "Content-Type": content_type}

    response = shop.client.post("/chatplugin.send", data=body, headers=headers)

    assert (response.status_code, response.json["error"]) == (status, error)
    assert shop.stored() == []


@pytest.mark.parametrize("asked", [{}, {"channel_id": 1}, {"channel_id": ["shop"]}, {"resume_token": None}])
def test_who_names_neither_channel_nor_token_is_told_so(shop: Chat, asked: dict[str, object]):
    assert shop.post("authenticate", asked).json["error"] == "invalid_request"


@pytest.mark.parametrize("key", ["two words", "é", "x" * 256, '"'])
def test_an_unusable_idempotency_key_is_refused(shop: Chat, key: str):
    response = shop.send(shop.authenticate()["token"], key=key)

    assert (response.status_code, response.json["error"]) == (400, "invalid_idempotency_key")


def test_any_json_is_a_message(shop: Chat):
    token = shop.authenticate()["token"]

    for message in ("text", 7, ["a"], {"attachment": {"type": "image"}}, {"text": "\ud83d"}):
        response = shop.send(token, message)
        assert (response.status_code, response.json["content"]) == (200, message)


def test_a_message_that_cannot_be_stored_is_to_be_sent_again(pubsub: PubSubServer, tmp_path: Path):
    (tmp_path / "archive").write_text("no folder")
    with chat(tmp_path) as broken:
        response = broken.send(broken.authenticate()["token"])

        assert (response.status_code, response.json["error"]) == (503, "unavailable")
        assert int(response.headers["Retry-After"]) > 0
        assert response.headers["Access-Control-Allow-Origin"] == SHOP


def test_the_samples_of_airys_documentation_are_taken(shop: Chat):
    fixtures = Path(__file__).parents[4] / "shared" / "fixtures" / "airy_chat_plugin"
    if not fixtures.exists():
        pytest.skip("the collected payloads are not beside this repository")
    token = shop.authenticate()["token"]

    for path in sorted(fixtures.glob("send_*.json")):
        sent = json.loads(path.read_text())
        assert shop.send(token, sent["message"]).status_code == 200


def test_a_token_of_half_characters_speaks_for_nobody(shop: Chat):
    assert shop.post("authenticate", {"resume_token": "\ud800.a.b"}).status_code == 401
