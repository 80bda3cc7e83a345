"""One pure parser per source: no Beam, no clock, no network."""

from collections.abc import Callable

from pipelines.core.item import Lineage
from pipelines.sources import airy, chatplugin, facebook, google, replies, twilio, whatsapp
from schemas.raw_event import RawEvent

Parser = Callable[[RawEvent, Lineage], str | None]
"""Reads an event's body and makes rows through the lineage's items; returns why it made none, if so."""

PARSERS: dict[str, Parser] = {
    "airy": airy.parse,
    "chatplugin": chatplugin.parse,
    "facebook": facebook.parse,
    "google": google.parse,
    "replies": replies.parse,
    "twilio": twilio.parse,
    "whatsapp": whatsapp.parse,
}
"""The parser of each endpoint, by the raw event's `source`."""
