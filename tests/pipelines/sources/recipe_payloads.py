"""Payloads of the recipes' providers, written after their public documentation, values our own.

Each is (body, what it becomes): a text, a (type, url or id) of media, or a `{key: value}` of metadata, which is
about the source's first message where `JOINED` has its key.
"""

import base64
import json
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


def form(**fields):
    return urlencode(fields).encode()


def rcs(**said):
    told = {
        "senderPhoneNumber": "+4917612345678",
        "agentId": "shop@rbm.goog",
        "sendTime": "2026-11-22T18:29:00.1Z",
    } | said
    return {"message": {"data": base64.b64encode(json.dumps(told).encode()).decode(), "messageId": "9"}}


def telnyx(event, direction="inbound", **said):
    ours, theirs = {"phone_number": "+4930", "status": "delivered"}, {"phone_number": "+4917612345678"}
    sender, to = (theirs, ours) if direction == "inbound" else (ours, theirs | said.pop("to", {}))
    payload = {"id": "tm", "direction": direction, "from": sender, "to": [to]} | said
    return {"data": {"event_type": event, "occurred_at": "2026-11-22T18:29:00.123+00:00", "payload": payload}}


TELEGRAM_FROM = {"id": 11, "is_bot": False, "first_name": "Ada", "last_name": "L", "username": "ada"}
TELEGRAM = {"message_id": 5, "from": TELEGRAM_FROM, "chat": {"id": 11, "type": "private"}, "date": 1795372100}
LINE_USER = {"type": "user", "userId": "U1"}
VIBER = {"timestamp": 1795372100123, "message_token": 4912661846655238145, "sender": {"id": "v1", "name": "Ada"}}
SLACK = {"type": "message", "channel": "C1", "user": "U1", "ts": "1795372100.000100", "team": "T1"}
DISCORD = {
    "application_id": "9",
    "guild_id": "8",
    "channel_id": "7",
    "member": {"user": {"id": "6", "username": "ada"}},
}
INTERCOM_CONTACTS = {"type": "contact.list", "contacts": [{"type": "contact", "id": "ct1"}]}
ZENDESK_AUTHOR = {"type": "user", "userId": "zu", "displayName": "Ada", "user": {"id": "zu"}}
VONAGE = {"channel": "whatsapp", "to": "4930", "from": "4917", "timestamp": "2026-11-22T18:29:00Z"}
BIRD = {
    "contact": {"id": "bc", "msisdn": 4917612345678, "displayName": "Ada"},
    "conversation": {"id": "bv"},
    "type": "message.created",
}
BIRD_MESSAGE = {"id": "bm", "channelId": "bch", "from": "+49176", "createdDatetime": "2026-11-22T18:29:00Z"}
FRONT_RECIPIENTS = [{"handle": "ada@example.com", "role": "from"}]
ZALO = {"app_id": "77", "sender": {"id": "zs"}, "recipient": {"id": "zr"}, "timestamp": "1795372200000"}
KAKAO_USER = {"id": "k1", "type": "botUserKey", "properties": {"botUserKey": "k1"}}
GUPSHUP_SENDER = {"phone": "4917", "name": "Ada"}
INFOBIP = {"from": "4917", "to": "4930", "messageId": "im", "receivedAt": "2026-11-22T18:29:00.000+0000"}
TEAMS = {
    "id": "1795372100",
    "timestamp": "2026-11-22T18:29:00Z",
    "from": {"id": "29:a", "name": "Ada"},
    "recipient": {"id": "28:b"},
    "conversation": {"id": "19:c"},
}
CHAT = {
    "eventTime": "2026-11-22T18:29:00Z",
    "user": {"name": "users/1", "displayName": "Ada"},
    "space": {"name": "spaces/A"},
}
MATTERMOST = {"token": "a-token-of-26-letters-here", "team_id": "t", "channel_id": "c", "user_id": "u"}
CRISP = {"website_id": "w", "session_id": "s", "fingerprint": 163239623329114, "timestamp": 1795372100123}
CHATWOOT = {
    "id": 3,
    "message_type": "incoming",
    "created_at": "2026-11-22T18:29:00.000Z",
    "inbox": {"id": 1},
    "conversation": {"id": 2, "meta": {"sender": {"id": 4, "name": "Ada"}}},
    "sender": {"id": 4},
}
FRESHCHAT = {"id": "fm", "conversation_id": "fc", "channel_id": "fh", "actor_type": "user", "actor_id": "fu"}

