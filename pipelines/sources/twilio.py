"""Twilio's messages and status callbacks: SMS, WhatsApp, and further channels by address prefix.

https://www.twilio.com/docs/messaging/guides/webhook-request
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
https://www.twilio.com/docs/conversations/conversations-webhooks
https://www.twilio.com/docs/messaging/features/link-shortening
"""

import re
from functools import lru_cache
from typing import Final

from pipelines.core import ids, phones
from pipelines.core.item import Item, Lineage
from pipelines.sources import form_body, twilio_events
from pipelines.sources.json_body import Body, fact_key
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent

INCOMING_STATES: Final = frozenset({"", "received", "receiving"})
MESSAGE_FIELDS: Final = ("MessageSid", "SmsMessageSid", "SmsSid", "Body", "NumMedia")
KNOWN_FIELDS: Final = frozenset({*MESSAGE_FIELDS, "From", "To", "AccountSid", "MessagingServiceSid"})
RECIPIENTS: Final = ("To", "ChannelToAddress")
CHOICES: Final = ("ButtonPayload", "ButtonText", "ListId", "ListTitle")
RECEIVED: Final = frozenset({"delivered", "read"})
"""States of a message that its recipient brings about."""
CONTENT_FIELDS: Final = frozenset({"Body", "NumMedia"})
"""Of these every incoming message has one at least."""
STATES: Final = ("MessageStatus", "Status", "StateTo", "State", "CallStatus", "Level")
SUBJECTS: Final = ("Message", "Participant", "User", "Conversation", "Channel", "Member")
FLAGS: Final = {"Forwarded": "forwarded", "FrequentlyForwarded": "frequently_forwarded"}
OPENED: Final = {"click": "source.link_click", "preview": "source.link_preview"}
"""What became of a shortened link: a person opened it, or a program did to show what is behind it."""
OUR_SIDE: Final = {"outbound-api": "From", "outbound-dial": ""}
"""Of a call's directions, the field of our address where that is not `To`; one passed on may show the caller's."""

_PREFIX: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{1,31}):")
_PHONE_NUMBER: Final = re.compile(r"(?:[A-Za-z0-9_]+:)?(\+[0-9]{3,})")
# Digits of which some are crossed out; an id of other letters is none.
_REMEMBERED: Final = 16_384
_MASKED: Final = re.compile(r"(?:[A-Za-z0-9_]+:)?\+?(?=[0-9]*[Xx*])[0-9Xx*]{4,}")
# Conversations, and Programmable Chat before it; callbacks of WhatsApp have READ or DELIVERED.
_CONVERSATIONS: Final = re.compile(r"on[A-Z]")

Fields = dict[str, str]


def parse(event: RawEvent, lineage: Lineage) -> str | None:
    """Make the rows of a message or status callback, one a request and without a time, or of JSON events."""
    if form_body.is_json(event.data, event.content_type):
        return _events(event.data, lineage)
    # A number may be configured to be called with GET: its parameters then are the query.
    form = event.data or event.query.encode()
    fields, repeated = form_body.read(form)
    opened = OPENED.get(fields.get("event_type", "")) if "sms_sid" in fields else None
    if opened:
        # Of all forms, only those of links write names in small letters.
        fields = {twilio_events.field(name): value for name, value in fields.items()}
    if KNOWN_FIELDS.isdisjoint(fields):
        return "no parameters of a Twilio message"
    with lineage.item("", form, source=_source(fields), content_type=form_body.FORM) as item:
        if not event.data:
            item.flags.append("query")
        if repeated:
            item.flags.append("duplicate_key")
        if opened:
            _link(item, fields, opened)
        elif _CONVERSATIONS.match(fields.get("EventType", "")):
            # Its messages have fields of the same names, but other ids and no addresses.
            _other(item, fields | {"To": ""})
        elif _state(fields) not in INCOMING_STATES:
            _status(item, fields)
        elif "MessageStatus" in fields and not fields.keys() & CONTENT_FIELDS:
            # A callback that lost its state is no message; our side is where it came from.
            _other(item, fields | {"To": fields.get("From", "")})
        elif any(fields.get(name) for name in MESSAGE_FIELDS):
            _message(item, fields)
        else:
            _other(item, fields)
    return None


def reply_place(item: Item, channel: str, to: str) -> Place:
    """Note that our address and a contact's were seen in a message of ours, and return where it belongs.

    The item gets the source that the addresses tell.
    """
    item.source = _source({"To": to, "From": channel})
    address = _qualified(to, item.source)
    channel_id = item.channel(_qualified(channel, item.source))
    contact_id = item.contact(
        channel_id, address, scope=_scope(channel_id, address), phone_number=_phone_number(address)
    )
    _tell_spelling(item, channel_id, address)
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, address))


