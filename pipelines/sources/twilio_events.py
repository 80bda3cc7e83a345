"""Twilio's events as JSON: Event Streams, in CloudEvents' form, one a body or many in an array.

https://www.twilio.com/docs/events/event-types
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from pipelines.sources.json_body import NOTHING, Body, is_array, members, scalar

MESSAGE: Final = "com.twilio.messaging.inbound-message.received"
STATUS: Final = "com.twilio.messaging.message."
CLICKED: Final = "com.twilio.daptbt.link-shortening.link-clicked"

_WHOLE: Final = msgspec.json.Decoder(Raw)
_ARRAY: Final = msgspec.json.Decoder(list[Raw])


class _CloudEvent(Struct):
    type: str = ""
    time: Raw = NOTHING
    data: Raw = NOTHING


class Event(NamedTuple):
    """One event: its type, its data by the names that fields of Twilio's forms have, and its two times."""

    type: str
    fields: dict[str, str]
    time: str | None
    envelope_time: str | None


_EVENT: Final = msgspec.json.Decoder(_CloudEvent)


def elements(body: Body) -> Iterator[tuple[str, Raw]]:
    """Yield each event of a body with its JSON Pointer."""
    whole = body.decode(_WHOLE)
    if not is_array(whole):
        yield "", whole
        return
    listed = body.decode(_ARRAY, whole)
    for number, element in enumerate(listed):
        yield f"/{number}", element


def read(body: Body, element: Raw) -> Event:
    """Return what an event tells.

    Raises:
        msgspec.DecodeError: it is no object, or its type no text.
    """
    event = body.decode(_EVENT, element)
    told = {field(name): scalar(value) or "" for name, value in members(body, event.data).items()}
    fields = {name: value.replace("\0", "").strip() for name, value in told.items()}
    return Event(event.type, fields, fields.get("Timestamp") or None, scalar(event.time))


def field(name: str) -> str:
    """Return the name that a message's form has for a field: `messageSid` and `message_sid` are `MessageSid`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
