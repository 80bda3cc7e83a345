"""Two weeks of a shop that sells coats, as its sources would tell them: the data of cookbook and view tests.

All of it follows from the numbers below; nothing is random and nothing depends on the day of the test.
"""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from pipelines.bigquery import resolving
from pipelines.core.rows import Row
from pipelines.sources import PARSERS, registry
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent, format_received_at
from tests.schemas.analyst import Analyst

MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
DAYS = 14
PAGE, PROFILE = "204500000000001", "17840000000000077"
PHONE_NUMBER, DISPLAYED_NUMBER = "106540352242922", "4915550000001"
SMS_NUMBER = "+4915550000002"
SOURCES_FILE = "[shop-app]\n"
"""A custom source that posts Parley's own JSON."""

QUESTIONS = (
    "Is the blue coat still available?",
    "Which size do I need at 1.78 m?",
    'Do you ship to Austria? 🙂 "express" would be best',
    "My order has not arrived yet",
    "Can I return it?\nIt is too small",
)
ANSWERS = ("Yes, it is!", "M should fit.", "We ship tomorrow.", "Let me have a look.")

RUNS = """
  (run_id, state, state_at, actor, reason, generation, selection, counts, events, damages) VALUES
  ('019cbbbb-1', 'planned', TIMESTAMP '2026-03-17 09:00:00+00', 'operator', NULL, 1,
   '{"from": "2026-03-02", "to": "2026-03-09", "sources": ["whatsapp"]}',
   '{"messages": {"added": 0, "removed": 0, "changed": 12, "unchanged": 14}}', 26, '[]'),
  ('019cbbbb-1', 'applied', TIMESTAMP '2026-03-17 09:05:00+00', 'operator', NULL, 1,
   '{"from": "2026-03-02", "to": "2026-03-09", "sources": ["whatsapp"]}',
   '{"messages": {"added": 0, "removed": 0, "changed": 12, "unchanged": 14}}', 26, '[]'),
  ('019cbbbb-2', 'planned', TIMESTAMP '2026-03-18 09:00:00+00', 'operator', 'to look at', 1,
   '{"from": "2026-03-02", "to": "2026-03-16", "sources": ["facebook"]}',
   '{"messages": {"added": 1, "removed": 0, "changed": 0, "unchanged": 70}}', 26, '[]')
"""

SUPERSEDED = """
  (event_id, decided_at, before, placed_before, oldest_generation, newest_generation, run_id) VALUES
  ('another', TIMESTAMP '2026-03-17 09:05:00+00', TIMESTAMP '2026-03-17 09:05:00+00',
   TIMESTAMP '2026-03-17 09:05:00+00', 1, 1, '019cbbbb-1')
"""
RETOLD = """
  (id, shown_date, decided_at) VALUES ('another', DATE '2026-03-16', TIMESTAMP '2026-03-17 09:05:00+00')
"""
ALIASES = """
  (alias_id, source, channel_id, contact_id, source_contact_id, kind, other_contact_id, other_source_contact_id,
   told_at, told_date, pointer, event_id, received_at, generation, processed_at) VALUES
  ('another', 'whatsapp', 'another', '00000000-0000-5000-8000-000000000001', '4915550009999', 'user_id',
   '00000000-0000-5000-8000-000000000002', 'DE.9999', TIMESTAMP '2026-03-16 09:05:00+00', DATE '2026-03-16', '',
   'another event', TIMESTAMP '2026-03-16 09:05:00+00', 3, TIMESTAMP '2026-03-16 09:05:01+00')
"""
BOT, INBOX = 517000000000001, 263902037430900
NAMES = f"""
  (source, actor_id, kind, name) VALUES
  (NULL, '{BOT}', 'bot', 'Helper'), ('shop-app', 'desk', 'human', 'Desk')
"""
RATES = """
  (source, direction, category, unit, price_micros, currency) VALUES
  ('whatsapp', NULL, 'marketing', 'message', 110000, 'EUR'),
  ('whatsapp', NULL, 'service', 'conversation', 40000, 'EUR'),
  ('twilio.sms', 'outbound', NULL, 'message', 80000, 'EUR')
"""
DECISIONS = """
  (decision_id, contact_id, other_contact_id, decision, decided_at, actor, reason) VALUES
  ('another', '00000000-0000-5000-8000-000000000003', '00000000-0000-5000-8000-000000000004', 'different',
   TIMESTAMP '2026-03-17 09:05:00+00', 'operator', NULL)
"""


