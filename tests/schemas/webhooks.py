"""Webhooks of a few sources, by the minute: what tests of the reporting views tell an analyst."""

import datetime as dt
import hashlib
import json
from urllib.parse import urlencode

from sample_world import custom_sources

from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent, format_received_at
from schemas.replies import OUTCOME_TYPE

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PHONE, OURS, PAGE, PSID = "4915550000142", "77", "20", "73"


def at(minute):
    return NOON + dt.timedelta(minutes=minute)


def seconds(minute):
    return str(int(at(minute).timestamp()))


def event(minute, source, body, content_type="application/json"):
    known = hashlib.sha256(source.encode() + body).hexdigest()
    attributes = {
        "event_id": f"019caaaa-0000-7000-8000-{int(known[:9], 16):012d}",
        "source": source,
        "received_at": format_received_at(at(minute) + dt.timedelta(seconds=1)),
        "content_type": content_type,
    }
    return RawEvent(body, attributes)


def whatsapp(minute, field="messages", **lists):
    metadata = {"display_phone_number": "15550104400", "phone_number_id": OURS}
    return account(minute, field, {"metadata": metadata, **lists})


def account(minute, field, value):
    entry = {"id": "88", "time": int(seconds(minute)), "changes": [{"field": field, "value": value}]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    return event(minute, "whatsapp", json.dumps(body).encode())


def asks(minute, phone=PHONE, **more):
    said = {"id": f"wamid.q{minute}", "from": phone, "timestamp": seconds(minute), "type": "text"}
    return whatsapp(minute, messages=[said | {"text": {"body": "?"}} | more])


def status(minute, name, state="sent", phone=PHONE, **more):
    told = {"id": f"wamid.{name}", "status": state, "timestamp": seconds(minute), "recipient_id": phone}
    return whatsapp(minute, statuses=[told | more])


def pricing(category, billable=True, model="PMP", kind="regular"):
    return {"pricing": {"billable": billable, "pricing_model": model, "category": category, "type": kind}}


def meta(minute, kind="page", ours=False, **payload):
    ends = (PAGE, PSID) if ours else (PSID, PAGE)
    time = int(at(minute).timestamp()) * 1000
    item = {"sender": {"id": ends[0]}, "recipient": {"id": ends[1]}, "timestamp": time, **payload}
    return event(
        minute,
        "facebook",
        json.dumps({"object": kind, "entry": [{"id": PAGE, "time": time, "messaging": [item]}]}).encode(),
    )


def says(minute, kind="page"):
    return meta(minute, kind, message={"mid": f"m_{minute}", "text": "?"})


def echo(minute, kind="page", **more):
    return meta(minute, kind, ours=True, message={"mid": f"m_{minute}", "text": "!", "is_echo": True, **more})


def twilio(minute, **fields):
    return event(minute, "twilio", urlencode(fields).encode(), "application/x-www-form-urlencoded")


def shop(minute, messages=(), metadata=()):
    return event(minute, "shop-app", json.dumps({"messages": list(messages), "metadata": list(metadata)}).encode())


def fact(minute, namespace, about, **told):
    return {
        "namespace": namespace,
        "source_id": about,
        "source_channel_id": "app",
        "occurred_at": int(at(minute).timestamp() * 1000),
        "metadata": told,
    }


def desk(minute, name, ours=False, **more):
    return {
        "source_message_id": name,
        "source_conversation_id": "order-1",
        "source_channel_id": "app",
        "source_sender_id": "desk" if ours else "customer-1",
        "source_recipient_id": "customer-1" if ours else "app",
        "from_contact": not ours,
        "sent_at": int(at(minute).timestamp() * 1000),
        "content": {"text": "!"},
        **more,
    }


def tell(analyst, *events):
    """Put the rows of events into the tables, of custom sources too."""
    with custom_sources():
        analyst.load([row for each in events for row in normalize(each)])


def ask(analyst, sql):
    """Return the rows of a query as tuples."""
    return [tuple(row.values()) for row in analyst.query(sql)]


def replied(minute, known, content=None, to=PHONE, source="whatsapp", channel=OURS, **actor):
    """Return that a provider has accepted a reply of ours."""
    reply = {"source": source, "channel": channel, "to": to, "content": content or {"text": "!"}}
    outcome = {
        "reply_id": f"r-{known}",
        "number": 1,
        "at": at(minute).isoformat(),
        "result": "accepted",
        "source_message_id": f"wamid.{known}",
        "reply": reply | ({"actor": actor} if actor else {}),
    }
    return event(minute, "replies", json.dumps(outcome).encode(), OUTCOME_TYPE)
