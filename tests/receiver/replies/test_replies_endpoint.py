"""`POST /replies`: who may post, what is refused, and that a key stands for one body whatever dies."""

import datetime as dt
import json
import threading
import types
from pathlib import Path

import pytest
from endpoints import only, published, receiving
from receiver_support import archived

from receiver.app import create_app
from receiver.config import ConfigError
from receiver.durable.committer import Committers, UnavailableError
from receiver.replies import keys
from receiver.replies.store import FolderStore
from schemas.replies import MAX_BODY_BYTES, reply_id

TOKEN = "token-of-the-desk-with-32-letters"
OTHER = "token-of-the-shop-with-32-letters"
TOKENS = {
    "desk": {
        "tokens": ["old-token-of-the-desk-with-32-letters", TOKEN],
        "channels": ["whatsapp/1003", "twilio/*"],
    },
    "shop": {"tokens": [OTHER], "channels": ["whatsapp/*"]},
}
REPLY = {"source": "whatsapp", "channel": "1003", "to": "4915112345678", "content": {"text": "Grüße"}}
KEY = "a-key"


def post(client, reply=None, *, token=TOKEN, key=KEY, content_type="application/json", **more):
    body = json.dumps(REPLY | (reply or {})).encode() if not isinstance(reply, bytes) else reply
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if key:
        headers["Idempotency-Key"] = key
    return client.post("/replies", data=body, headers=headers, content_type=content_type, **more)


def in_days(days: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).isoformat()


@pytest.fixture
def replies(environ, bus):
    with receiving(environ, "replies", REPLY_TOKENS=json.dumps(TOKENS)) as client:
        yield client


def test_takes_a_reply_byte_for_byte_and_names_it(replies, bus, environ):
    body = b' {"source":"twilio", "channel":"+1","to":"+2","content":{"Body":"a\\u00e9  b"}}\n'

    answer = post(replies, body, key='"a-key"')

    event = only(bus, "replies")
    assert (answer.status_code, answer.json) == (202, {"reply_id": reply_id("desk", KEY)})
    assert event.data == body
    kept = {"content_type", "header.idempotency-key", "reply_id", "source", "verified_by"}
    assert {name: event.attributes[name] for name in kept} == {
        "content_type": "application/json",
        "header.idempotency-key": '"a-key"',
        "reply_id": reply_id("desk", KEY),
        "source": "replies",
        "verified_by": "desk",
    }
    assert TOKEN not in str(event.attributes)
    assert [each.event_id for each in archived(Path(environ["PARLEY_ARCHIVE"]), open_too=True)] == [event.event_id]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "ü" * 32])
def test_refuses_whoever_has_no_token_before_anything_else(replies, bus, environ, token):
    answer = post(replies, b"no json", token=token, key="", content_type="text/plain")

    assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert not published(bus, "replies")
    assert not (Path(environ["PARLEY_ARCHIVE"]) / "replies").exists()


@pytest.mark.parametrize(
    ("reply", "given", "expected"),
    [
        ({}, {"key": ""}, (400, "invalid_idempotency_key")),
        ({}, {"key": "a b"}, (400, "invalid_idempotency_key")),
        ({}, {"key": "k" * 256}, (400, "invalid_idempotency_key")),
        ({}, {"content_type": "text/plain"}, (415, "not_json")),
        ({}, {"content_type": None}, (415, "not_json")),
        (b"", {}, (400, "invalid_reply")),
        (b"[]", {}, (400, "invalid_reply")),
        (b'{"source":"whatsapp"', {}, (400, "invalid_reply")),
        ({"soruce": 1}, {}, (400, "invalid_reply")),
        ({"content": {}}, {}, (400, "invalid_reply")),
        ({"source": "google"}, {}, (400, "invalid_reply")),
        ({"to": ""}, {}, (400, "invalid_reply")),
        ({"channel": "1" * 257}, {}, (400, "invalid_reply")),
        ({"channel": "1003/deregister?"}, {"token": OTHER}, (400, "invalid_reply")),
        (json.dumps(REPLY).encode("utf-16"), {}, (400, "invalid_reply")),
        (
            b'{"source":"whatsapp","channel":"1003","to":"2","content":' + b'{"a":' * 9_000,
            {},
            (400, "invalid_reply"),
        ),
        ({"expires_at": "2026-03-01T10:00:00"}, {}, (400, "invalid_reply")),
        ({"sent_by_others": True}, {}, (400, "invalid_reply")),
        ({"channel": "1004"}, {}, (403, "other_channel")),
        ({"source": "facebook"}, {}, (403, "other_channel")),
        ({"source": "chatplugin"}, {}, (403, "other_channel")),
        ({"content": {"text": "x" * MAX_BODY_BYTES}}, {}, (413, "too_large")),
        ({"expires_at": in_days(-0.01)}, {}, (400, "expired")),
        ({"expires_at": in_days(31)}, {}, (400, "too_far_ahead")),
    ],
)
def test_says_what_is_wrong_and_takes_nothing(replies, bus, environ, reply, given, expected):
    answer = post(replies, reply, **given)

    assert (answer.status_code, answer.json["error"]) == expected
    assert answer.json["message"]
    assert not published(bus, "replies")
    # And no key is used up: once it is right, it is taken.
    assert post(replies).status_code == 202


