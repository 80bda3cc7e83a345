"""`GET /chatplugin.events` and the history: what a visitor is told, and that nobody else is told it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from pipelines.local.pubsub import PubSubServer
from receiver.answers import answers
from receiver.answers.conversations import Conversations, conversation_key, open_conversations
from receiver.answers.entries import Entry
from receiver.chatplugin.tokens import RESUME, SEND, Tokens, Visitor
from tests.receiver.chatplugin.chat import HELP, SECRET, SHOP, Chat, chat

STREAMED = "text/event-stream"


@pytest.fixture
def shop(pubsub: PubSubServer, tmp_path: Path) -> Iterator[Chat]:
    with chat(tmp_path) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    """What a sender on another host sees."""
    return open_conversations(str(tmp_path / "archive"))


@pytest.fixture
def visitor(shop: Chat) -> dict[str, Any]:
    return shop.authenticate()


def answer(
    store: Conversations, visitor: dict[str, Any], name: str, content: str = '{"text": "Yes"}', **more
) -> None:
    raw = Raw(content.encode())
    given = {"from_contact": False, "sent_at": "2026-11-28T12:00:00.000Z"} | more
    store.append(conversation_key("shop", visitor["conversation_id"]), Entry(id=name, content=raw, **given))


def ask(shop: Chat, token: str, query: str = "", origin: str | None = SHOP, **headers: str):
    sent = {"Authorization": f"Bearer {token}"} | ({"Origin": origin} if origin else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.client.get(f"/chatplugin.events{query}", headers=sent)


def told(events: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(each["id"], each["data"]["id"]) for each in events]


class Stream:
    """Server-sent events, block by block."""

    def __init__(self, response: Any) -> None:
        assert (response.status_code, response.mimetype) == (200, STREAMED)
        self.response = response
        self._chunks = iter(response.response)
        assert b"event: ready" in next(self._chunks)

    def next(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for line in next(self._chunks).decode().splitlines():
            name, _, value = line.partition(": ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        return fields


def test_authenticate_gives_both_sides_of_the_conversation(shop: Chat, store: Conversations, visitor):
    answer(store, visitor, "q", '{"text": "Is it back?"}', from_contact=True)
    answer(store, visitor, "a", '{"text": "Yes", "n": 1.50}', sender_name="Ada")
    answer(store, visitor, "a2")

    again = shop.post("authenticate", {"resume_token": visitor["resume_token"]})

    assert [(each["id"], each["from_contact"]) for each in again.json["messages"]] == [
        ("q", True),
        ("a", False),
        ("a2", False),
    ]
    assert b'{"text": "Yes", "n": 1.50}' in again.data
    assert again.json["messages"][1]["sender"] == {"name": "Ada"}
    assert again.json["last_event_id"] == 3
    assert set(again.json["messages"][0]) == {
        "id", "content", "delivery_state", "from_contact", "sent_at", "source", "sender", "metadata",
    }  # fmt: skip


def test_messages_are_in_the_order_in_which_they_were_received(shop: Chat, store: Conversations, visitor):
    # Whoever stores them may hear of a question after its answer. The first is of an earlier version.
    answer(store, visitor, "old")
    answer(store, visitor, "answer", received_at=3_000_000_020.0)
    answer(store, visitor, "question", from_contact=True, received_at=3_000_000_010.0)

    again = shop.post("authenticate", {"resume_token": visitor["resume_token"]})

    assert [each["id"] for each in again.json["messages"]] == ["old", "question", "answer"]
    assert again.json["last_event_id"] == 3


def test_a_poll_tells_what_came_after_an_event(shop: Chat, store: Conversations, visitor):
    for name in "abc":
        answer(store, visitor, name)

    assert told(ask(shop, visitor["token"]).json["events"]) == [(1, "a"), (2, "b"), (3, "c")]
    later = ask(shop, visitor["token"], "?after=2").json
    assert (told(later["events"]), later["last_event_id"]) == ([(3, "c")], 3)
    nothing = ask(shop, visitor["token"], "?after=3").json
    assert nothing == {"events": [], "last_event_id": 3}


@pytest.mark.parametrize("after", ["", "-1", "x", "1" * 30, "١", "1.0"])
def test_a_number_that_is_none_is_told_everything(shop: Chat, store: Conversations, visitor, after: str):
    answer(store, visitor, "a")

    assert told(ask(shop, visitor["token"], f"?after={after}").json["events"]) == [(1, "a")]


def test_a_long_poll_is_answered_as_soon_as_there_is_something(shop: Chat, store: Conversations, visitor):
    got = []
    poll = threading.Thread(target=lambda: got.append(ask(shop, visitor["token"], "?wait=25").json))
    poll.start()
    answer(store, visitor, "a")
    poll.join(20)

    assert told(got[0]["events"]) == [(1, "a")]


def test_a_stream_goes_on_after_the_event_that_the_browser_knows(shop: Chat, store: Conversations, visitor):
    for name in "ab":
        answer(store, visitor, name)
    stream = Stream(ask(shop, visitor["token"], Accept=STREAMED, Last_Event_ID="1"))
    first = stream.next()
    answer(store, visitor, "c", '{"text":\n"<b>line\\nbreaks</b>"\r\n}')
    second = stream.next()
    store.news.tell(conversation_key("shop", visitor["conversation_id"]), "typing_on")
    third = stream.next()

    assert (first["id"], first["event"], json.loads(first["data"])["id"]) == ("2", "message", "b")
    assert (second["id"], json.loads(second["data"])["content"]) == ("3", {"text": "<b>line\nbreaks</b>"})
    assert (third["event"], json.loads(third["data"]), "id" in third) == ("typing", {"on": True}, False)
    assert stream.response.headers["X-Accel-Buffering"] == "no"
    stream.response.close()


def test_a_quiet_stream_says_that_it_lives_and_ends_after_a_while(shop, store, visitor, monkeypatch):
    monkeypatch.setattr(answers, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(answers, "LIFE_SECONDS", 0.2)

    response = ask(shop, visitor["token"], Accept=STREAMED)

    first, *beats = list(response.response)
    response.close()
    assert b"event: ready" in first
    assert set(beats) == {b":\n\n"}


def test_a_store_that_fails_delays_answers_and_keeps_nobody_from_writing(
    shop, store, visitor, monkeypatch, tmp_path
):
    answer(store, visitor, "a")
    real = Conversations.read
    monkeypatch.setattr(Conversations, "read", lambda *_: (_ for _ in ()).throw(OSError("no disk")))
    assert shop.post("authenticate", {"resume_token": visitor["resume_token"]}).json["messages"] == []
    assert shop.send(visitor["token"]).status_code == 200
    stream = Stream(ask(shop, visitor["token"], Accept=STREAMED))

    monkeypatch.setattr(Conversations, "read", real)
    answer(store, visitor, "b")

    assert [stream.next()["id"] for _ in range(2)] == ["1", "2"]
    stream.response.close()


@pytest.mark.parametrize(
    ("token", "origin", "status", "error"),
    [
        ("", SHOP, 401, "invalid_token"),
        ("resume", SHOP, 401, "invalid_token"),
        ("forged", SHOP, 401, "invalid_token"),
        ("token", "https://evil.example", 403, "origin_not_allowed"),
        ("token", HELP, 403, "origin_not_allowed"),
        ("token", None, 403, "origin_not_allowed"),
    ],
)
@pytest.mark.parametrize("accept", [STREAMED, "application/json"])
def test_nobody_else_reads_a_conversation(shop, store, visitor, token, origin, status, error, accept):
    answer(store, visitor, "a", '{"text": "secret"}')
    mine = Visitor("shop", visitor["conversation_id"])
    tokens = {
        "token": visitor["token"],
        "resume": Tokens((SECRET,), 7).issue(mine, RESUME),
        "forged": Tokens(("x" * 32,), 7).issue(mine, SEND),
    }

    response = ask(shop, tokens.get(token, token), origin=origin, Accept=accept)

    assert (response.status_code, response.json["error"]) == (status, error)
    assert b"secret" not in response.data
    others = shop.authenticate()["token"]
    assert ask(shop, others).json["events"] == []


def test_a_page_of_the_receivers_own_may_ask_though_browsers_do_not_name_it(shop: Chat, visitor):
    asked = ask(shop, visitor["token"], origin=None, Sec_Fetch_Site="same-origin")
    foreign = ask(shop, visitor["token"], origin="https://evil.example", Sec_Fetch_Site="same-origin")

    assert (asked.status_code, foreign.status_code) == (200, 403)
    assert "Access-Control-Allow-Origin" not in asked.headers


def test_a_browser_may_ask_what_it_may_send(shop: Chat):
    preflight = shop.client.options("/chatplugin.events", headers={"Origin": SHOP})

    assert preflight.headers["Access-Control-Allow-Origin"] == SHOP
    assert "GET" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Last-Event-ID" in preflight.headers["Access-Control-Allow-Headers"]


def test_who_waits_beyond_the_limit_is_told_to_ask_now_and_then(pubsub: PubSubServer, tmp_path: Path):
    with chat(tmp_path, CHATPLUGIN_STREAMS="1") as small:
        token = small.authenticate()["token"]
        stream = Stream(ask(small, token, Accept=STREAMED))
        for query, accept in (("", STREAMED), ("?wait=1", "application/json")):
            refused = ask(small, token, query, Accept=accept)
            assert (refused.status_code, refused.json["error"]) == (503, "too_many_streams")
            assert int(refused.headers["Retry-After"]) > 0
        assert ask(small, token).status_code == 200

        stream.response.close()
        Stream(ask(small, token, Accept=STREAMED)).response.close()


def test_without_an_archive_there_are_no_answers(pubsub: PubSubServer, tmp_path: Path):
    with chat(tmp_path, ARCHIVE="none") as without:
        opened = without.authenticate()
        assert without.post("authenticate", {"resume_token": opened["resume_token"]}).json["messages"] == []
        response = ask(without, opened["token"])

        assert (response.status_code, response.json["error"]) == (404, "no_answers")


def tell(shop: Chat, token: str, body: object, **headers: str):
    sent = {"Authorization": f"Bearer {token}", "Origin": SHOP, "Content-Type": "application/json"} | headers
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return shop.client.post("/chatplugin.events", data=data, headers=sent)


def test_what_a_visitor_does_besides_writing_is_a_raw_event_of_the_verified_conversation(shop: Chat, visitor):
    told = [{"event": "typing", "on": True}, {"event": "seen", "message_ids": ["a"], "later": 1}]
    for body in told:
        response = tell(shop, visitor["token"], body)
        assert (response.status_code, response.json) == (200, {})
        assert response.headers["Access-Control-Allow-Origin"] == SHOP

    events = shop.stored()
    assert [json.loads(event.data) for event in events] == told
    assert {event.attributes["conversation_id"] for event in events} == {visitor["conversation_id"]}
    # Two visitors who do the same at once are not one request that came twice.
    assert len({event.attributes["message_id"] for event in events}) == 2
    assert "header.user-agent" not in events[0].attributes


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        ({"event": "left"}, {}, 400, "invalid_request"),
        ({"event": "seen", "message_ids": ["x"] * 51}, {}, 400, "invalid_request"),
        ({"event": "seen", "message_ids": ["x" * 65]}, {}, 400, "invalid_request"),
        ({"event": "typing", "on": "yes"}, {}, 400, "invalid_request"),
        (b"[" * 4000, {}, 400, "invalid_request"),
        (b'{"event":"typing","x":' + b"[" * 2000 + b"]" * 2000 + b"}", {}, 400, "invalid_request"),
        (b"\xff", {}, 400, "invalid_request"),
        (b"", {}, 400, "invalid_request"),
        ({"event": "seen", "message_ids": ["x" * 5000]}, {}, 413, "too_large"),
        ({"event": "seen"}, {}, 400, "invalid_request"),
        ({"event": "seen", "message_ids": None}, {}, 400, "invalid_request"),
        ({"event": "typing"}, {}, 400, "invalid_request"),
        ({"event": "typing"}, {"Content-Type": "text/plain"}, 415, "not_json"),
        ({"event": "typing"}, {"Authorization": "Bearer nobody"}, 401, "invalid_token"),
        ({"event": "typing"}, {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"event": "typing"}, {"Origin": HELP}, 403, "origin_not_allowed"),
    ],
)
def test_what_is_no_event_of_a_visitor_is_refused(shop: Chat, visitor, body, headers, status, error):
    response = tell(shop, visitor["token"], body, **headers)

    assert (response.status_code, response.json["error"]) == (status, error)
    assert shop.stored() == []


def test_who_types_too_much_can_still_write(pubsub: PubSubServer, tmp_path: Path):
    with chat(tmp_path, CHATPLUGIN_MESSAGES_PER_MINUTE="3") as slow:
        token = slow.authenticate()["token"]
        assert [tell(slow, token, {"event": "typing", "on": True}).status_code for _ in range(2)] == [200, 429]
        assert slow.send(token).status_code == 200