def _events(data: bytes, lineage: Lineage) -> str | None:
    """Make the rows of Event Streams; what tells no account is not told by Twilio, or a test of the sink."""
    body = Body(data)
    before = len(lineage.rows) + len(lineage.failures)
    for pointer, element in twilio_events.elements(body):
        with lineage.item(pointer, body.exact(element), source="twilio.sms") as item:
            told = twilio_events.read(body, element)
            item.source = _source(told.fields)
            item.dated(told.time, told.envelope_time)
            if told.type == twilio_events.MESSAGE:
                _message(item, told.fields)
            elif told.type.startswith(twilio_events.STATUS):
                state = told.type.removeprefix(twilio_events.STATUS)
                _status(item, told.fields | {"MessageStatus": told.fields.get("MessageStatus") or state})
            elif told.type == twilio_events.CLICKED:
                _link(item, told.fields, OPENED["click"])
            elif told.type and (account := told.fields.get("AccountSid")):
                key = fact_key(told.type.removeprefix("com.twilio."))
                Place(item.channel(account)).tell(item, key, _said(told.fields, told.type))
    none = len(lineage.rows) + len(lineage.failures) == before
    return "no event of Twilio's" if none else None


def _source(fields: Fields) -> str:
    for address in (fields.get("To", ""), fields.get("From", ""), fields.get("ChannelPrefix", "") + ":"):
        if prefix := _PREFIX.match(address):
            return f"twilio.{prefix[1].lower()}"
    return "twilio.sms"


def _state(fields: Fields) -> str:
    # WhatsApp's callbacks may say it in the event's type alone.
    event = fields.get("EventType", "") if "ChannelPrefix" in fields or "ChannelToAddress" in fields else ""
    return (fields.get("MessageStatus") or fields.get("SmsStatus") or event).lower()


def _message_sid(fields: Fields) -> str | None:
    return fields.get("MessageSid") or fields.get("SmsMessageSid") or fields.get("SmsSid") or None


def _message(item: Item, fields: Fields) -> None:
    address = _sender(fields, item.source)
    if not address:
        raise ValueError("an incoming message without From, WaId and ExternalUserId, or with masked ones")
    channel_id = item.channel(_channel(fields, "To", item.source))
    contact_id = item.contact(
        channel_id,
        address,
        scope=_scope(channel_id, address),
        display_name=fields.get("ProfileName") or None,
        phone_number=_phone_number(address),
        alternative_ids=_alternative_ids(fields),
    )
    conversation_id = item.conversation(channel_id, contact_id, address)
    _tell_aliases(item, channel_id, address, fields)
    for name, flag in FLAGS.items():
        if fields.get(name, "").lower() == "true":
            item.flags.append(flag)
    message_id = item.message(
        channel_id=channel_id,
        contact_id=contact_id,
        conversation_id=conversation_id,
        source_message_id=_message_sid(fields),
        direction="inbound",
        sender_id=address,
        kind="quick_reply" if any(fields.get(name) for name in CHOICES) else "message",
    )
    place = Place(channel_id, contact_id, conversation_id)
    _tell_error(item, fields, place, message_id)
    if referral := fields.get("ReferralSourceId") or fields.get("ReferralSourceUrl"):
        place.tell(item, "source.referral", referral)
    if opt_out := fields.get("OptOutType"):
        place.tell(item, "source.opt_out", opt_out)


def _status(item: Item, fields: Fields) -> None:
    place, address = _sent_to(item, fields)
    message_id, state = _message_id(item, fields), _state(fields)
    actor = address if state in RECEIVED else None
    place.tell(item, "source.delivery_state", state, message_id=message_id, actor=actor or None)
    _tell_error(item, fields, place, message_id)


def _link(item: Item, fields: Fields, key: str) -> None:
    """Make metadata of a shortened link in a message that was opened, at the time of that."""
    item.dated(fields.get("ClickTime") or None)
    place, address = _sent_to(item, fields)
    actor = address if key == OPENED["click"] else None
    place.tell(item, key, fields.get("Link", ""), message_id=_message_id(item, fields), actor=actor or None)


def _sent_to(item: Item, fields: Fields) -> tuple[Place, str]:
    """Return where a message of ours belongs, and the address to which it was sent, empty where none is told."""
    channel_id = item.channel(_channel(fields, "From", item.source))
    contact_id = conversation_id = None
    to = next((address for name in RECIPIENTS if (address := _unmasked(fields.get(name, "")))), "")
    address = _qualified(to, item.source)
    # Without From no number is chosen yet, so it is not known on which one the contact would answer.
    if address and fields.get("From"):
        contact_id = item.contact(
            channel_id, address, scope=_scope(channel_id, address), phone_number=_phone_number(address)
        )
        conversation_id = item.conversation(channel_id, contact_id, address)
        _tell_spelling(item, channel_id, address)
    return Place(channel_id, contact_id, conversation_id), address