def test_a_body_that_was_cut_off_uses_up_no_key(replies, bus):
    cut = json.dumps(REPLY).encode()

    # Who cuts off a blank leaves a whole object.
    answer = post(replies, cut, environ_overrides={"CONTENT_LENGTH": str(len(cut) + 1)})

    assert answer.status_code == 400
    assert post(replies, cut + b" ").status_code == 202


def test_there_is_nothing_without_tokens(environ):
    assert create_app(environ).test_client().post("/replies", data=b"{}").status_code == 404


def test_other_methods_are_refused(replies):
    assert replies.get("/replies").status_code == 405


def test_the_same_key_and_body_get_the_same_answer_and_another_body_none(replies, bus):
    first, again, other = post(replies), post(replies), post(replies, {"to": "1"})

    assert (first.json, again.status_code) == (again.json, 202)
    assert (other.status_code, other.json["error"]) == (409, "other_body")
    # Told twice: whoever sends knows it by its id.
    assert {event.attributes["reply_id"] for event in published(bus, "replies")} == {first.json["reply_id"]}


def test_a_key_is_one_of_its_owner_whichever_token_is_used(replies):
    old = post(replies, token=TOKENS["desk"]["tokens"][0])

    assert post(replies).json == old.json
    assert post(replies, token=OTHER).json != old.json


def test_a_reply_that_was_taken_is_taken_again_after_it_has_expired(replies, monkeypatch):
    body = json.dumps(REPLY | {"expires_at": in_days(1)}).encode()
    first = post(replies, body)

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + dt.timedelta(days=2)

    later = types.SimpleNamespace(datetime=Later, UTC=dt.UTC, timedelta=dt.timedelta)
    monkeypatch.setattr("receiver.sources.replies.dt", later)
    again = post(replies, body)
    new = post(replies, body, key="another")

    assert (again.status_code, again.json) == (202, first.json)
    assert (new.status_code, new.json["error"]) == (400, "expired")


def test_a_key_without_its_event_is_used_by_the_same_body_after_a_restart(environ, bus, monkeypatch):
    """As after a kill between the key and the commit."""
    with receiving(environ, "replies", REPLY_TOKENS=json.dumps(TOKENS)) as client:
        with monkeypatch.context() as broken:
            broken.setattr(Committers, "commit", lambda *_: (_ for _ in ()).throw(UnavailableError("killed")))
            refused = post(client)
        assert (refused.status_code, refused.json["error"]) == (503, "unavailable")
        assert refused.headers["Retry-After"]
    with receiving(environ, "replies", REPLY_TOKENS=json.dumps(TOKENS)) as client:
        assert post(client, {"to": "1"}).status_code == 409
        assert post(client).status_code == 202
    assert only(bus, "replies").attributes["reply_id"] == reply_id("desk", KEY)


