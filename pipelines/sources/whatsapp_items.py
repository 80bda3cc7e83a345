"""The items of WhatsApp's lists: messages, echoes and statuses; of everything else what is common.

Message ids are scoped by channel, as one message in a group may reach several numbers of ours, each in a
conversation of its own. Statuses, edits, reactions and revocations come on the channel of their message.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from pipelines.core import ids
from pipelines.core.item import Item
from pipelines.sources.json_body import NOTHING, Body, Id, fact_key, is_array, members, says, scalar, text
from pipelines.sources.place import Place
from pipelines.sources.whatsapp_people import Line, Person

QUICK_REPLIES: Final = frozenset({"button", "button_reply", "list_reply"})
UNSUPPORTED: Final = frozenset({"unsupported", "unknown"})
NEW_USER_ID: Final = "user_changed_user_id"
"""The system message that somebody has a new user id."""
IDENTITIES: Final = frozenset({"user_id_update"})
"""Lists of which an item is about a person, not about what was said."""
PARTICIPANTS: Final = "_participants"
"""What the lists of people end with that a group's event has: added, removed, …"""
RECEIVED: Final = frozenset({"delivered", "read", "played"})
"""States of a message that its recipient brings about."""
VALUE_OF: Final = {
    "automatic_events": "event_name",
    "calls": "event",
    "contacts": "wa_id",
    "errors": "code",
    "groups": "type",
    "state_sync": "action",
    "user_preferences": "value",
}
"""What tells most of an item that is kept as metadata."""


class Context(Struct):
    """What a message refers to."""

    forwarded: bool | None = None
    frequently_forwarded: bool | None = None


class Referral(Struct):
    """The advertisement or post through which somebody came."""

    source_id: Id = None
    source_url: Id = None
    ctwa_clid: Id = None


class Interactive(Struct):
    """An answer to buttons, a list, a form or a request."""

    type: str | None = None


class Reaction(Struct):
    """A reaction to a message; no emoji removes it."""

    message_id: Id = None
    emoji: str | None = None


class Change(Struct):
    """A later version of a message, or its revocation."""

    original_message_id: Id = None
    message: Raw = NOTHING


class System(Struct):
    """A change of a contact's number or identity."""

    body: str | None = None
    type: str | None = None
    wa_id: Id = None
    new_wa_id: Id = None
    user_id: Id = None
    parent_user_id: Id = None


class HistoryContext(Struct):
    """How far a message of the history had come."""

    status: str | None = None


class Message(Struct):
    """An item of `messages[]` or `message_echoes[]`."""

    id: Id = None
    type: str | None = None
    timestamp: Raw = NOTHING
    sender: Id = msgspec.field(default=None, name="from")
    from_user_id: Id = None
    from_parent_user_id: Id = None
    to: Id = None
    to_user_id: Id = None
    to_parent_user_id: Id = None
    group_id: Id = None
    context: Context | None = None
    referral: Referral | None = None
    interactive: Interactive | None = None
    reaction: Reaction | None = None
    edit: Change | None = None
    revoke: Change | None = None
    system: System | None = None
    errors: list[Raw] | None = None
    history_context: HistoryContext | None = None


class Sent(Struct):
    """Whom a status of the on-premises API is about."""

    recipient_id: Id = None


class Status(Struct):
    """An item of `statuses[]`: how far an outbound message, call or payment has come."""

    id: Id = None
    status: str | None = None
    type: str | None = None
    timestamp: Raw = NOTHING
    recipient_id: Id = None
    recipient_user_id: Id = None
    recipient_parent_user_id: Id = None
    recipient_type: str | None = None
    recipient_participant_id: Id = None
    recipient_participant_user_id: Id = None
    recipient_participant_parent_user_id: Id = None
    message: Sent | None = None
    errors: list[Raw] | None = None


class Participant(Struct):
    """Somebody in a group; `input` is the number by which the business named them."""

    wa_id: Id = None
    user_id: Id = None
    parent_user_id: Id = None
    username: str | None = None
    input: Id = None


_CHANGE: Final = re.compile(r" (?P<old>[A-Z]{2}\.[A-Za-z0-9.]+|[0-9]{7,15}) to (?P<new>[A-Za-z0-9.]+)$", re.ASCII)

