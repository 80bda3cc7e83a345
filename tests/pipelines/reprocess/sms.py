"""An SMS, whose source tells no time."""

import datetime as dt

from schemas.raw_event import RawEvent
from tests.raw_events import raw_event


def sms(number: int, received_at: dt.datetime, event: int) -> RawEvent:
    """Return one telling of the SMS of a number; another event may tell it again."""
    body = f"MessageSid=SM{number:032d}&From=%2B4915550000101&To=%2B4915550000002&Body=hi&NumMedia=0"
    made = raw_event(body.encode(), source="twilio", received_at=received_at, number=event)
    return RawEvent(made.data, {**made.attributes, "content_type": "application/x-www-form-urlencoded"})