def test_of_two_receivers_with_one_key_one_body_stands(environ, bus, tmp_path):
    answers = []
    second = environ | {"PARLEY_DATA_DIR": str(tmp_path / "other")}
    tokens = json.dumps(TOKENS)
    start = threading.Barrier(8)

    def ask(client, number):
        start.wait()
        answers.append((number % 2, post(client, {"to": str(number % 2)}).status_code))

    with receiving(environ, "replies", REPLY_TOKENS=tokens) as one, receiving(second, REPLY_TOKENS=tokens) as two:
        threads = [
            threading.Thread(target=ask, args=(client.application.test_client(), number))
            for number, client in enumerate([one, two, two, one, one, one, two, two])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    taken = {body for body, status in answers if status == 202}
    assert len(taken) == 1
    assert {status for body, status in answers if body not in taken} == {409}
    assert {json.loads(event.data)["to"] for event in published(bus, "replies")} == {str(*taken)}


@pytest.mark.parametrize("step", ["read", "create"])
def test_where_keys_cannot_be_kept_nothing_is_taken(replies, bus, monkeypatch, step):
    def fail(*_):
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(FolderStore, step, fail)
        answer = post(replies)

    assert (answer.status_code, answer.json["error"]) == (503, "unavailable")
    assert not published(bus, "replies")
    assert post(replies).status_code == 202


def test_a_register_that_hangs_is_not_waited_for():
    go_on = threading.Event()

    class Hangs(FolderStore):
        def read(self, name):
            go_on.wait(60)

    register = keys.Keys(Hangs(Path("/nowhere")), wait_seconds=0.01)
    try:
        with pytest.raises(keys.UnknownError, match="not within"):
            register.register("0" * 36, b"", lambda: None)
    finally:
        go_on.set()


def test_what_others_sent_may_be_told_late(replies, bus):
    told = {"sent_by_others": True, "source_message_id": "wamid.1", "expires_at": in_days(-3)}

    assert post(replies, told).status_code == 202
    assert json.loads(only(bus, "replies").data)["sent_by_others"] is True


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ("{", "is not like"),
        ("{}", "names nobody"),
        ('{"desk":{"tokens":["short"],"channels":["twilio/*"]}}', "less than 32"),
        ('{"desk":{"tokens":[],"channels":["twilio/*"]}}', "needs tokens and channels"),
        (f'{{"desk":{{"tokens":["{TOKEN}"],"channels":[]}}}}', "needs tokens and channels"),
        (f'{{"desk":{{"tokens":["{TOKEN}"],"channels":["*"]}}}}', "not like whatsapp/1003"),
        (f'{{"desk":{{"tokens":["{TOKEN}"],"channels":["google/1"]}}}}', "not like whatsapp/1003"),
        (f'{{"sender":{{"tokens":["{TOKEN}"],"channels":["twilio/*"]}}}}', "sender is known"),
        (f'{{"a b":{{"tokens":["{TOKEN}"],"channels":["twilio/*"]}}}}', "is no name"),
        (f'{{"desk":{{"tokens":["{TOKEN}","{TOKEN}"],"channels":["twilio/*"]}}}}', "one token twice"),
        (f'{{"desk":{{"tokens":["{TOKEN}"],"channels":["twilio/*"],"more":1}}}}', "unknown field"),
    ],
)
def test_wrong_tokens_are_named_at_the_start_and_not_told(environ, tokens, problem):
    with pytest.raises(ConfigError) as raised:
        create_app(environ | {"PARLEY_REPLY_TOKENS": tokens})

    assert problem in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_tokens_need_an_archive(environ):
    with pytest.raises(ConfigError, match="PARLEY_REPLY_TOKENS needs PARLEY_ARCHIVE"):
        create_app(environ | {"PARLEY_REPLY_TOKENS": json.dumps(TOKENS), "PARLEY_ARCHIVE": "none"})


def test_replies_are_never_unsigned(environ):
    with pytest.raises(ConfigError, match="always needs a token"):
        create_app(environ | {"PARLEY_ALLOW_UNSIGNED": "replies"})


def test_tokens_may_lie_in_a_file(environ, bus, tmp_path):
    (tmp_path / "tokens").write_text(json.dumps(TOKENS))
    with receiving(environ, "replies", REPLY_TOKENS_FILE=str(tmp_path / "tokens")) as client:
        assert post(client).status_code == 202


def test_an_answer_goes_to_a_channel_that_the_live_chat_has(environ, bus):
    tokens = json.dumps({"desk": {"tokens": [TOKEN], "channels": ["chatplugin/*"]}})
    chat = {"CHATPLUGIN_SECRETS": "s" * 32, "CHATPLUGIN_CHANNELS": '{"shop": ["https://shop.example"]}'}
    answer = {"source": "chatplugin", "to": "3d9ac0d8"}
    with receiving(environ, "replies", REPLY_TOKENS=tokens) as without:
        assert post(without, answer | {"channel": "shop"}).json["error"] == "unknown_channel"
    with receiving(environ, "replies", REPLY_TOKENS=tokens, **chat) as client:
        gone = post(client, answer | {"channel": "gone"})
        assert (gone.status_code, gone.json["error"]) == (400, "unknown_channel")
        assert post(client, answer | {"channel": "shop"}).status_code == 202
    assert [json.loads(event.data)["channel"] for event in published(bus, "replies")] == ["shop"]