def sample_events() -> list[RawEvent]:
    """Return all raw events, in the order of their receipt."""
    scenes = (
        _messenger(),
        _instagram(),
        _whatsapp(),
        _sms(),
        _live_chat(),
        _shop_app(),
        _business_messages(),
        _trouble(),
        _templates(),
        _opinions(),
    )
    told = sorted((each for scene in scenes for each in scene), key=lambda each: each[0])
    return [
        RawEvent(
            data=body,
            attributes={
                "event_id": f"019caaaa-0000-7000-8000-{number:012d}",
                "source": source,
                "received_at": format_received_at(received_at),
                "verified_by": "sample",
            }
            | attributes,
        )
        for number, (received_at, source, body, attributes) in enumerate(told, 1)
    ]


def sample_rows() -> list[Row]:
    """Return the rows that the pipeline makes of all events."""
    with custom_sources():
        return [row for event in sample_events() for row in normalize(event)]


def fill(analyst: Analyst) -> None:
    """Put all rows into the tables of an analyst, and a history of reprocessing, whose entries mean other rows."""
    analyst.load(sample_rows())
    analyst.insert("runs", RUNS)
    analyst.insert("superseded", SUPERSEDED)
    analyst.insert("retold", RETOLD)
    analyst.insert("aliases", ALIASES)
    analyst.insert("alias_decisions", DECISIONS)
    analyst.insert("actor_names", NAMES)
    analyst.insert("rates", RATES)
    resolving.keep(analyst.client, analyst.target)


@contextlib.contextmanager
def custom_sources() -> Iterator[None]:
    """Let `normalize` know the custom sources of this file."""
    parsers = dict(PARSERS)
    registry.install(SOURCES_FILE)
    try:
        yield
    finally:
        PARSERS.clear()
        PARSERS.update(parsers)


Told = tuple[dt.datetime, str, bytes, dict[str, str]]


def _moments(every: int, offset: int) -> Iterator[tuple[int, dt.datetime]]:
    """Yield a number and a time on every so many-th day, at an hour that wanders through the day."""
    for day in range(offset % every, DAYS, every):
        hour = 8 + (offset * 5 + day * 3) % 12
        yield day, MONDAY + dt.timedelta(days=day, hours=hour, minutes=(offset * 7) % 60)


def _later(moment: dt.datetime, **by: float) -> dt.datetime:
    return moment + dt.timedelta(**by)


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _json(value: Any) -> bytes:
    # As Meta writes it: everything beyond ASCII escaped, and slashes.
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/").encode()


def _meta(kind: str, channel: str, moment: dt.datetime, *items: dict[str, Any], late: float = 0) -> Told:
    body = {"object": kind, "entry": [{"id": channel, "time": _ms(moment), "messaging": list(items)}]}
    return _later(moment, seconds=1.2 + late), "facebook", _json(body), {"content_type": "application/json"}


def _item(sender: str, recipient: str, moment: dt.datetime, **payload: Any) -> dict[str, Any]:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": _ms(moment), **payload}


def _messenger() -> Iterator[Told]:
    for number in range(6):
        contact = f"73100000000000{number:02d}"
        for day, asked in _moments(2 + number % 3, number):
            mid = f"m_{number}_{day}"
            text: dict[str, Any] = {"mid": mid, "text": QUESTIONS[(number + day) % len(QUESTIONS)]}
            if number == 2:
                text["referral"] = {
                    "ref": "spring",
                    "ad_id": "120210000000003",
                    "source": "ADS",
                    "type": "OPEN_THREAD",
                }
            yield _meta("page", PAGE, asked, _item(contact, PAGE, asked, message=text))
            if (number + day) % 5 == 4:
                continue
            answered = _later(asked, minutes=2 + (number * 11 + day * 7) % 50)
            echo: dict[str, Any] = {
                "mid": mid + "_a",
                "text": ANSWERS[(number + day) % len(ANSWERS)],
                "is_echo": True,
            }
            if number % 2:
                echo["app_id"] = BOT
            yield _meta("page", PAGE, answered, _item(PAGE, contact, answered, message=echo))
            if number == 3:
                passed = _later(answered, minutes=1)
                control = {"previous_owner_app_id": str(BOT), "new_owner_app_id": str(INBOX)}
                yield _meta("page", PAGE, passed, _item(contact, PAGE, passed, pass_thread_control=control))
            delivered = _later(answered, seconds=4)
            receipt = {"mids": [mid + "_a"], "watermark": _ms(answered)}
            yield _meta("page", PAGE, delivered, _item(contact, PAGE, delivered, delivery=receipt))
            if (number + day) % 3:
                read = _later(answered, minutes=5)
                yield _meta("page", PAGE, read, _item(contact, PAGE, read, read={"watermark": _ms(read)}))
            if number == day % 6:
                liked = _later(answered, minutes=6)
                love = {"mid": mid + "_a", "action": "react", "reaction": "love", "emoji": "❤"}
                yield _meta("page", PAGE, liked, _item(contact, PAGE, liked, reaction=love))
    start = _later(MONDAY, days=3, hours=9)
    tap = {"mid": "m_postback", "title": "Talk to a person", "payload": "HUMAN"}
    yield _meta("page", PAGE, start, _item("7310000000000003", PAGE, start, postback=tap))
    photo = {
        "mid": "m_photo",
        "attachments": [{"type": "image", "payload": {"url": "https://cdn.example/coat.jpg"}}],
    }
    sent = _later(start, minutes=3)
    yield _meta("page", PAGE, sent, _item("7310000000000003", PAGE, sent, message=photo))
    slip = _later(start, minutes=4)
    typed = {"mid": "m_slip", "text": "Is teh red one warmer?"}
    yield _meta("page", PAGE, slip, _item("7310000000000003", PAGE, slip, message=typed))
    mended = _later(slip, minutes=1)
    edit = {"mid": "m_slip", "text": "Is the red one warmer?", "num_edit": 1}
    yield _meta("page", PAGE, mended, _item("7310000000000003", PAGE, mended, message_edit=edit))