MESSAGE: Final = msgspec.json.Decoder(Message)
PARTICIPANT: Final = msgspec.json.Decoder(Participant)
PARTS: Final = msgspec.json.Decoder(list[Raw])
STATUS: Final = msgspec.json.Decoder(Status)


def read_message(
    item: Item, body: Body, part: Raw, line: Line, *, is_echo: bool = False, thread: Person | None = None
) -> None:
    """Make the rows of a message or an echo; `thread` is the contact in whose history it is."""
    said = body.decode(MESSAGE, part)
    item.dated(scalar(said.timestamp))
    is_outbound, other = _other_end(item, said, line, is_echo, thread)
    group = text(said.group_id)
    item.flags.extend(["echo"] * is_echo + ["group"] * bool(group))
    place = line.place(item, other, group, is_sender=not is_outbound)
    own_id, kind = _message_id(item, place, said.id), said.type or "message"
    sender = text(said.sender) or text(said.from_user_id)
    # The only sender that a value describes may be told nowhere else.
    sender = sender or (None if is_outbound else line.key_of(other, is_sender=True))
    if kind in {"reaction", "edit", "revoke"}:
        _tell_of_target(item, body, place, said, kind, sender)
    elif kind == "system":
        what = (said.system.type if said.system else None) or kind
        key = fact_key(what)
        # With a new user id the number is told as well, be it new or not.
        new_ids = (other.new_phone, other.new_user_id)
        if new_id := next(filter(None, reversed(new_ids) if what == NEW_USER_ID else new_ids), None):
            place.tell_of_contact(item, key, new_id)
        else:
            place.tell_of_contact(item, key, _said_by(body, part, "identity", "system"))
    elif place.contact_id is None:
        place.tell(item, fact_key(kind), _said_by(body, part, kind), message_id=own_id)
    elif kind == "request_welcome":
        place.tell(item, fact_key(kind), "true")
    else:
        own_id = _make_message(item, place, said, sender, is_outbound)
    if is_outbound and said.history_context and said.history_context.status:
        state = said.history_context.status.lower()
        actor = line.key_of(other) if state in RECEIVED and not group else None
        place.tell(item, "source.delivery_state", state, message_id=own_id, actor=actor)
    read_errors(item, body, said.errors, place, own_id)


def read_status(item: Item, body: Body, part: Raw, line: Line) -> None:
    """Make the metadata of a status."""
    status = body.decode(STATUS, part)
    item.dated(scalar(status.timestamp))
    recipient = text(status.recipient_id) or (text(status.message.recipient_id) if status.message else None)
    group = None
    person = Person(recipient, text(status.recipient_user_id), text(status.recipient_parent_user_id))
    if status.recipient_type == "group":
        item.flags.append("group")
        # Who of the group: by BSUID alone where the number is withheld.
        group, person = recipient, _participant(status, person)
    place = line.place(item, person, group)
    about = status.type if status.type not in {None, "message"} else "delivery"
    # A call's id is no message's.
    message_id = None if about == "call" else _message_id(item, place, status.id)
    key = "source.delivery_state" if about == "delivery" else fact_key(f"{about}_status")
    if status.status:
        state = status.status.lower()
        actor = line.key_of(person) if state in RECEIVED else None
        place.tell(item, key, state, message_id=message_id, actor=actor)
    read_errors(item, body, status.errors, place, message_id)
    if not item.told and not status.errors:
        place.tell(item, "source.statuses", message_id=message_id)


def _participant(status: Status, recipient: Person) -> Person:
    """Return whose status it is of those in a group, whose user id may also be told as a recipient's."""
    return Person(
        text(status.recipient_participant_id),
        text(status.recipient_participant_user_id) or recipient.user_id,
        text(status.recipient_participant_parent_user_id) or recipient.parent_user_id,
    )


def read_errors(
    item: Item, body: Body, errors: list[Raw] | None, place: Place, message_id: str | None = None
) -> None:
    """Make metadata of each error that an item names."""
    for n, error in enumerate(errors or ()):
        with item.part(f"errors/{n}", body.exact(error)) as part:
            code = scalar(members(body, error).get("code", NOTHING)) or ""
            place.tell(part, "source.error", code, message_id=message_id)


