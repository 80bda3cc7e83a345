"""The call that sends a reply, as each provider wants it; pure.

What is source-native goes untouched: our own members are put beside the caller's, each of which keeps its bytes.
https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
https://developers.facebook.com/documentation/business-messaging/whatsapp/groups/groups-messaging
https://developers.facebook.com/docs/messenger-platform/reference/send-api
https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Raw

from pipelines.replies.channels import Channel
from schemas.replies import Addressed

GRAPH_URL: Final = "https://graph.facebook.com/v23.0"
TWILIO_URL: Final = "https://api.twilio.com"
TWILIO_VERSION: Final = "2010-04-01"
_FORM: Final = "application/x-www-form-urlencoded"
_WHATSAPP: Final = "whatsapp:"
_SERVICE: Final = "MG"
_GROUP: Final = "Y2FwaV9ncm91cD"
"""What ids of WhatsApp's groups begin with: `capi_group:` in base64."""
_USER_ID: Final = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]+")
"""Business-scoped: of whoever does not show their number."""
_Members = dict[str, Raw]
_members: Final = msgspec.json.Decoder(_Members)
_form: Final = msgspec.json.Decoder(dict[str, str | int | float | bool | list[str]])


class UnsendableError(ValueError):
    """A reply's content cannot be sent as it is; the text says why."""


class Places(NamedTuple):
    """Where the providers are, and we."""

    graph: str = GRAPH_URL
    twilio: str = TWILIO_URL
    public: str = ""
    """The receiver's public URL, for Twilio's status callbacks; they are not asked for without it."""


class Call(NamedTuple):
    """A POST request, but for its credentials."""

    url: str
    content: bytes
    content_type: str


def make_call(reply: Addressed, reply_id: str, channel: Channel, places: Places) -> Call:
    """Return the call that sends a reply, with its id to be given back in receipts or echoes.

    Raises:
        UnsendableError: the content is for somebody else, or has a member that we need.
    """
    try:
        if reply.source == "twilio":
            return _to_twilio(reply, reply_id, channel, places)
        if reply.source == "whatsapp":
            content = _for_whatsapp(reply, reply_id)
        elif reply.source in {"facebook", "instagram"}:
            content = _for_page(reply, reply_id)
        else:
            raise UnsendableError(f"nothing is sent to {reply.source}")
    except msgspec.DecodeError as error:
        raise UnsendableError(f"content: {error}") from error
    base = channel.url or places.graph
    # Whatever it is, it must not lead the token to another place.
    account = quote(channel.account or reply.channel, safe="")
    return Call(f"{base}/{account}/messages", _join(content), "application/json")


def _for_whatsapp(reply: Addressed, reply_id: str) -> _Members:
    if reply.text is not None:
        return _own(
            messaging_product="whatsapp",
            **_whatsapp_address(reply.to),
            type="text",
            text={"body": reply.text},
            biz_opaque_callback_data=reply_id,
        )
    content = _members.decode(reply.content)
    _forbid(content, "biz_opaque_callback_data")
    _agree("to", content.get("to"), reply.to)
    if reply.is_action:
        # It is about a message, by its id, and takes no other members.
        return _own(messaging_product="whatsapp") | content
    own = {"messaging_product": "whatsapp", "biz_opaque_callback_data": reply_id}
    if "to" not in content and "recipient" not in content:
        own |= _whatsapp_address(reply.to)
    return _own(**own) | content


def _whatsapp_address(to: str) -> dict[str, str]:
    """Return the members that say to whom a message of WhatsApp goes, known by the id that its webhooks give."""
    if to.startswith(_GROUP):
        return {"recipient_type": "group", "to": to}
    if _USER_ID.fullmatch(to):
        return {"recipient_type": "individual", "recipient": to}
    # Webhooks leave out the plus, without which WhatsApp may take a number for one of the business's country.
    return {"recipient_type": "individual", "to": f"+{to}" if to.isascii() and to.isdecimal() else to}


def _for_page(reply: Addressed, reply_id: str) -> _Members:
    content = _members.decode(reply.content)
    # Either the whole body of the call, or its message alone.
    whole = "message" in content or "sender_action" in content
    body = content if whole else _own(messaging_type="RESPONSE") | {"message": reply.content}
    if "recipient" in body:
        recipient = _members.decode(body["recipient"])
        _agree("recipient.id", recipient.get("id"), reply.to)
    else:
        body = _own(recipient={"id": reply.to}) | body
    if "message" in body:
        message = _members.decode(body["message"])
        _forbid(message, "metadata")
        body = body | {"message": Raw(_join(message | _own(metadata=reply_id)))}
    return body


def _to_twilio(reply: Addressed, reply_id: str, channel: Channel, places: Places) -> Call:
    if reply.text is not None:
        form: dict[str, Any] = {"Body": reply.text}
    else:
        form = dict(_form.decode(reply.content))
    if "StatusCallback" in form:
        raise UnsendableError("content has StatusCallback, by which receipts come back to Parley")
    to, sender = twilio_addresses(reply)
    sender_name = "MessagingServiceSid" if sender.startswith(_SERVICE) else "From"
    for name, ours in (("To", to), (sender_name, sender)):
        if form.setdefault(name, ours) != ours:
            raise UnsendableError(f"content's {name} is not the reply's")
    if places.public:
        form["StatusCallback"] = f"{places.public}/twilio?reply={reply_id}"
    encoded = urlencode({name: _word(value) for name, value in form.items()}, doseq=True).encode()
    return Call(f"{twilio_messages(channel, places)}", encoded, _FORM)


def twilio_messages(channel: Channel, places: Places) -> str:
    """Return the address of an account's messages."""
    return f"{channel.url or places.twilio}/{TWILIO_VERSION}/Accounts/{channel.account}/Messages.json"


def twilio_addresses(reply: Addressed) -> tuple[str, str]:
    """Return to whom and from whom a message of Twilio goes; on WhatsApp both say so."""
    to, sender = reply.to, reply.channel
    if sender.startswith(_WHATSAPP) and not to.startswith(_WHATSAPP):
        to = _WHATSAPP + to
    elif to.startswith(_WHATSAPP) and not sender.startswith((_WHATSAPP, _SERVICE)):
        sender = _WHATSAPP + sender
    return to, sender


def _word(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _forbid(content: _Members, name: str) -> None:
    if name in content:
        raise UnsendableError(f"content has {name}, by which the reply is known again")


def _agree(name: str, given: Raw | None, to: str) -> None:
    """Make sure that a reply goes to whom it says: its token and its place in the queue depend on that."""
    if given is None:
        return
    text = msgspec.json.decode(given)
    if not isinstance(text, str) or text.lstrip("+") != to.lstrip("+"):
        raise UnsendableError(f"content's {name} is not the reply's `to`")


def _own(**members: Any) -> _Members:
    return {name: Raw(msgspec.json.encode(value)) for name, value in members.items()}


def _join(content: _Members) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(n) + b":" + bytes(v) for n, v in content.items()) + b"}"
