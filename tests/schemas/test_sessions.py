"""Sessions: a conversation's stretches between silences of a day."""

import datetime as dt
import json

from pipelines.core import ids
from schemas.raw_event import RawEvent, format_received_at

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PHONE = "15550108899"


def later(hours):
    return NOON + dt.timedelta(hours=hours)


def whatsapp(hours, **lists):
    metadata = {"display_phone_number": "15550104400", "phone_number_id": "77"}
    change = {"field": "messages", "value": {"metadata": metadata, **lists}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "88", "changes": [change]}]}
    moment = later(hours)
    attributes = {
        "event_id": f"019caaaa-0000-7000-8000-{int(hours * 3600) + len(json.dumps(body)):012d}",
        "source": "whatsapp",
        "received_at": format_received_at(moment + dt.timedelta(seconds=1)),
    }
    return RawEvent(json.dumps(body).encode(), attributes)


def stamp(hours):
    return str(int(later(hours).timestamp()))


def asks(hours, **ends):
    said = {"id": f"wamid.{hours}", "timestamp": stamp(hours), "type": "text", "text": {"body": "?"}}
    return whatsapp(hours, messages=[said | (ends or {"from": PHONE})])


def answered(hours, status="sent"):
    told = {"id": f"wamid.a{hours}", "status": status, "timestamp": stamp(hours), "recipient_id": PHONE}
    return whatsapp(hours, statuses=[told])


def page(hours, mid, ours=False):
    ends = ("20", "73") if ours else ("73", "20")
    message = {"mid": mid, "text": "?"} | ({"is_echo": True} if ours else {})
    at = int(later(hours).timestamp()) * 1000
    item = {"sender": {"id": ends[0]}, "recipient": {"id": ends[1]}, "timestamp": at, "message": message}
    body = {"object": "page", "entry": [{"id": "20", "time": at, "messaging": [item]}]}
    attributes = {
        "event_id": f"019cbbbb-0000-7000-8000-{int(hours * 3600):012d}",
        "source": "facebook",
        "received_at": format_received_at(later(hours) + dt.timedelta(seconds=1)),
    }
    return RawEvent(json.dumps(body).encode(), attributes)


def sessions(analyst, *columns):
    sql = f"SELECT {', '.join(columns)} FROM parley.sessions ORDER BY session_id"
    return [tuple(row.values()) for row in analyst.query(sql)]


def test_a_silence_of_a_day_ends_a_session(analyst):
    analyst.tell(asks(0), asks(23.5), asks(47.5), asks(47.75))

    columns = "session_number", "is_reopened", "started_at", "ended_at", "silent_seconds", "messages"
    assert sessions(analyst, *columns) == [
        (1, False, NOON, later(23.5), None, 2),
        (2, True, later(47.5), later(47.75), 24 * 3600, 2),
    ]
    (found,) = analyst.query(
        "SELECT DISTINCT session_id, conversation_id FROM parley.sessions WHERE NOT is_reopened"
    )
    conversation = ids.conversation_id(ids.channel_id("whatsapp", "77"), PHONE)
    assert found == {"session_id": f"{conversation}:1", "conversation_id": conversation}


def test_the_first_response_of_each_session_is_its_own(analyst):
    analyst.tell(asks(0), answered(1), answered(0.5, "failed"), asks(30), answered(31), asks(32))

    columns = "first_response_seconds", "is_unanswered", "messages", "inbound_messages", "outbound_messages"
    assert sessions(analyst, *columns) == [(3600, False, 1, 1, 1), (3600, True, 2, 2, 1)]


def test_the_window_of_whatsapp_is_told(analyst):
    analyst.tell(asks(0), answered(2), answered(24), answered(24.5), answered(60))

    columns = "begun_by", "window_until", "outside_window_messages", "first_response_seconds", "is_unanswered"
    assert sessions(analyst, *columns) == [
        ("inbound", later(24), 1, 2 * 3600, False),
        ("outbound", later(24), 1, None, False),
    ]


def test_elsewhere_there_is_no_window(analyst):
    analyst.tell(page(0, "m_1"), page(1, "m_2", ours=True))

    columns = "source", "window_until", "outside_window_messages", "messages", "outbound_messages"
    assert sessions(analyst, *columns) == [("facebook", None, None, 2, 1)]


def test_a_session_is_one_whichever_id_of_a_person_is_told(analyst):
    analyst.tell(asks(0, **{"from": PHONE, "from_user_id": "US.1"}), asks(2, from_user_id="US.1"))

    assert sessions(analyst, "messages") == [(2,)]
