"""The view `replies`: what became of each reply, in whatever order it was told; and one message of each."""

import datetime as dt
import json
import random

from schemas.raw_event import RawEvent, format_received_at
from schemas.replies import OUTCOME_TYPE

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
ACTOR = {"kind": "human", "id": "anna", "name": "Anna"}


def reply(number, **more):
    body = {
        "source": "facebook",
        "channel": "20",
        "to": "73",
        "content": {"text": f"Answer {number}"},
        "actor": ACTOR,
    }
    return body | more


def event(seconds, body, content_type="application/json", source="replies", **attributes):
    moment = NOON + dt.timedelta(seconds=seconds)
    told = {
        "event_id": f"019ccccc-0000-7000-8000-{int(seconds * 1000):012d}",
        "source": source,
        "received_at": format_received_at(moment),
        "content_type": content_type,
    }
    return RawEvent(json.dumps(body).encode(), told | attributes)


def posted(seconds, number, **more):
    return event(seconds, reply(number, **more), reply_id=f"reply-{number}")


def became(seconds, number, result, attempt=1, **more):
    at = (NOON + dt.timedelta(seconds=seconds)).isoformat()
    body = {"reply_id": f"reply-{number}", "number": attempt, "at": at, "result": result, "reply": reply(number)}
    return event(seconds, body | more, OUTCOME_TYPE)


def echo(seconds, mid, text):
    at = int((NOON + dt.timedelta(seconds=seconds)).timestamp() * 1000)
    message = {"mid": mid, "text": text, "is_echo": True}
    item = {"sender": {"id": "20"}, "recipient": {"id": "73"}, "timestamp": at, "message": message}
    body = {"object": "page", "entry": [{"id": "20", "time": at, "messaging": [item]}]}
    return event(seconds, body, source="facebook")


def receipt(seconds, mid):
    at = int((NOON + dt.timedelta(seconds=seconds)).timestamp() * 1000)
    item = {"sender": {"id": "73"}, "recipient": {"id": "20"}, "timestamp": at, "delivery": {"mids": [mid]}}
    body = {"object": "page", "entry": [{"id": "20", "time": at, "messaging": [item]}]}
    return event(seconds, body, source="facebook")


WORLD = [
    posted(0, 1, expires_at="2026-03-03T12:00:00Z"),
    posted(1, 2),
    became(1.5, 2, "not_sent", error_code="429", status=429),
    posted(2, 3),
    became(2.5, 3, "in_doubt"),
    posted(3, 4),
    became(3.5, 4, "in_doubt"),
    # The echo comes before the outcome, as it mostly does.
    echo(3.7, "m_4", "Answer 4"),
    became(4, 4, "accepted", source_message_id="m_4"),
    receipt(5, "m_4"),
    posted(6, 5),
    became(6.5, 5, "refused", error_code="10", status=400),
    posted(7, 6),
    became(7.5, 6, "dropped", attempt=2),
    posted(8, 7, sent_by_others=True, source_message_id="m_7", sent_at="2026-03-02T11:00:00Z"),
    # Posted twice with one key: one reply.
    posted(9, 5),
]
COLUMNS = "reply_id, state, attempts, error, status, message_id IS NOT NULL AS has_message"


def test_each_reply_has_the_state_that_it_came_to_in_any_order(analyst):
    events = WORLD.copy()
    random.Random(7).shuffle(events)
    analyst.tell(*events)

    rows = analyst.query(f"SELECT {COLUMNS} FROM parley.replies ORDER BY reply_id")

    assert [tuple(row.values()) for row in rows] == [
        ("reply-1", "pending", 0, None, None, False),
        ("reply-2", "pending", 1, "429", 429, False),
        ("reply-3", "in_doubt", 1, None, None, False),
        ("reply-4", "accepted", 1, None, None, True),
        ("reply-5", "refused", 1, "10", 400, False),
        ("reply-6", "dropped", 2, None, None, False),
        ("reply-7", "reported", 0, None, None, True),
    ]
    sql = "SELECT DISTINCT source, actor_kind, actor_id, actor_name FROM parley.replies"
    assert [tuple(row.values()) for row in analyst.query(sql)] == [("facebook", "human", "anna", "Anna")]
    sql = "SELECT posted_at, expires_at FROM parley.replies WHERE reply_id = 'reply-1'"
    assert [tuple(row.values()) for row in analyst.query(sql)] == [(NOON, NOON + dt.timedelta(days=1))]


def test_a_reply_its_echo_and_its_receipt_are_one_message_with_its_actor(analyst):
    analyst.tell(*WORLD)

    sql = """SELECT source_message_id, sender_id, text, delivery_state FROM parley.messages_current
        WHERE direction = 'outbound' ORDER BY source_message_id"""
    assert [tuple(row.values()) for row in analyst.query(sql)] == [
        ("m_4", "anna", "Answer 4", "delivered"),
        ("m_7", "anna", "Answer 7", None),
    ]
    assert analyst.query("SELECT message_id FROM parley.messages_by_receipt") == []


def test_an_answer_in_the_live_chat_is_one_message_of_the_visitors_conversation_and_may_be_read(analyst):
    chat = {"source": "chatplugin", "channel": "shop", "to": "3d9ac0d8", "actor": ACTOR}
    visitor = {"channel_id": "shop", "conversation_id": "3d9ac0d8"}

    def shown(seconds, number, content):
        body = reply(number, **chat, content=content)
        return [
            event(seconds, body, reply_id=f"reply-{number}"),
            became(seconds + 0.1, number, "accepted", source_message_id=f"reply-{number}", reply=body),
        ]

    analyst.tell(
        event(0, {"message": {"text": "Is it back?"}}, source="chatplugin", message_id="m-1", **visitor),
        event(1, {"event": "typing", "on": True}, source="chatplugin", message_id="m-2", **visitor),
        *shown(2, 1, {"sender_action": "typing_on"}),
        *shown(3, 2, {"text": "Yes"}),
        # Told again by a sender that had died.
        became(3.2, 2, "accepted", source_message_id="reply-2", reply=reply(2, **chat, content={"text": "Yes"})),
        event(5, {"event": "seen", "message_ids": ["reply-2"]}, source="chatplugin", message_id="m-3", **visitor),
    )

    sql = "SELECT direction, sender_id, text, delivery_state, conversation_id FROM parley.messages_current"
    rows = sorted(tuple(row.values()) for row in analyst.query(sql))
    assert [row[:4] for row in rows] == [
        ("inbound", "3d9ac0d8", "Is it back?", None),
        ("outbound", "anna", "Yes", "read"),
    ]
    assert rows[0][4] == rows[1][4]
    sql = "SELECT reply_id, source, state, message_id IS NOT NULL AS has_message FROM parley.replies"
    assert sorted(tuple(row.values()) for row in analyst.query(sql)) == [
        ("reply-1", "chatplugin", "accepted", False),
        ("reply-2", "chatplugin", "accepted", True),
    ]