PAYLOADS = {
    "telegram": [
        ({"update_id": 1, "message": TELEGRAM | {"text": "Hi 🚀"}}, "Hi 🚀"),
        (
            {
                "update_id": 2,
                "message": TELEGRAM | {"message_id": 6, "photo": [{"file_id": "s"}, {"file_id": "L"}]},
            },
            ("image", "L"),
        ),
        (
            {"update_id": 6, "message": TELEGRAM | {"message_id": 7, "voice": {"file_id": "V"}}},
            ("audio", "V"),
        ),
        (
            {"update_id": 3, "edited_message": TELEGRAM | {"edit_date": 1795372150, "text": "Hi!"}},
            {"source.edited": "Hi!"},
        ),
        (
            {
                "update_id": 4,
                "message_reaction": {
                    "chat": {"id": 11},
                    "message_id": 5,
                    "user": TELEGRAM_FROM,
                    "date": 1795372160,
                    "new_reaction": [{"type": "emoji", "emoji": "👍"}],
                },
            },
            {"reaction.emoji": "👍"},
        ),
        (
            {
                "update_id": 7,
                "message_reaction": {
                    "chat": {"id": 11},
                    "message_id": 5,
                    "user": TELEGRAM_FROM,
                    "date": 1795372161,
                    "new_reaction": [{"type": "custom_emoji", "custom_emoji_id": "5368324170671202286"}],
                },
            },
            {"reaction.emoji": "5368324170671202286"},
        ),
        (
            {
                "update_id": 8,
                "edited_message": TELEGRAM
                | {"edit_date": 1795372170, "location": {"latitude": 52.5, "longitude": 13.4, "live_period": 900}},
            },
            {"source.location": "52.5, 13.4"},
        ),
        (
            {
                "update_id": 5,
                "callback_query": {"id": "q1", "from": TELEGRAM_FROM, "message": TELEGRAM, "data": "yes"},
            },
            ("postback", "yes"),
        ),
    ],
    "line": [
        (
            {
                "destination": "D",
                "events": [
                    {
                        "type": "message",
                        "timestamp": 1795372100123,
                        "source": LINE_USER,
                        "message": {"id": "l1", "type": "text", "text": "Hi"},
                    }
                ],
            },
            "Hi",
        ),
        (
            {
                "destination": "D",
                "events": [
                    {"type": "message", "source": LINE_USER, "message": {"id": "l2", "type": "image"}},
                ],
            },
            ("image", "l2"),
        ),
        (
            {
                "destination": "D",
                "events": [{"type": "unsend", "source": LINE_USER, "unsend": {"messageId": "l1"}}],
            },
            {"source.deleted": "true"},
        ),
        (
            {
                "destination": "D",
                "events": [
                    {
                        "type": "postback",
                        "source": LINE_USER,
                        "webhookEventId": "we1",
                        "postback": {"data": "buy"},
                    }
                ],
            },
            ("postback", "buy"),
        ),
        (
            {"destination": "D", "events": [{"type": "follow", "source": LINE_USER}]},
            {"source.subscription": "follow"},
        ),
    ],
    "viber": [
        (VIBER | {"event": "message", "message": {"type": "text", "text": "Hi"}}, "Hi"),
        (
            VIBER
            | {
                "event": "message",
                "message_token": 2,
                "message": {"type": "picture", "media": "https://m.example/p", "text": "cap"},
            },
            ("image", "https://m.example/p"),
        ),
        (
            {
                "event": "seen",
                "timestamp": 1795372109123,
                "message_token": 4912661846655238145,
                "user_id": "v1",
            },
            {"source.delivery_state": "seen"},
        ),
        ({"event": "webhook", "timestamp": 1795372100123}, {"source.webhook": ""}),
    ],
    "slack": [
        ({"team_id": "T1", "type": "event_callback", "event": SLACK | {"text": "Hi"}}, "Hi"),
        (
            {
                "team_id": "T1",
                "event": SLACK
                | {
                    "subtype": "file_share",
                    "ts": "1795372101.000100",
                    "files": [{"id": "F1", "mimetype": "image/png", "url_private": "https://f.example/1"}],
                },
            },
            ("image", "https://f.example/1"),
        ),
        (
            {
                "team_id": "T1",
                "event": {
                    "type": "message",
                    "subtype": "message_changed",
                    "channel": "C1",
                    "message": {"ts": "1795372100.000100", "text": "Hi!", "edited": {"user": "U1"}},
                },
            },
            {"source.edited": "Hi!"},
        ),
        *(
            (
                {"team_id": "T1", "event": SLACK | {"subtype": kind, "ts": f"1795372104.{n}", "text": kind}},
                kind,
            )
            for n, kind in enumerate(("thread_broadcast", "me_message"))
        ),
        (
            {
                "team_id": "T1",
                "event": {
                    "type": "message",
                    "subtype": "message_changed",
                    "channel": "C1",
                    "message": {
                        "ts": "1795372100.000100",
                        "text": "Hi",
                        "attachments": [{"from_url": "https://x"}],
                    },
                    "previous_message": {"ts": "1795372100.000100", "text": "Hi"},
                    "event_ts": "1795372105.000100",
                },
            },
            {"source.message_changed": "attachments"},
        ),
        (
            {
                "team_id": "T1",
                "event": {
                    "type": "message",
                    "subtype": "message_changed",
                    "channel": "C1",
                    "message": {
                        "subtype": "tombstone",
                        "ts": "1795372100.000100",
                        "text": "This message was deleted.",
                    },
                    "previous_message": {"ts": "1795372100.000100", "text": "Hi"},
                    "event_ts": "1795372106.000100",
                },
            },
            {"source.deleted": "true"},
        ),
        (
            {
                "team_id": "T1",
                "event": {
                    "type": "message",
                    "subtype": "message_deleted",
                    "channel": "C1",
                    "deleted_ts": "1795372100.000100",
                    "event_ts": "1795372107.000100",
                },
            },
            {"source.deleted": "true"},
        ),
        (
            {
                "team_id": "T1",
                "event": {
                    "type": "reaction_added",
                    "user": "U2",
                    "reaction": "tada",
                    "item": {"type": "message", "channel": "C1", "ts": "1795372100.000100"},
                },
            },
            {"reaction.emoji": "tada"},
        ),
        (
            {
                "team_id": "T1",
                "event": {k: v for k, v in SLACK.items() if k != "user"}
                | {"bot_id": "B1", "subtype": "bot_message", "ts": "1795372102.1", "text": "from the bot"},
            },
            "from the bot",
        ),
        (
            form(
                payload='{"type":"block_actions","trigger_id":"t1","team":{"id":"T1"},"user":{"id":"U1"},'
                '"container":{"channel_id":"C1","message_ts":"1795372100.000100"},"channel":{"id":"C1"},'
                '"actions":[{"action_id":"a","value":"yes","text":{"text":"Yes"},"action_ts":"1795372103.1"}]}'
            ),
            ("postback", "yes"),
        ),
        (
            form(command="/ask", text="me ä", user_id="U1", channel_id="C1", team_id="T1", trigger_id="t2"),
            "/ask me ä",
        ),
    ],
    "discord": [
        (
            DISCORD
            | {"id": "1", "type": 2, "data": {"name": "ask", "options": [{"name": "what", "value": "price"}]}},
            "ask price",
        ),
        (
            DISCORD
            | {
                "id": "2",
                "type": 2,
                "data": {
                    "name": "up",
                    "resolved": {
                        "attachments": {
                            "5": {"id": "5", "url": "https://d.example/5", "content_type": "image/png"}
                        }
                    },
                },
            },
            ("image", "https://d.example/5"),
        ),
        (
            DISCORD | {"id": "3", "type": 3, "message": {"id": "m"}, "data": {"custom_id": "yes"}},
            ("postback", "yes"),
        ),
        (
            DISCORD
            | {
                "id": "4",
                "type": 5,
                "data": {"custom_id": "f", "components": [{"components": [{"custom_id": "n", "value": "Ada"}]}]},
            },
            "Ada",
        ),
        (
            DISCORD
            | {
                "id": "5",
                "type": 5,
                "data": {
                    "custom_id": "f",
                    "components": [
                        {"type": 18, "component": {"type": 4, "custom_id": "n", "value": "Ada"}},
                        {"type": 18, "component": {"type": 3, "custom_id": "c", "values": ["red", "blue"]}},
                    ],
                },
            },
            "Ada\nred\nblue",
        ),
        (
            DISCORD
            | {
                "id": "6",
                "type": 2,
                "data": {
                    "name": "order",
                    "options": [
                        {"name": "cake", "type": 2, "options": [{"name": "add", "options": [{"value": 3}]}]}
                    ],
                },
            },
            "order cake add 3",
        ),
    ],
    "intercom": [
        (
            {
                "app_id": "a",
                "topic": "conversation.user.created",
                "created_at": 1795372100,
                "data": {
                    "item": {
                        "type": "conversation",
                        "id": "ic",
                        "created_at": 1795372100,
                        "contacts": INTERCOM_CONTACTS,
                        "source": {"id": "is", "body": "<p>Hi</p>", "author": {"type": "user", "id": "ct1"}},
                    }
                },
            },
            "Hi",
        ),
        (
            {
                "app_id": "a",
                "topic": "conversation.user.replied",
                "data": {
                    "item": {
                        "id": "ic",
                        "contacts": INTERCOM_CONTACTS,
                        "conversation_parts": {
                            "conversation_parts": [
                                {
                                    "id": "p1",
                                    "part_type": "comment",
                                    "created_at": 1795372110,
                                    "author": {"type": "user", "id": "ct1"},
                                    "attachments": [
                                        {"name": "x", "url": "https://i.example/x", "content_type": "image/png"}
                                    ],
                                }
                            ]
                        },
                    }
                },
            },
            ("image", "https://i.example/x"),
        ),
        (
            {
                "app_id": "a",
                "topic": "conversation.admin.closed",
                "created_at": 1795372200,
                "data": {"item": {"id": "ic"}},
            },
            {"source.state": "closed"},
        ),
    ],
    "zendesk": [
        (
            {
                "app": {"id": "za"},
                "events": [
                    {
                        "id": "e1",
                        "type": "conversation:message",
                        "createdAt": "2026-11-22T18:29:00.123Z",
                        "payload": {
                            "conversation": {"id": "zc"},
                            "message": {
                                "id": "zm",
                                "received": "2026-11-22T18:29:00Z",
                                "author": ZENDESK_AUTHOR,
                                "content": {"type": "text", "text": "Hi"},
                            },
                        },
                    }
                ],
            },
            "Hi",
        ),
        (
            {
                "app": {"id": "za"},
                "events": [
                    {
                        "id": "e2",
                        "type": "conversation:message",
                        "payload": {
                            "conversation": {"id": "zc"},
                            "message": {
                                "id": "zm2",
                                "author": {"type": "business", "displayName": "Shop"},
                                "content": {"type": "image", "mediaUrl": "https://z.example/i"},
                            },
                        },
                    }
                ],
            },
            ("image", "https://z.example/i"),
        ),
        (
            {
                "app": {"id": "za"},
                "events": [
                    {
                        "id": "e3",
                        "type": "conversation:message:delivery:user",
                        "createdAt": "2026-11-22T18:29:01Z",
                        "payload": {
                            "user": {"id": "zu"},
                            "conversation": {"id": "zc"},
                            "message": {"id": "zm"},
                        },
                    }
                ],
            },
            {"source.delivery_state": "delivered"},
        ),
        *(
            (
                {
                    "app": {"id": "za"},
                    "events": [
                        {
                            "id": "e4",
                            "type": "conversation:read",
                            "createdAt": "2026-11-22T18:29:02Z",
                            "payload": {
                                "conversation": {"id": "zc"},
                                "activity": {"type": "conversation:read", "author": author},
                            },
                        }
                    ],
                },
                fact,
            )
            for author, fact in (
                ({"type": "user", "userId": "zu"}, {"source.read_watermark": "2026-11-22T18:29:02Z"}),
                ({"type": "business"}, {"source.marked_seen": "true"}),
            )
        ),
    ],
    "vonage": [
        (VONAGE | {"message_uuid": "vm", "message_type": "text", "text": "Hi"}, "Hi"),
        (
            VONAGE
            | {
                "message_uuid": "vm2",
                "message_type": "image",
                "image": {"url": "https://v.example/i", "caption": "c"},
            },
            ("image", "https://v.example/i"),
        ),
        (
            {
                "message_uuid": "vm",
                "channel": "whatsapp",
                "to": "4917",
                "from": "4930",
                "timestamp": "2026-11-22T18:30:00Z",
                "status": "read",
            },
            {"source.delivery_state": "read"},
        ),
        *(
            (
                VONAGE
                | {"message_uuid": f"vm{n}", "message_type": "reaction", "context": {"message_uuid": "vm"}}
                | {"reaction": reaction},
                {"reaction.emoji": reaction.get("emoji", "")},
            )
            for n, reaction in enumerate(({"action": "react", "emoji": "👍"}, {"action": "unreact"}), 3)
        ),
    ],
    "messagebird": [
        (
            BIRD
            | {"message": BIRD_MESSAGE | {"direction": "received", "type": "text", "content": {"text": "Hi"}}},
            "Hi",
        ),
        (
            BIRD
            | {
                "message": BIRD_MESSAGE
                | {
                    "id": "b2",
                    "direction": "received",
                    "type": "image",
                    "content": {"image": {"url": "https://b.example/i"}},
                }
            },
            ("image", "https://b.example/i"),
        ),
        (
            BIRD
            | {
                "type": "message.updated",
                "message": BIRD_MESSAGE | {"status": "read", "updatedDatetime": "2026-11-22T18:30:00Z"},
            },
            {"source.delivery_state": "read"},
        ),
    ],
    "front": [
        (
            {
                "type": "inbound_received",
                "payload": {
                    "id": "evt",
                    "type": "inbound",
                    "emitted_at": 1795372100.1,
                    "conversation": {"id": "cnv"},
                    "source": {"data": [{"id": "inb"}]},
                    "target": {
                        "_meta": {"type": "message"},
                        "data": {
                            "id": "msg",
                            "type": "email",
                            "is_inbound": True,
                            "created_at": 1795372100.1,
                            "body": "<p>Hi</p>",
                            "recipients": FRONT_RECIPIENTS,
                        },
                    },
                },
            },
            "Hi",
        ),
        (
            {
                "type": "outbound_sent",
                "payload": {
                    "emitted_at": 1795372101,
                    "conversation": {"id": "cnv", "recipient": {"handle": "ada@example.com"}},
                    "target": {
                        "_meta": {"type": "message"},
                        "data": {
                            "id": "msg2",
                            "is_inbound": False,
                            "text": "see",
                            "author": {"id": "tea"},
                            "attachments": [
                                {
                                    "id": "fil",
                                    "url": "https://f.example/x",
                                    "filename": "x",
                                    "content_type": "image/png",
                                }
                            ],
                        },
                    },
                },
            },
            ("image", "https://f.example/x"),
        ),
        (
            {"type": "conversation_archived", "payload": {"type": "archive", "conversation": {"id": "cnv"}}},
            {"source.event": "archive"},
        ),
    ],
    "zalo": [
        (ZALO | {"event_name": "user_send_text", "message": {"msg_id": "zm", "text": "Hi"}}, "Hi"),
        (
            ZALO
            | {
                "event_name": "anonymous_send_text",
                "message": {"msg_id": "z3", "conversation_id": "zc", "text": "Who am I?"},
            },
            "Who am I?",
        ),
        (
            ZALO | {"event_name": "oa_send_anonymous_text", "message": {"msg_id": "z4", "text": "Ask"}},
            "Ask",
        ),
        (
            ZALO
            | {
                "event_name": "user_send_group_text",
                "oa_id": "zr",
                "recipient": {"id": "zg"},
                "message": {"msg_id": "z5", "text": "All of you"},
            },
            "All of you",
        ),
        (
            ZALO | {"event_name": "user_reacted_message", "message": {"msg_id": "zm", "react_icon": "/-heart"}},
            {"reaction.emoji": "/-heart"},
        ),
        (
            ZALO
            | {
                "event_name": "user_send_image",
                "message": {
                    "msg_id": "z2",
                    "attachments": [{"type": "image", "payload": {"url": "https://z.example/i"}}],
                },
            },
            ("image", "https://z.example/i"),
        ),
        (
            ZALO
            | {
                "event_name": "user_seen_message",
                "message": {"msg_ids": ["zm"]},
                "sender": {"id": "zr"},
                "recipient": {"id": "zs"},
            },
            {"source.delivery_state": "read"},
        ),
    ],
    "kakao": [
        (
            {"bot": {"id": "b"}, "userRequest": {"utterance": "Hi", "user": KAKAO_USER, "lang": "ko"}},
            "Hi",
        ),
        (
            {
                "bot": {"id": "b"},
                "userRequest": {
                    "utterance": "https://k.example/i",
                    "user": KAKAO_USER,
                    "params": {"media": {"type": "image", "url": "https://k.example/i"}},
                },
            },
            ("image", "https://k.example/i"),
        ),
        (
            {
                "bot": {"id": "b"},
                "userRequest": {"utterance": "Yes", "user": KAKAO_USER},
                "action": {"clientExtra": {"choice": "yes"}},
            },
            ("message", "yes"),
        ),
    ],
    "gupshup": [
        (
            {
                "app": "shop",
                "timestamp": 1795372100123,
                "type": "message",
                "payload": {
                    "id": "gm",
                    "source": "4917",
                    "type": "text",
                    "payload": {"text": "Hi"},
                    "sender": GUPSHUP_SENDER,
                },
            },
            "Hi",
        ),
        (
            {
                "app": "shop",
                "type": "message",
                "payload": {
                    "id": "g2",
                    "source": "4917",
                    "type": "image",
                    "payload": {"url": "https://g.example/i", "contentType": "image/jpeg"},
                    "sender": GUPSHUP_SENDER,
                },
            },
            ("image", "https://g.example/i"),
        ),
        (
            {
                "app": "shop",
                "type": "message-event",
                "payload": {"id": "wamid", "gsId": "gm", "type": "read", "destination": "4917"},
            },
            {"source.delivery_state": "read"},
        ),
    ],
    "infobip": [
        ({"results": [INFOBIP | {"message": {"type": "TEXT", "text": "Hi"}, "contact": {"name": "Ada"}}]}, "Hi"),
        (
            {
                "results": [
                    INFOBIP | {"messageId": "i2", "message": {"type": "IMAGE", "url": "https://i.example/i"}},
                ]
            },
            ("image", "https://i.example/i"),
        ),
        (
            {
                "results": [
                    {"messageId": "im", "from": "4930", "to": "4917", "seenAt": "2026-11-22T18:30:00.000+0000"},
                ]
            },
            {"source.delivery_state": "read"},
        ),
        (
            {
                "results": [
                    {
                        "messageId": "im",
                        "to": "4917",
                        "doneAt": "2026-11-22T18:30:00.000+0000",
                        "status": {"groupName": "DELIVERED"},
                    }
                ]
            },
            {"source.delivery_state": "delivered"},
        ),
        (
            {
                "results": [
                    {"messageId": "im", "status": {"groupName": "DELIVERED", "name": "DELIVERED_TO_OPERATOR"}}
                ]
            },
            {"source.delivery_state": "sent"},
        ),
    ],
    "teams": [
        (TEAMS | {"type": "message", "text": "<at>Bot</at> Hi"}, "Bot Hi"),
        (
            TEAMS
            | {
                "type": "message",
                "id": "2",
                "attachments": [
                    {"contentType": "image/png", "contentUrl": "https://t.example/i", "name": "i"},
                    {"contentType": "text/html", "content": "<p></p>"},
                ],
            },
            ("image", "https://t.example/i"),
        ),
        (TEAMS | {"type": "messageUpdate", "text": "Hi!"}, {"source.edited": "Hi!"}),
        (
            TEAMS
            | {
                "type": "messageReaction",
                "replyToId": "1795372100",
                "reactionsAdded": [{"type": "like"}],
                "id": "r",
            },
            {"reaction.emoji": "like"},
        ),
    ],
    "google-chat": [
        (
            CHAT
            | {
                "type": "MESSAGE",
                "message": {"name": "spaces/A/messages/B", "text": "Hi", "thread": {"name": "t"}},
            },
            "Hi",
        ),
        (
            CHAT
            | {
                "type": "MESSAGE",
                "message": {
                    "name": "spaces/A/messages/C",
                    "attachment": [
                        {
                            "name": "a1",
                            "contentName": "i.png",
                            "contentType": "image/png",
                            "downloadUri": "https://c.example/i",
                        }
                    ],
                },
            },
            ("image", "https://c.example/i"),
        ),
        (
            CHAT
            | {
                "type": "CARD_CLICKED",
                "message": {"name": "spaces/A/messages/B"},
                "action": {"actionMethodName": "yes"},
            },
            ("postback", "yes"),
        ),
        (CHAT | {"type": "ADDED_TO_SPACE"}, {"source.subscription": "ADDED_TO_SPACE"}),
        (
            CHAT
            | {
                "type": "ADDED_TO_SPACE",
                "message": {"name": "spaces/A/messages/D", "text": "@Shop are you open?"},
            },
            "@Shop are you open?",
        ),
    ],
    "mattermost": [
        (MATTERMOST | {"post_id": "p1", "text": "Hi", "timestamp": 1795372100123, "user_name": "ada"}, "Hi"),
        (MATTERMOST | {"post_id": "p2", "text": "", "file_ids": "f1"}, ("file", "f1")),
        (form(**MATTERMOST, command="/ask", text="me", trigger_id="t1"), "/ask me"),
    ],
    "crisp": [
        (
            {
                "website_id": "w",
                "event": "message:send",
                "data": CRISP | {"type": "text", "from": "user", "content": "Hi", "user": {"nickname": "Ada"}},
            },
            "Hi",
        ),
        (
            {
                "website_id": "w",
                "event": "message:received",
                "data": CRISP
                | {
                    "fingerprint": 2,
                    "type": "file",
                    "from": "operator",
                    "content": {"url": "https://c.example/i", "name": "i", "type": "image/png"},
                },
            },
            ("image", "https://c.example/i"),
        ),
        (
            {
                "website_id": "w",
                "event": "message:updated",
                "timestamp": 1795372109123,
                "data": {"session_id": "s", "fingerprint": 163239623329114, "content": "Hi!"},
            },
            {"source.edited": "Hi!"},
        ),
        (
            {
                "website_id": "w",
                "event": "message:updated",
                "timestamp": 1795372109123,
                "data": {
                    "session_id": "s",
                    "fingerprint": 163239623329114,
                    "content": {"text": "Hi", "choices": [{"value": "no"}, {"value": "yes", "selected": True}]},
                },
            },
            {"source.answered": "yes"},
        ),
        (
            {
                "website_id": "w",
                "event": "message:received",
                "data": CRISP | {"fingerprint": 3, "type": "note", "from": "operator", "content": "Rude."},
            },
            {"source.note": "note"},
        ),
        (
            {
                "website_id": "w",
                "event": "message:received",
                "data": CRISP | {"fingerprint": 4, "type": "event", "content": {"namespace": "state:resolved"}},
            },
            {"source.note": "state:resolved"},
        ),
        (
            {
                "website_id": "w",
                "event": "message:acknowledge:read:send",
                "timestamp": 1795372109123,
                "data": {"session_id": "s", "fingerprints": [163239623329114]},
            },
            {"source.delivery_state": "read"},
        ),
    ],
    "chatwoot": [
        (CHATWOOT | {"event": "message_created", "content": "Hi"}, "Hi"),
        (
            CHATWOOT
            | {
                "event": "message_created",
                "id": 4,
                "attachments": [{"id": 1, "file_type": "image", "data_url": "https://w.example/i"}],
            },
            ("image", "https://w.example/i"),
        ),
        (
            CHATWOOT | {"event": "message_updated", "status": "read"},
            {"source.delivery_state": "read"},
        ),
        (
            {"event": "conversation_status_changed", "id": 2, "inbox_id": 1, "status": "resolved"},
            {"source.state": "resolved"},
        ),
    ],
    "freshchat": [
        (
            {
                "action": "message_create",
                "action_time": "2026-11-22T18:29:00.123Z",
                "data": {"message": FRESHCHAT | {"message_parts": [{"text": {"content": "Hi"}}]}},
            },
            "Hi",
        ),
        (
            {
                "action": "message_create",
                "data": {
                    "message": FRESHCHAT
                    | {
                        "id": "f2",
                        "actor_type": "agent",
                        "actor_id": "ag",
                        "message_parts": [
                            {"image": {"url": "https://f.example/i", "content_type": "image/png"}},
                        ],
                    }
                },
            },
            ("image", "https://f.example/i"),
        ),
        (
            {
                "action": "conversation_resolution",
                "data": {"resolve": {"conversation": {"conversation_id": "fc", "channel_id": "fh"}}},
            },
            {"source.state": "closed"},
        ),
    ],
    "rcs": [
        (rcs(messageId="m1", text="Hi 🚀"), "Hi 🚀"),
        (
            rcs(messageId="m2", userFile={"payload": {"mimeType": "image/png", "fileUri": "https://r.example/i"}}),
            ("image", "https://r.example/i"),
        ),
        (rcs(messageId="m3", location={"latitude": 52.5, "longitude": 13.4}), ("location", "52.5, 13.4")),
        (rcs(messageId="m4", suggestionResponse={"postbackData": "yes", "text": "Yes"}), ("postback", "yes")),
        (rcs(eventId="e1", eventType="READ", messageId="m1"), {"source.delivery_state": "read"}),
        (rcs(eventId="e2", eventType="IS_TYPING"), {"source.event": "IS_TYPING"}),
    ],
    "telnyx": [
        (telnyx("message.received", text="Hi"), "Hi"),
        (
            telnyx(
                "message.received",
                id="t2",
                media=[{"url": "https://t.example/i", "content_type": "image/png", "size": 3}],
            ),
            ("image", "https://t.example/i"),
        ),
        (
            telnyx("message.finalized", "outbound", to={"status": "delivered"}, text="Yes"),
            {"source.delivery_state": "delivered"},
        ),
        (
            telnyx("message.finalized", "outbound", to={"status": "sending_failed"}, text="Yes"),
            {"source.delivery_state": "failed"},
        ),
    ],
}
JOINED = {"source.edited", "source.deleted", "source.delivery_state", "reaction.emoji"}
"""Keys of metadata about the source's first message."""
OF_CONVERSATION = {"source.state", "source.read_watermark", "source.marked_seen", "source.note"}
"""Keys of metadata about the conversation of the source's first message."""
