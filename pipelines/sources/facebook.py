"""Messenger and Instagram: webhooks of the objects `page` and `instagram`.

A body holds entries (one per Page or account), an entry items: `messaging[]`, `standby[]` (another app
owns the thread), `calls[]`, `changes[]`, or a lone `field` with its `value` (Instagram Login).

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/docs/instagram-platform/webhooks
https://developers.facebook.com/documentation/business-messaging/messenger-platform/calling/webhooks
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.core.item import Item, Lineage
from pipelines.sources.facebook_messaging import place_of, read_messaging
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, members, says, scalar, text
from pipelines.sources.meta import BODY, CHANGE, TEST_ENTRY, read_entries
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

SOURCES: Final = {"page": "facebook", "instagram": "instagram"}
"""A row's source by the envelope's `object`."""
SCALARS: Final = ("status", "leadgen_id", "id", "comment_id", "media_id")
"""What tells most of a change that has neither item nor verb."""
RATED: Final = ("recommendation_type", "rating")
"""What tells most of a review of a Page."""


class Entry(Struct):
    """What happened on one channel."""

    id: Id = None
    time: Raw = NOTHING
    messaging: list[Raw] | None = None
    standby: list[Raw] | None = None
    calls: list[Raw] | None = None
    changes: list[Raw] | None = None
    field: str | None = None


class Call(Struct):
    """What happened to a call: who called whom, or whom it is said of."""

    caller: Id = msgspec.field(default=None, name="from")
    to: Id = None
    recipient_id: Id = None
    timestamp: Raw = NOTHING


class Author(Struct):
    """Who made a change."""

    id: Id = None
    name: str | None = None
    username: str | None = None


class ChangeValue(Struct):
    """What of a change's value is the same in all fields."""

    author: Author | None = msgspec.field(default=None, name="from")
    user: Author | None = None
    reviewer_id: Id = None
    reviewer_name: str | None = None
    sender_id: Id = None
    sender_name: str | None = None
    timestamp: Raw = NOTHING
    created_time: Raw = NOTHING


ENTRY: Final = msgspec.json.Decoder(Entry)
CALL: Final = msgspec.json.Decoder(Call)
CHANGE_VALUE: Final = msgspec.json.Decoder(ChangeValue)


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a webhook; return why there are none, where that has a reason."""
    body = Body(event.data)
    return read_entries(body, body.decode(BODY), lineage, SOURCES, _read_entry)


def _read_entry(body: Body, item: Item, part: Raw) -> None:
    entry = body.decode(ENTRY, part)
    channel = text(entry.id)
    if channel is None:
        # Replies to requests to call are shown so: an item in the place of the entry.
        ends = members(body, part)
        channel = scalar(members(body, ends.get("recipient", NOTHING)).get("id", NOTHING))
        if "sender" not in ends or not channel:
            raise ValueError("an entry without an id")
        read_messaging(item, body, part, channel, "messaging")
        return
    item.dated(None, scalar(entry.time))
    if channel == TEST_ENTRY:
        item.flags.append("test")
    for n, messaging in enumerate(entry.messaging or ()):
        with item.part(f"messaging/{n}", body.exact(messaging)) as addressed:
            read_messaging(addressed, body, messaging, channel, "messaging")
    for n, messaging in enumerate(entry.standby or ()):
        with item.part(f"standby/{n}", body.exact(messaging)) as addressed:
            addressed.flags.append("standby")
            read_messaging(addressed, body, messaging, channel, "standby")
    for n, call in enumerate(entry.calls or ()):
        with item.part(f"calls/{n}", body.exact(call)) as called:
            _read_call(called, body, call, channel)
    for n, change in enumerate(entry.changes or ()):
        with item.part(f"changes/{n}", body.exact(change)) as changed:
            _read_change(changed, body, change, channel)
    if entry.field is not None:
        _read_change(item, body, part, channel)
    elif entry.messaging is entry.standby is entry.calls is entry.changes is None:
        for name, value in members(body, part).items():
            if name not in {"id", "time"}:
                Place(item.channel(channel)).tell(item, fact_key(name), says(body, value))


def _read_call(item: Item, body: Body, part: Raw, channel: str) -> None:
    call = body.decode(CALL, part)
    item.dated(scalar(call.timestamp))
    ends = map(text, (call.caller, call.to, call.recipient_id))
    contact = next((end for end in ends if end and end != channel), None)
    place_of(item, channel, contact).tell(item, "source.calls", says(body, part, "call_status", "event"))


def _read_change(item: Item, body: Body, part: Raw, channel: str) -> None:
    change = body.decode(CHANGE, part)
    field, value = change.field or "changes", change.value
    found = members(body, value)
    # Of any field with two ends: standby and response_feedback are among them.
    if "sender" in found and ("recipient" in found or field.startswith("messag")):
        if field == "standby":
            item.flags.append(field)
        read_messaging(item, body, value, channel, field)
        return
    changed = body.decode(CHANGE_VALUE, value) if found else ChangeValue()
    item.dated(scalar(changed.timestamp) or scalar(changed.created_time))
    author = changed.author or changed.user
    if author is None:
        # Of reviews, and of posts as they once were.
        known, name = changed.reviewer_id or changed.sender_id, changed.reviewer_name or changed.sender_name
        author = Author(known, name)
    place = _author_place(item, channel, author)
    # Of a feed: what (a comment, a reaction), and what became of it (add, edited, remove).
    done = " ".join(filter(None, (scalar(found.get(name, NOTHING)) for name in ("item", "verb"))))
    rated = next(filter(None, (scalar(found.get(name, NOTHING)) for name in RATED)), "")
    described = rated or done or says(body, value, *SCALARS)
    # Whom the business has put a label on has done nothing.
    actor = None if author is changed.user else text(author.id)
    place.tell(item, fact_key(field), described, actor=actor)


def _author_place(item: Item, channel: str, author: Author) -> Place:
    """Return where a post, comment or mention belongs: to its author, unless that is the channel itself."""
    channel_id, author_id = item.channel(channel), text(author.id)
    if author_id is None or author_id == channel:
        return Place(channel_id)
    contact_id = item.contact(
        channel_id,
        author_id,
        scope=channel_id,
        display_name=author.name or None,
        username=author.username or None,
    )
    return Place(channel_id, contact_id)
