"""WhatsApp Business: webhooks of the Cloud API, and the bare shape of the on-premises API.

A body holds entries (one per WhatsApp Business Account), an entry changes, and the value of a change lists
of messages, echoes, statuses, calls and more, all of one business phone number: the channel. Changes of
the account and its templates name no number: there the account is the channel.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
https://developers.facebook.com/docs/whatsapp/on-premises/webhooks
"""

from functools import partial
from typing import Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, is_array, members, says, scalar, text
from pipelines.sources.meta import BODY, CHANGE, TEST_ENTRY, Envelope, read_entries
from pipelines.sources.whatsapp_items import other_of, read_errors, read_fact, read_message, read_status
from pipelines.sources.whatsapp_people import Contact, Line, Person
from schemas.raw_event import RawEvent

SOURCES: Final = {"whatsapp_business_account": "whatsapp"}
"""A row's source by the envelope's `object`."""
BARE: Final = frozenset({"messages", "statuses", "message_echoes", "contacts", "errors"})
"""What a body without envelope has, of the on-premises API."""
DESCRIBING: Final = frozenset({"messaging_product", "metadata", "whatsapp_business_api_data", "contacts"})
"""Members of a value that say whose its lists are."""
VALUES: Final = (
    "event",
    "decision",
    "new_quality_score",
    "new_category",
    "correct_category",
    "current_limit",
    "alert_type",
    "username",
    "status",
    "type",
    "max_daily_conversations_per_business",
    "max_daily_conversation_per_phone",
    "message_template_name",
    "message_template_id",
)
"""What tells most of an account's or template's change."""
CONTROL: Final = "control_"
"""What begins the member that says what became of a conversation between apps: passed, taken, …"""
UNKNOWN_CHANNEL: Final = "unknown"
"""The channel of what names neither number nor account."""


class Entry(Struct):
    """What happened in one WhatsApp Business Account."""

    id: Id = None
    time: Raw = NOTHING
    changes: list[Raw] | None = None


class PhoneNumber(Struct):
    """The business phone number that a value is about."""

    phone_number_id: Id = None
    display_phone_number: Id = None


class Value(Struct):
    """What changed, in lists of items; the number was once named differently."""

    metadata: PhoneNumber | None = None
    whatsapp_business_api_data: PhoneNumber | None = None
    contacts: list[Raw] | None = None


class Chunk(Struct):
    """A part of the history of a number that was used with the app before."""

    threads: list[Raw] | None = None
    errors: list[Raw] | None = None


class ThreadContext(Struct):
    """With whom a thread is."""

    wa_id: Id = None
    user_id: Id = None
    parent_user_id: Id = None
    username: str | None = None


class Thread(Struct):
    """The history of one conversation."""

    id: Id = None
    context: ThreadContext | None = None
    messages: list[Raw] | None = None