def _instagram() -> Iterator[Told]:
    for number in range(3):
        contact = f"98000000000000{number}"
        for day, asked in _moments(4, number + 1):
            mid = f"ig_{number}_{day}"
            text = {"mid": mid, "text": "Love this one! 😍"}
            yield _meta("instagram", PROFILE, asked, _item(contact, PROFILE, asked, message=text))
            answered = _later(asked, minutes=20 + number)
            echo = {"mid": mid + "_a", "text": "Thank you!", "is_echo": True}
            yield _meta("instagram", PROFILE, answered, _item(PROFILE, contact, answered, message=echo))
            seen = _later(answered, hours=1)
            yield _meta("instagram", PROFILE, seen, _item(contact, PROFILE, seen, read={"mid": mid + "_a"}))
    regretted = _later(MONDAY, days=5, hours=11)
    text = {"mid": "ig_gone", "text": "Forget what I said"}
    yield _meta("instagram", PROFILE, regretted, _item("980000000000001", PROFILE, regretted, message=text))
    gone = _later(regretted, minutes=2)
    unsent = {"mid": "ig_gone", "is_deleted": True}
    yield _meta("instagram", PROFILE, gone, _item("980000000000001", PROFILE, gone, message=unsent))


def whatsapp_event(moment: dt.datetime, late: float = 0, **lists: Any) -> Told:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": DISPLAYED_NUMBER, "phone_number_id": PHONE_NUMBER},
        **lists,
    }
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}],
    }
    return _later(moment, seconds=1.8 + late), "whatsapp", _json(body), {"content_type": "application/json"}