def read_fact(item: Item, body: Body, part: Raw, line: Line, name: str) -> None:
    """Make metadata of an item that has no reading of its own, about whomever it names."""
    found = members(body, part)
    # The address book of the app nests whom it tells of, and when.
    nested = members(body, found.get("contact", NOTHING)) | members(body, found.get("metadata", NOTHING))
    said = {key: scalar(value) for key, value in (nested | found).items()}
    item.dated(said.get("timestamp"))
    user_id, parent_user_id = (
        {key: scalar(value) for key, value in members(body, found.get(name, NOTHING)).items()}
        for name in ("user_id", "parent_user_id")
    )
    ends = [
        Person(
            said.get("wa_id") or said.get("phone_number"),
            said.get("user_id") or user_id.get("previous"),
            said.get("parent_user_id") or parent_user_id.get("previous"),
            new_user_id=user_id.get("current"),
            new_parent_user_id=parent_user_id.get("current"),
            name=said.get("full_name"),
            username=said.get("username"),
        ),
        Person(said.get("from"), said.get("from_user_id")),
        Person(said.get("to"), said.get("to_user_id")),
    ]
    person = next((end for end in ends if any(end) and not line.is_ours(end.phone)), Person())
    place = line.place(item, person, said.get("group_id"))
    key = "source.error" if name == "errors" else fact_key(name)
    value = said.get(VALUE_OF.get(name, "")) or says(body, part)
    if name in IDENTITIES:
        place.tell_of_contact(item, key, user_id.get("current") or "")
    elif name == "automatic_events":
        place.tell(item, key, value, message_id=_message_id(item, place, said.get("id")))
    else:
        place.tell(item, key, value)
    if group := said.get("group_id"):
        for each in found:
            if each.endswith(PARTICIPANTS):
                _read_participants(item, body, found[each], line, group, each)


def _read_participants(item: Item, body: Body, parts: Raw, line: Line, group: str, name: str) -> None:
    """Note who is told to have come into a group or gone, each with metadata in the group's conversation."""
    people = body.decode(PARTS, parts) if is_array(parts) else []
    for n, part in enumerate(people):
        with item.part(f"{name}/{n}", body.exact(part)) as one:
            said = body.decode(PARTICIPANT, part)
            phone = text(said.wa_id) or text(said.input)
            person = Person(phone, text(said.user_id), text(said.parent_user_id), username=said.username)
            if any(person) and not line.is_ours(phone):
                place = line.place(one, person, group)
                place.tell_of_contact(one, "source.group_participant", name.removesuffix(PARTICIPANTS))


def _other_end(item: Item, said: Message, line: Line, is_echo: bool, thread: Person | None) -> tuple[bool, Person]:
    """Return whether a message is outbound, and who is at its other end."""
    sender = Person(text(said.sender), text(said.from_user_id), text(said.from_parent_user_id))
    if said.system:
        sender = _with_change(sender, said.system)
    recipient = Person(text(said.to), text(said.to_user_id), text(said.to_parent_user_id))
    is_outbound = is_echo or ("history" in item.flags and _is_ours_of_history(sender, recipient, line, thread))
    if thread and not said.group_id:
        return is_outbound, thread
    if not is_outbound or (is_echo and line.is_ours(recipient.phone)):
        return is_outbound, sender
    return True, recipient


def _with_change(sender: Person, system: System) -> Person:
    """Return a sender with the ids that a change of theirs names."""
    new_phone = text(system.wa_id) or text(system.new_wa_id)
    old_phone, old_user_id = _changed_from(system, new_phone)
    return sender._replace(
        new_phone=new_phone,
        new_user_id=text(system.user_id),
        new_parent_user_id=text(system.parent_user_id),
        old_phone=old_phone,
        old_user_id=old_user_id,
    )


def _changed_from(system: System, new_phone: str | None) -> tuple[str | None, str | None]:
    """Return the old number or user id of a change, which may be told by the sentence about it alone.

    The end of the sentence is not the person's to write, as the name at its beginning is.
    """
    changed = _CHANGE.search(system.body or "")
    if changed and changed["new"] == new_phone:
        return changed["old"], None
    if changed and changed["new"] == text(system.user_id):
        return None, changed["old"]
    return None, None


