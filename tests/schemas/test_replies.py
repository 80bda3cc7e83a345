"""What is posted to be sent, and what became of it."""

import datetime as dt

import pytest

from schemas import replies
from schemas.replies import InvalidReplyError, Outcome, decode_outcome, decode_reply

REPLY = b'{"source": "facebook", "channel": "90210", "to": "7001", "content": {"text":  "We open at 9"}}'


def with_field(field: bytes) -> bytes:
    return REPLY[:-1] + b", " + field + b"}"


def test_content_stays_as_it_was_posted():
    assert bytes(decode_reply(REPLY).content) == b'{"text":  "We open at 9"}'
    outcome = Outcome(
        reply_id="r",
        number=1,
        at=dt.datetime.now(dt.UTC),
        result="accepted",
        reply=decode_reply(REPLY).addressed(),
    )
    assert b'{"text":  "We open at 9"}' in replies.encode(outcome)
    assert bytes(decode_outcome(replies.encode(outcome)).reply.content) == b'{"text":  "We open at 9"}'


def test_plain_text_is_told_from_a_message_of_the_source():
    assert decode_reply(REPLY).text == "We open at 9"
    native = REPLY.replace(b'{"text":  "We open at 9"}', b'{"text": "Which one?", "quick_replies": []}')
    assert decode_reply(native).text is None


def test_a_key_makes_one_reply_for_each_token():
    assert replies.reply_id("crm", "1") == replies.reply_id("crm", "1") == "fd53f963-5096-591f-b4e9-c9f153586fe5"
    assert replies.reply_id("crm", "1") != replies.reply_id("bot", "1")


@pytest.mark.parametrize("header", [None, "", "a b", "é", "x" * 256, '"', "a\n"])
def test_a_key_is_visible_and_bounded(header):
    assert replies.idempotency_key(header) is None


def test_a_key_may_be_quoted():
    assert replies.idempotency_key('"k-1"') == replies.idempotency_key("k-1") == "k-1"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"source": "facebook"}', "channel"),
        (REPLY.replace(b"facebook", b"telegram"), "source"),
        (REPLY.replace(b"90210", b""), "channel"),
        (REPLY.replace(b"7001", b"7" * 257), "to"),
        (REPLY.replace(b"90210", b"90210/subscribed_apps?x="), "no id of facebook"),
        (REPLY.replace(b"90210", b"../oauth"), "no id of facebook"),
        (REPLY.replace(b"90210", b".."), "no id of facebook"),
        (REPLY.replace(b"90210", b"9%2F1"), "no id of facebook"),
        (REPLY.replace(b'"We open at 9"', b"[" * 101 + b"]" * 101), "deeper than 100"),
        (REPLY.replace(b'{"text":  "We open at 9"}', b'"We open at 9"'), "object"),
        (REPLY.replace(b'{"text":  "We open at 9"}', b" { }"), "content"),
        (REPLY.replace(b"We open", b"\\ud800"), "hex escape"),
        (REPLY.replace(b"We open", b"\xff"), "decode"),
        (REPLY.replace(b'"We open at 9"', b"[" * 100_000 + b"]" * 100_000), "recursion"),
        (with_field(b'"expire_at": "2026-01-01T00:00:00Z"'), "expire_at"),
        (with_field(b'"expires_at": "2026-01-01T00:00:00"'), "expires_at"),
        (with_field(b'"on_doubt": "ask"'), "on_doubt"),
        (with_field(b'"actor": {"kind": "cat"}'), "actor"),
        (with_field(b'"sent_by_others": true'), "source_message_id"),
        (with_field(b'"source_message_id": "m_1"'), "sent_by_others"),
        (with_field(b'"sent_at": "2026-01-01T00:00:00Z"'), "sent_by_others"),
    ],
)
def test_what_is_no_reply_is_refused_with_what_is_wrong(body, what):
    with pytest.raises(InvalidReplyError, match=what):
        decode_reply(body)


def test_outcomes_of_a_later_version_are_read():
    body = (
        b'{"reply_id": "r", "number": 1, "at": "2026-11-28T01:00:00Z", "result": "accepted", "cost": 3, "reply": '
    )
    assert decode_outcome(body + with_field(b'"mood": "good"') + b"}").number == 1


@pytest.mark.parametrize("content_type", ["", "application/json; charset=utf-8", "text/plain", "nonsense"])
def test_whatever_is_posted_is_a_reply(content_type):
    assert replies.kind(content_type) == replies.REPLY_TYPE


def test_attempts_and_outcomes_are_known_by_their_type():
    assert replies.kind(replies.ATTEMPT_TYPE) == replies.ATTEMPT_TYPE
    assert replies.kind("Application/VND.parley.outcome+json; v=1") == replies.OUTCOME_TYPE


def test_an_answer_that_is_no_text_is_kept_as_base64():
    assert replies.answer_fields(b"\xff") == {"body_base64": "/w=="}
    assert replies.answer_fields("café".encode()) == {"body": "café"}


@pytest.mark.parametrize("frames", [0, 600])
def test_how_deep_is_too_deep_does_not_depend_on_who_reads_it(frames):
    """What is taken here must not be refused where the sender reads it: nobody would be told."""

    def below(more, call):
        return below(more - 1, call) if more else call()

    taken = REPLY.replace(b'"We open at 9"', b"[" * 98 + b"]" * 98)
    assert below(frames, lambda: decode_reply(taken)).channel == "90210"
    for depth in (100, 300, 5_000):
        refused = REPLY.replace(b'"We open at 9"', b'{"a":' * depth + b"1" + b"}" * depth)
        with pytest.raises(InvalidReplyError):
            below(frames, lambda: decode_reply(refused))  # noqa: B023