def _whatsapp() -> Iterator[Told]:
    for number in range(5):
        phone = f"49155500001{number:02d}"
        profile = [{"profile": {"name": f"Guest {number}"}, "wa_id": phone}]
        for day, asked in _moments(3, number + 2):
            wamid = f"wamid.{number}.{day}"
            seconds = str(_ms(asked) // 1000)
            message: dict[str, Any] = {"from": phone, "id": wamid, "timestamp": seconds}
            if (number + day) % 4 == 3:
                document = {"id": f"90{day}", "filename": "Größen.pdf", "mime_type": "application/pdf"}
                message |= {"type": "document", "document": document | {"caption": "Is this table right?"}}
            else:
                message |= {"type": "text", "text": {"body": QUESTIONS[(number + day) % len(QUESTIONS)]}}
            if number == 1:
                message["referral"] = _ad("spring", wamid)
            yield whatsapp_event(asked, contacts=profile, messages=[message])
            template = TEMPLATES.get(number)
            if template:
                yield _reported(wamid + ".a", phone, template, _later(asked, minutes=9))
            # Answered through the API: WhatsApp tells the states of the answer, but not what it says.
            states = ("sent", "delivered", "read") if (number + day) % 4 else ("sent", "failed")
            for step, state in enumerate(states):
                when = _later(asked, minutes=9 + step * 3)
                status: dict[str, Any] = {"id": wamid + ".a", "status": state, "recipient_id": phone}
                status["timestamp"] = str(_ms(when) // 1000)
                if state in ("sent", "delivered"):
                    status |= _price(number, day, template)
                if state == "failed":
                    status["errors"] = [{"code": 131026, "title": "Message undeliverable"}]
                # Receipts overtake each other: the last one arrives first.
                yield whatsapp_event(_later(when, seconds=-step * 400), statuses=[status])


TEMPLATES = {2: "spring_sale", 4: "order_update"}
CATEGORIES = {"spring_sale": "marketing", "order_update": "utility"}


def _ad(campaign: str, wamid: str) -> dict[str, str]:
    return {
        "source_type": "ad",
        "source_id": "120210000000001",
        "source_url": f"https://shop.example/coats?utm_campaign={campaign}",
        "headline": "Coats for rain",
        "ctwa_clid": f"click-{wamid}",
    }


def _price(number: int, day: int, template: str | None) -> dict[str, Any]:
    """What WhatsApp says of a price: for one contact as until 2025, for the others as since."""
    if number == 0:
        charged = {"id": f"charged-{day}", "origin": {"type": "service"}}
        return {
            "conversation": charged,
            "pricing": {"billable": True, "pricing_model": "CBP", "category": "service"},
        }
    category = CATEGORIES[template] if template else "service"
    kind = "free_entry_point" if number == 1 else "regular" if category == "marketing" else "free_customer_service"
    pricing = {"billable": kind == "regular", "pricing_model": "PMP", "type": kind, "category": category}
    return {"pricing": pricing}


def _reported(wamid: str, phone: str, template: str, sent: dt.datetime) -> Told:
    """What another system sent and reports: WhatsApp itself does not tell it."""
    content = {"type": "template", "template": {"name": template, "language": {"code": "en"}}}
    body = {
        "source": "whatsapp",
        "channel": PHONE_NUMBER,
        "to": phone,
        "content": content,
        "actor": {"kind": "system", "id": "campaigns"},
        "sent_by_others": True,
        "source_message_id": wamid,
        "sent_at": sent.isoformat(),
    }
    known = {"content_type": "application/json", "reply_id": f"reply-{wamid}"}
    return _later(sent, seconds=1), "replies", _json(body), known


def _templates() -> Iterator[Told]:
    """What becomes of templates, which is told of the account and not of a number."""
    changes = [
        (0, "message_template_status_update", 1, {"event": "APPROVED", "reason": "NONE"}),
        (0, "message_template_status_update", 2, {"event": "APPROVED", "reason": "NONE"}),
        (
            8,
            "message_template_quality_update",
            1,
            {"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"},
        ),
        (9, "message_template_status_update", 1, {"event": "PAUSED", "reason": "LOW_QUALITY"}),
    ]
    for day, field, known, what in changes:
        at, name = _later(MONDAY, days=day, hours=7, seconds=known), ("spring_sale", "order_update")[known - 1]
        value = {
            "message_template_id": known,
            "message_template_name": name,
            "message_template_language": "en",
            "message_template_category": CATEGORIES[name].upper(),
            **what,
        }
        entry = {"id": "102290129340398", "time": _ms(at) // 1000, "changes": [{"field": field, "value": value}]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        yield _later(at, seconds=1), "whatsapp", _json(body), {"content_type": "application/json"}


def _opinions() -> Iterator[Told]:
    """What contacts thought of it when they were asked, and what they bought."""
    for number, points in enumerate((5, 4, 2, 5)):
        at = _later(MONDAY, days=3 * number + 1, hours=20)
        question: dict[str, Any] = {"type": "csat", "payload": str(points)}
        if points < 4:
            question["follow_up"] = {"type": "free_form", "payload": "Nobody knew my size"}
        feedback = {"feedback_screens": [{"screen_id": 0, "questions": {"how": question}}]}
        contact = f"73100000000000{number:02d}"
        yield _meta("page", PAGE, at, _item(contact, PAGE, at, messaging_feedback=feedback))
    at = _later(MONDAY, days=10, hours=21)
    bought = {"name": "Purchase", "value": 89.5, "currency": "EUR", "ctwa_clid": "click-wamid.1.3"}
    body = {
        "messages": [],
        "metadata": [
            {
                "namespace": "contact",
                "source_id": "customer-7",
                "source_channel_id": "app",
                "metadata": {"conversion": bought},
                "occurred_at": _ms(at),
            },
            {
                "namespace": "conversation",
                "source_id": "order-4711",
                "source_channel_id": "app",
                "metadata": {"nps": 9, "status": "closed"},
                "occurred_at": _ms(at),
            },
        ],
    }
    yield _later(at, seconds=30), "shop-app", _json(body), {"content_type": "application/json"}


def form(moment: dt.datetime, **fields: str) -> Told:
    body = urlencode(fields).encode()
    kind = {"content_type": "application/x-www-form-urlencoded"}
    return _later(moment, seconds=0.4), "twilio", body, kind


def _sms() -> Iterator[Told]:
    for number in range(3):
        phone = f"+49155500002{number:02d}"
        for day, asked in _moments(5, number * 2):
            sid = f"SM{number:016d}{day:016d}"
            text = QUESTIONS[(number + day) % len(QUESTIONS)]
            yield form(asked, MessageSid=sid, From=phone, To=SMS_NUMBER, Body=text, NumMedia="0")
            sent = {"MessageSid": f"SM{number + 5:016d}{day:016d}", "From": SMS_NUMBER, "To": phone}
            yield form(_later(asked, minutes=30), MessageStatus="sent", **sent)
            if number:
                yield form(_later(asked, minutes=31), MessageStatus="delivered", **sent)
            else:
                yield form(_later(asked, minutes=31), MessageStatus="undelivered", ErrorCode="30003", **sent)
    picture = _later(MONDAY, days=6, hours=10)
    media = {"NumMedia": "1", "MediaUrl0": "https://api.example/coat", "MediaContentType0": "image/jpeg"}
    yield form(picture, MessageSid=f"MM{7:032d}", From="+4915550000201", To=SMS_NUMBER, Body="", **media)


def _live_chat() -> Iterator[Told]:
    for number in range(4):
        for day, asked in _moments(6, number):
            visitor = f"visitor-{number}-{day}"
            body = {"message": {"text": "Hello? Is anybody there?"}, "sent_at": asked.isoformat()}
            known = {
                "content_type": "application/json",
                "channel_id": "website",
                "conversation_id": visitor,
                "message_id": visitor + "-1",
            }
            yield _later(asked, seconds=0.2), "chatplugin", _json(body), known


def _shop_app() -> Iterator[Told]:
    for day, asked in _moments(3, 1):
        common = {"source_conversation_id": "order-4711", "source_channel_id": "app"}
        question = common | {"source_message_id": f"q{day}", "source_sender_id": "customer-7"}
        answer = common | {"source_message_id": f"a{day}", "source_sender_id": "desk"}
        answer["source_recipient_id"] = "customer-7"
        replied = _later(asked, minutes=4)
        body = {
            "messages": [
                question | {"content": "Where is it?", "from_contact": True, "sent_at": _ms(asked)},
                answer | {"content": {"text": "On its way"}, "from_contact": False, "sent_at": _ms(replied)},
            ],
            "metadata": [
                {
                    "namespace": "contact",
                    "source_id": "customer-7",
                    "source_channel_id": "app",
                    "metadata": {
                        "display_name": "Customer 7",
                        "locale": "de_DE",
                        "phone_number": "+4915550000102",
                    },
                    "occurred_at": _ms(replied),
                }
            ],
        }
        yield _later(replied, seconds=30), "shop-app", _json(body), {"content_type": "application/json"}


def _business_messages() -> Iterator[Told]:
    """History of a service that has ended, imported long after: its times are not the partition's."""
    imported = _later(MONDAY, days=9, hours=3)
    for number in range(3):
        body = {
            "agent": "brands/coats/agents/desk",
            "conversationId": f"gbm-{number}",
            "requestId": f"request-{number}",
            "message": {
                "messageId": f"gbm-message-{number}",
                "text": "Are you open on Sundays?",
                "createTime": f"2024-05-0{number + 1}T12:00:00.123456789Z",
            },
            "context": {"userInfo": {"displayName": f"Visitor {number}", "userDeviceLocale": "de-AT"}},
        }
        yield _later(imported, seconds=number), "google", _json(body), {"content_type": "application/json"}


def _trouble() -> Iterator[Told]:
    """What goes wrong in the life of a webhook."""
    asked = _later(MONDAY, days=4, hours=15)
    contact = "7310000000000004"
    text = {"mid": "m_again", "text": "Was this told twice?"}
    yield _meta("page", PAGE, asked, _item(contact, PAGE, asked, message=text))
    # Delivered once more, byte for byte, when no answer came.
    yield _meta("page", PAGE, asked, _item(contact, PAGE, asked, message=text), late=420)
    late = {"mid": "m_late", "text": "This took three hours"}
    yield _meta("page", PAGE, asked, _item(contact, PAGE, asked, message=late), late=3 * 3600)
    good = {"mid": "m_good", "text": "The next one is broken"}
    items = _item(contact, PAGE, asked, message=good), _item(contact, PAGE, asked, message="broken")
    yield _meta("page", PAGE, _later(asked, minutes=1), *items)
    broken = _later(asked, minutes=2), "facebook", b'{"object": "page", "entry"', {}
    yield broken
    yield _later(asked, minutes=3), "facebook", _json({"object": "user", "entry": []}), {}
