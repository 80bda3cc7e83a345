"""Messenger and Instagram: webhooks of the objects `page` and `instagram`.

A body holds entries (one per Page or account), an entry items: `messaging[]`, `standby[]` (another app
owns the thread), `changes[]`, or a lone `field` with its `value` (Instagram Login).

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/docs/instagram-platform/webhooks
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.item import Item, Lineage
from pipelines.sources.facebook_messaging import read_messaging
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, members, scalar, text
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

SOURCES: Final = {"page": "facebook", "instagram": "instagram"}
"""A row's source by the envelope's `object`."""
TEST_ENTRY: Final = "0"
"""The id of the entry that the dashboard's "Test" button sends."""


class Envelope(Struct):
    """A webhook's body."""

    object: Id = None
    entry: list[Raw] | None = None


class Entry(Struct):
    """What happened on one channel."""

    id: Id = None
    time: Raw = NOTHING
    messaging: list[Raw] | None = None
    standby: list[Raw] | None = None
    changes: list[Raw] | None = None
    field: str | None = None


class Change(Struct):
    """A change of a subscribed field."""

    field: str | None = None
    value: Raw = NOTHING


class Author(Struct):
    """Who made a change."""

    id: Id = None
    name: str | None = None
    username: str | None = None


class ChangeValue(Struct):
    """What of a change's value is the same in all fields."""

    author: Author | None = msgspec.field(default=None, name="from")
    timestamp: Raw = NOTHING
    created_time: Raw = NOTHING


BODY: Final = msgspec.json.Decoder(Envelope | list[Raw])
ENVELOPE: Final = msgspec.json.Decoder(Envelope)
ENTRY: Final = msgspec.json.Decoder(Entry)
CHANGE: Final = msgspec.json.Decoder(Change)
CHANGE_VALUE: Final = msgspec.json.Decoder(ChangeValue)


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a webhook; return why there are none, where that has a reason."""
    body = Body(event.data)
    whole = body.decode(BODY)
    if isinstance(whole, Envelope):
        return _read_envelope(whole, "", body, lineage)
    # The documentation's samples are wrapped in an array.
    reason: str | None = "an empty array"
    for n, part in enumerate(whole):
        with lineage.item(f"/{n}", body.exact(part), source=event.source):
            reason = _read_envelope(body.decode(ENVELOPE, part), f"/{n}", body, lineage)
    return reason


def _read_envelope(envelope: Envelope, pointer: str, body: Body, lineage: Lineage) -> str | None:
    kind = text(envelope.object) or ""
    source = SOURCES.get(kind)
    if source is None:
        return f"object is {kind[:64]!r}, neither 'page' nor 'instagram'"
    for n, part in enumerate(envelope.entry or ()):
        where = f"{pointer}/entry/{n}"
        with lineage.item(where, body.exact(part), source=source) as item:
            _EntryReader(body, lineage, source, body.decode(ENTRY, part)).read(item, part, where)
    return "no entry has anything in it"


class _EntryReader:
    """Reads the items of one entry."""

    def __init__(self, body: Body, lineage: Lineage, source: str, entry: Entry) -> None:
        channel = text(entry.id)
        if channel is None:
            raise ValueError("an entry without an id")
        self.body, self.lineage, self.source, self.entry = body, lineage, source, entry
        self.channel = channel
        self.time = scalar(entry.time)

    def read(self, item: Item, part: Raw, pointer: str) -> None:
        entry = self.entry
        for n, messaging in enumerate(entry.messaging or ()):
            self._messaging(messaging, f"{pointer}/messaging/{n}", "messaging")
        for n, messaging in enumerate(entry.standby or ()):
            self._messaging(messaging, f"{pointer}/standby/{n}", "standby")
        for n, change in enumerate(entry.changes or ()):
            self._change(change, f"{pointer}/changes/{n}")
        if entry.field is not None:
            self._change(part, pointer)
        elif entry.messaging is entry.standby is entry.changes is None:
            self._unknown(item, part)

    def _messaging(self, part: Raw, pointer: str, name: str) -> None:
        with self.lineage.item(pointer, self.body.exact(part), source=self.source) as item:
            if name == "standby":
                item.flags.append("standby")
            read_messaging(item, self.body, part, channel=self.channel, entry_time=self.time, name=name)

    def _change(self, part: Raw, pointer: str) -> None:
        with self.lineage.item(pointer, self.body.exact(part), source=self.source) as item:
            change = self.body.decode(CHANGE, part)
            field, value = change.field or "changes", change.value
            if self.channel == TEST_ENTRY:
                item.flags.append("test")
            if field.startswith("messag") and "sender" in members(self.body, value):
                read_messaging(item, self.body, value, channel=self.channel, entry_time=self.time, name=field)
            else:
                self._changed(item, field, value)

    def _changed(self, item: Item, field: str, value: Raw) -> None:
        """Read a change that is no message: a post, a comment, a mention."""
        changed = self.body.decode(CHANGE_VALUE, value) if members(self.body, value) else ChangeValue()
        item.dated(scalar(changed.timestamp) or scalar(changed.created_time), self.time)
        place = Place(item.channel(self.channel))
        author = changed.author or Author()
        author_id = text(author.id)
        if author_id and author_id != self.channel:
            contact_id = item.contact(
                place.channel_id,
                author_id,
                scope=place.channel_id,
                display_name=author.name or None,
                username=author.username or None,
            )
            place = place._replace(contact_id=contact_id)
        place.tell(item, fact_key(field), scalar(value) or "")

    def _unknown(self, item: Item, part: Raw) -> None:
        item.dated(None, self.time)
        for name in sorted(members(self.body, part).keys() - {"id", "time"}):
            Place(item.channel(self.channel)).tell(item, fact_key(name))