ENTRY: Final = msgspec.json.Decoder(Entry)
VALUE: Final = msgspec.json.Decoder(Value)
CONTACT: Final = msgspec.json.Decoder(Contact)
CHUNK: Final = msgspec.json.Decoder(Chunk)
THREAD: Final = msgspec.json.Decoder(Thread)
WHOLE: Final = msgspec.json.Decoder(Raw)
ITEMS: Final = msgspec.json.Decoder(list[Raw])


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a webhook; return why there are none, where that has a reason.

    What names neither number nor account takes the channel that the webhook's URL names: `?channel=…`.
    """
    body = Body(event.data)
    named = parse_qs(event.query).get("channel", [""])[0] if event.query else ""
    read = body.decode(BODY)
    if isinstance(read, Envelope) and read.entry is None:
        whole = body.decode(WHOLE)
        lists = members(body, whole).keys()
        if "entry" not in lists and not BARE.isdisjoint(lists):
            with lineage.item("", body.exact(whole), source="whatsapp") as item:
                _read_value(item, body, whole, "", named, "messages")
            return "no list has anything in it"
    return read_entries(body, read, lineage, SOURCES, partial(_read_entry, named=named))


def _read_entry(body: Body, item: Item, part: Raw, *, named: str) -> None:
    entry = body.decode(ENTRY, part)
    item.dated(None, scalar(entry.time))
    if text(entry.id) == TEST_ENTRY:
        item.flags.append("test")
    for n, each in enumerate(entry.changes or ()):
        with item.part(f"changes/{n}", body.exact(each)) as changed:
            change = body.decode(CHANGE, each)
            channel, field = text(entry.id) or named, change.field or "changes"
            _read_value(changed, body, change.value, "value/", channel, field)


def _read_value(item: Item, body: Body, part: Raw, path: str, channel: str, field: str) -> None:
    found = members(body, part)
    value = body.decode(VALUE, part) if found else Value()
    number = value.metadata or value.whatsapp_business_api_data
    line = Line(
        (text(number.phone_number_id) if number else None) or channel or UNKNOWN_CHANNEL,
        text(number.display_phone_number) if number else None,
        _contacts(item, body, value.contacts, path),
    )
    if field in {"history", "standby"}:
        item.flags.append(field)
    lists = {name: each for name, each in found.items() if name not in DESCRIBING and is_array(each)}
    if found.keys() <= DESCRIBING and value.contacts:
        lists = {"contacts": found["contacts"]}
    # What happens to an account, a flow or a template is one row of metadata, whatever lists it has: a flow's
    # alert lists errors that are counts.
    if not lists or (number is None and ("event" in found or BARE.isdisjoint(lists))):
        if passed := [name.removeprefix(CONTROL) for name in found if name.startswith(CONTROL)]:
            _tell_handover(item, body, found, line, passed[0])
        else:
            line.place(item, Person()).tell(item, fact_key(field), says(body, part, *VALUES))
        return
    for name, items in lists.items():
        parts = body.decode(ITEMS, items)
        for n, each in enumerate(parts):
            with item.part(f"{path}{name}/{n}", body.exact(each)) as one:
                _read_one(one, body, each, line, name)


def _tell_handover(item: Item, body: Body, found: dict[str, Raw], line: Line, what: str) -> None:
    """Make the metadata that a conversation was passed to another app, or taken: its two ends have other names."""
    ours, sender = (members(body, found.get(name, NOTHING)) for name in ("recipient", "sender"))
    if phone_number_id := scalar(ours.get("phone_number_id", NOTHING)):
        line = Line(phone_number_id, scalar(ours.get("display_phone_number", NOTHING)), line.contacts)
    phone, user_id = (scalar(sender.get(name, NOTHING)) for name in ("phone_number", "user_id"))
    item.dated(scalar(found.get("timestamp", NOTHING)))
    line.place(item, Person(phone, user_id)).tell(item, "source.thread_control", what)


def _contacts(item: Item, body: Body, parts: list[Raw] | None, path: str) -> tuple[Contact, ...]:
    contacts = []
    for n, part in enumerate(parts or ()):
        # One that cannot be read keeps its place: the next is not the only one that is described.
        contacts.append(Contact())
        with item.part(f"{path}contacts/{n}", body.exact(part)):
            contacts[n] = body.decode(CONTACT, part)
    return tuple(contacts)


def _read_one(item: Item, body: Body, part: Raw, line: Line, name: str) -> None:
    match name:
        case "messages":
            read_message(item, body, part, line)
        case "message_echoes":
            read_message(item, body, part, line, is_echo=True)
        case "statuses":
            read_status(item, body, part, line)
        case "history":
            _read_chunk(item, body, part, line)
        case _:
            read_fact(item, body, part, line, name)


def _read_chunk(item: Item, body: Body, part: Raw, line: Line) -> None:
    chunk = body.decode(CHUNK, part)
    for n, thread_part in enumerate(chunk.threads or ()):
        with item.part(f"threads/{n}", body.exact(thread_part)) as threaded:
            thread = body.decode(THREAD, thread_part)
            person = _person_of(thread) or other_of(body, thread.messages or (), line)
            for m, each in enumerate(thread.messages or ()):
                with threaded.part(f"messages/{m}", body.exact(each)) as one:
                    read_message(one, body, each, line, thread=person)
    read_errors(item, body, chunk.errors, line.place(item, Person()))
    if not chunk.threads and not chunk.errors:
        read_fact(item, body, part, line, "history")


def _person_of(thread: Thread) -> Person | None:
    """Return with whom a thread is, as itself tells: its id is a number or, where that is withheld, a BSUID."""
    context = thread.context or ThreadContext()
    thread_id, phone, user_id = text(thread.id), text(context.wa_id), text(context.user_id)
    if phone is None and thread_id != user_id:
        phone = thread_id
    elif user_id is None and thread_id != phone:
        user_id = thread_id
    person = Person(phone, user_id, text(context.parent_user_id), username=context.username)
    return person if phone or user_id else None