def _is_ours_of_history(sender: Person, recipient: Person, line: Line, thread: Person | None) -> bool:
    """Return whether the business sent a message of the history, where either end may be missing."""
    if line.is_ours(sender.phone):
        return True
    if line.is_ours(recipient.phone) or (thread and sender.is_known_as(thread)):
        return False
    if not any(sender) or (thread and recipient.is_known_as(thread)):
        return any(recipient)
    # Without our own number, whoever is not the thread's person is the business; only people have a BSUID.
    return bool(thread and sender.phone and not sender.user_id and not line.number)


def other_of(body: Body, parts: Iterable[Raw], line: Line) -> Person | None:
    """Return who of a thread that names nobody is not the business: the first end of its messages that tells."""
    for part in parts:
        try:
            said = body.decode(MESSAGE, part)
        except msgspec.DecodeError:
            continue  # It fails for itself when it is read.
        ends = (
            Person(text(said.sender), text(said.from_user_id), text(said.from_parent_user_id)),
            Person(text(said.to), text(said.to_user_id), text(said.to_parent_user_id)),
        )
        for end in ends if line.number else ():
            if any(end) and not line.is_ours(end.phone) and not said.group_id:
                return end
    return None


def _make_message(item: Item, place: Place, said: Message, sender: str | None, is_outbound: bool) -> str | None:
    if place.contact_id is None or place.conversation_id is None:
        return None
    context = said.context or Context()
    flags = {
        "forwarded": context.forwarded,
        "frequently_forwarded": context.frequently_forwarded,
        "placeholder": said.type == "media_placeholder",
        "unsupported": said.type in UNSUPPORTED,
    }
    item.flags.extend([flag for flag, is_set in flags.items() if is_set])
    form = said.interactive.type if said.interactive else said.type
    message_id = item.message(
        channel_id=place.channel_id,
        contact_id=place.contact_id,
        conversation_id=place.conversation_id,
        source_message_id=text(said.id),
        direction="outbound" if is_outbound else "inbound",
        sender_id=sender,
        kind="quick_reply" if form in QUICK_REPLIES else "message",
        scope=place.channel_id,
    )
    if said.referral:
        come = said.referral
        link = text(come.source_id) or text(come.source_url) or text(come.ctwa_clid)
        place.tell(item, "source.referral", link or "")
    return message_id


def _tell_of_target(item: Item, body: Body, place: Place, said: Message, kind: str, actor: str | None) -> None:
    """Make the metadata of a reaction, an edit or a revocation about the message that it names."""
    reaction, edit = said.reaction or Reaction(), said.edit or Change()
    target, key, value = {
        "reaction": (reaction.message_id, "reaction.emoji", reaction.emoji or ""),
        "edit": (edit.original_message_id, "source.edited", _edited_text(body, edit.message)),
        "revoke": ((said.revoke or Change()).original_message_id, "source.deleted", "true"),
    }[kind]
    message_id = _message_id(item, place, target)
    # An edit whose new text is not told does not empty the text that there is.
    if message_id and (value or kind != "edit"):
        place.tell(item, key, value, message_id=message_id, actor=actor)
    else:
        place.tell(item, fact_key(kind), value or _type_of(body, edit.message), message_id=message_id, actor=actor)


def _said_by(body: Body, part: Raw, *names: str) -> str:
    """Return what the first of an item's members says that says anything."""
    found = members(body, part)
    words = (says(body, found[name], "hash", "identity", "body", "caption") for name in names if name in found)
    return next(filter(None, words), "")


def _type_of(body: Body, message: Raw) -> str:
    return scalar(members(body, message).get("type", NOTHING)) or ""


def _edited_text(body: Body, message: Raw) -> str:
    content = members(body, members(body, message).get(_type_of(body, message), NOTHING))
    return scalar(content.get("body", NOTHING)) or scalar(content.get("caption", NOTHING)) or ""


def _message_id(item: Item, place: Place, source_message_id: Id) -> str | None:
    known = text(source_message_id)
    return ids.message_id(item.source, place.channel_id, known) if known else None