def _message_id(item: Item, fields: Fields) -> str | None:
    sid = _message_sid(fields)
    return ids.message_id(item.source, "", sid) if sid else None


def _tell_error(item: Item, fields: Fields, place: Place, message_id: str | None) -> None:
    """Make metadata of an error: of the message, or, where a URL of ours failed, of the channel."""
    if not (error := _error(fields)):
        return
    if fields.get("ErrorUrl"):
        Place(place.channel_id).tell(item, "source.error", error)
    else:
        place.tell(item, "source.error", error, message_id=message_id)


def _other(item: Item, fields: Fields) -> None:
    own = OUR_SIDE.get(fields.get("Direction", ""), "To")
    place = Place(item.channel(_channel(fields, own, item.source)))
    event = fields.get("EventType") or "event"
    place.tell(item, fact_key(event), _said(fields, event))


def _said(fields: Fields, event: str) -> str:
    """Return what an event says in one word: its error, else its state, else the id of what it is about."""
    words = [name for name in SUBJECTS if name.lower() in event.lower().replace("_", "").replace("-", "")]
    names = (*STATES, *(f"{word}Sid" for word in (*words, *SUBJECTS)), "Sid")
    return _error(fields) or next(filter(None, (fields.get(name, "") for name in names)), "")


def _channel(fields: Fields, own: str, source: str) -> str:
    """Return our side's address, or the closest thing to it that the request names."""
    address = _qualified(fields.get(own, ""), source)
    channel = address or fields.get("MessagingServiceSid") or fields.get("AccountSid")
    if not channel:
        raise ValueError(f"none of {own}, MessagingServiceSid and AccountSid tells the channel")
    return channel


def _sender(fields: Fields, source: str) -> str:
    sender, wa_id = _unmasked(fields.get("From", "")), _unmasked(fields.get("WaId", ""))
    if not sender and wa_id:
        return f"whatsapp:+{wa_id}"
    return _qualified(sender or fields.get("ExternalUserId", ""), source)


@lru_cache(_REMEMBERED)
def _unmasked(address: str) -> str:
    """Return an address, or an empty one where digits are crossed out: many people share it, so it is nobody's."""
    return "" if _MASKED.fullmatch(address) else address


@lru_cache(_REMEMBERED)
def _qualified(address: str, source: str) -> str:
    """Return an address with its channel's prefix, which Twilio leaves out in some fields."""
    prefix = source.removeprefix("twilio.")
    if not address or prefix == "sms" or _PREFIX.match(address):
        return address
    return f"{prefix}:{address}"


@lru_cache(_REMEMBERED)
def _phone_number(address: str) -> str | None:
    number = _PHONE_NUMBER.fullmatch(address)
    return number[1] if number else None


def _scope(channel_id: str, address: str) -> str:
    """Phone numbers mean the same person everywhere; Page-scoped ids and short codes may not."""
    return "" if _phone_number(address) else channel_id


def _alternative_ids(fields: Fields) -> tuple[str, ...]:
    names = (("wa_id", "WaId"), ("external_user_id", "ExternalUserId"))
    return tuple(f"{key}={fields[name]}" for key, name in names if _unmasked(fields.get(name, "")))


def _tell_aliases(item: Item, channel_id: str, address: str, fields: Fields) -> None:
    """Tell the further ids of a sender, each as the address that it is where it comes alone."""
    scope = _scope(channel_id, address)
    _tell_spelling(item, channel_id, address)
    wa_id, user_id = (_unmasked(fields.get(name, "")) for name in ("WaId", "ExternalUserId"))
    if wa_id:
        other = f"whatsapp:+{wa_id.removeprefix('+')}"
        item.alias(channel_id, address, "wa_id", other, scope=scope, other_scope=_scope(channel_id, other))
        _tell_spelling(item, channel_id, other)
    if user_id:
        other = _qualified(user_id, item.source)
        other_scope = _scope(channel_id, other)
        item.alias(channel_id, address, "external_user_id", other, scope=scope, other_scope=other_scope)


def _tell_spelling(item: Item, channel_id: str, address: str) -> None:
    """Tell the one spelling of a phone number that has several."""
    if (number := _phone_number(address)) and (spelling := phones.e164(number)):
        item.alias(channel_id, address, "phone_spelling", address.removesuffix(number) + spelling)


def _error(fields: Fields) -> str:
    code = fields.get("ErrorCode", "")
    return "" if code == "0" else code
