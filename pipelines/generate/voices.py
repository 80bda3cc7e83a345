"""How each source reports a happening: its webhook's body, as it would be on the wire."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from pipelines.core import ids
from pipelines.core.times import rfc3339
from pipelines.generate.phrases import NAMES
from pipelines.generate.story import SECOND, Conversation, Happening

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
ACCOUNT: Final = "AC" + "5a" * 16

RECEIPTS: Final = frozenset({"delivered", "read"})
_ERROR: Final = {"code": 131026, "title": "Message undeliverable"}


class Webhook(NamedTuple):
    """A webhook that is not sent yet."""

    endpoint: str
    body: bytes
    content_type: str = JSON
    attributes: Mapping[str, str] = {}
    """What the receiver would know besides."""


def webhook_of(talk: Conversation, happening: Happening) -> Webhook | None:
    """Return the webhook that reports a happening; None where the source reports no such thing."""
    return _VOICES.get(talk.source, _custom)(talk, happening)


def _page(talk: Conversation, said: Happening) -> Webhook | None:
    item = _page_payload(talk, said)
    if item is None:
        return None
    instagram = talk.source == "instagram"
    ours = f"{17840 if instagram else 20450}000000{talk.channel:04}"
    theirs = f"{980 if instagram else 731}{talk.channel}{talk.person:012}"
    outbound = "message" in item and not said.inbound
    sender, recipient = (ours, theirs) if outbound else (theirs, ours)
    at = said.at // 1000
    event = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": at, **item}
    entry = {"time": at + 200, "id": ours, "messaging": [event]}
    return Webhook(
        "facebook", _json({"object": "instagram" if instagram else "page", "entry": [entry]}, escape=True)
    )


def _page_payload(talk: Conversation, said: Happening) -> dict[str, Any] | None:
    mid = f"m_{_message_id(talk, said)}"
    instagram = talk.source == "instagram"
    payload: dict[str, Any] | None = None
    match said.kind:
        case "said" if said.inbound:
            payload = {"message": {"mid": mid, "text": said.text}}
        case "said":
            # On Instagram nothing says which app has sent an echo.
            app = {} if instagram else {"app_id": 517000000000001}
            payload = {"message": {"mid": mid, "text": said.text, "is_echo": True, **app}}
        case "state" if instagram:
            payload = {"read": {"mid": mid}} if said.text == "read" else None
        case "state" if said.text == "delivered":
            payload = {"delivery": {"mids": [mid], "watermark": said.at // 1000}}
        case "state" if said.text == "read":
            payload = {"read": {"watermark": said.at // 1000}}
        case "reaction":
            payload = {"reaction": {"mid": mid, "action": "react", "reaction": "other", "emoji": said.text}}
        case "edit":
            payload = {"message_edit": {"mid": mid, "text": said.text, "num_edit": 1}}
        case "deletion" if instagram:
            payload = {"message": {"mid": mid, "is_deleted": True}}
    return payload


def _whatsapp(talk: Conversation, said: Happening) -> Webhook:
    phone = _phone(talk)[1:]
    wamid, at = f"wamid.{_message_id(talk, said)}", str(said.at // SECOND)
    ours = f"49155500000{talk.channel:02}"
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": ours, "phone_number_id": f"10654035224292{talk.channel}"},
    }
    field = "messages"
    message: dict[str, Any] = {"from": phone, "id": wamid, "timestamp": at}
    own = f"{wamid}.{said.kind}"
    match said.kind:
        case "state":
            status: dict[str, Any] = {"id": wamid, "status": said.text, "timestamp": at, "recipient_id": phone}
            value["statuses"] = [{**status, "errors": [_ERROR]} if said.text == "failed" else status]
        case "said" if not said.inbound:
            field = "smb_message_echoes"
            text = {"type": "text", "text": {"body": said.text}}
            value["message_echoes"] = [{**message, "from": ours, "to": phone, **text}]
        case "said":
            value["contacts"] = [{"profile": {"name": _name(talk)}, "wa_id": phone}]
            value["messages"] = [{**message, "type": "text", "text": {"body": said.text}}]
        case "reaction":
            reaction = {"message_id": wamid, "emoji": said.text}
            value["messages"] = [{**message, "id": own, "type": "reaction", "reaction": reaction}]
        case "edit":
            edit = {"original_message_id": wamid, "message": {"type": "text", "text": {"body": said.text}}}
            value["messages"] = [{**message, "id": own, "type": "edit", "edit": edit}]
        case _:
            revoke = {"original_message_id": wamid}
            value["messages"] = [{**message, "id": own, "type": "revoke", "revoke": revoke}]
    entry = {"id": "102290129340398", "changes": [{"value": value, "field": field}]}
    return Webhook("whatsapp", _json({"object": "whatsapp_business_account", "entry": [entry]}, escape=True))


def _twilio(talk: Conversation, said: Happening) -> Webhook | None:
    prefix = "whatsapp:" if talk.source == "twilio.whatsapp" else ""
    theirs, ours = prefix + _phone(talk), f"{prefix}+49155500001{talk.channel:02}"
    sid = "SM" + _message_id(talk, said).replace("-", "")
    fields = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "MessageSid": sid, "SmsSid": sid}
    match said.kind:
        case "said" if said.inbound:
            fields |= {"SmsStatus": "received", "From": theirs, "To": ours, "Body": said.text, "NumMedia": "0"}
            if prefix:
                fields |= {"ProfileName": _name(talk), "WaId": _phone(talk)[1:], "MessageType": "text"}
        case "state" if said.text != "read" or prefix:
            fields |= {"MessageStatus": said.text, "SmsStatus": said.text, "From": ours, "To": theirs}
            if said.text == "failed":
                fields |= {"ErrorCode": "30003", "ErrorMessage": "Unreachable destination handset"}
        case _:
            return None
    return Webhook("twilio", urlencode(fields).encode(), FORM)


def _google(talk: Conversation, said: Happening) -> Webhook | None:
    identity, at = ids.derive("sample", str(talk.person), talk.source), rfc3339(said.at)[:-1] + "000Z"
    body: dict[str, Any] = {
        "agent": f"brands/brand-1/agents/agent-{talk.channel}",
        "conversationId": identity,
        "requestId": _message_id(talk, said),
        "context": {"userInfo": {"displayName": _name(talk), "userDeviceLocale": talk.language}},
        "sendTime": at,
    }
    name = f"conversations/{identity}/messages/{_message_id(talk, said)}"
    match said.kind:
        case "said" if said.inbound:
            body["message"] = {
                "messageId": _message_id(talk, said),
                "name": name,
                "text": said.text,
                "createTime": at,
            }
        case "state" if said.text in RECEIPTS:
            del body["requestId"]
            receipt = {"message": name, "receiptType": said.text.upper()}
            body["receipts"] = {"receipts": [receipt], "createTime": at}
        case _:
            return None
    return Webhook("google", _json(body))


def _chatplugin(talk: Conversation, said: Happening) -> Webhook | None:
    if said.kind != "said" or not said.inbound:
        return None
    body = _json({"message": {"text": said.text}, "sent_at": rfc3339(said.at)[:-4] + "Z"})
    attributes = {
        "channel_id": f"site-{talk.channel}",
        "conversation_id": ids.derive("sample", str(talk.number)),
        "message_id": _message_id(talk, said),
    }
    return Webhook("chatplugin", body, attributes=attributes)


def _airy(talk: Conversation, said: Happening) -> Webhook | None:
    if said.kind != "said":
        return None
    message = {
        "id": _message_id(talk, said),
        "content": {"text": said.text},
        "delivery_state": "delivered",
        "from_contact": said.inbound,
        "sent_at": rfc3339(said.at)[:-4] + "Z",
        "source": "chatplugin",
        "sender": {"id": ids.derive("sample", str(talk.person)) if said.inbound else "agent-1"},
    }
    payload = {
        "conversation_id": ids.derive("sample", str(talk.number)),
        "channel_id": ids.derive("sample-channel", str(talk.channel)),
        "message": message,
    }
    return Webhook("airy", _json({"type": "message.created", "payload": payload}))


def _custom(talk: Conversation, said: Happening) -> Webhook:
    about = {"source_channel_id": f"desk-{talk.channel}"}
    message_id, contact = _message_id(talk, said), f"customer-{talk.person}"
    if said.kind == "said":
        message = {
            "source_message_id": message_id,
            "source_conversation_id": f"ticket-{talk.number}",
            "source_sender_id": contact if said.inbound else "agent-1",
            "source_recipient_id": "desk" if said.inbound else contact,
            "content": said.text,
            "from_contact": said.inbound,
            "sent_at": said.at // 1000,
            **about,
        }
        return Webhook(talk.source, _json({"messages": [message]}))
    keys = {"state": "delivery_state", "edit": "edited", "deletion": "deleted"}
    values = (
        {"source": {keys[said.kind]: said.text or "true"}}
        if said.kind in keys
        else {"reaction": {"emoji": said.text}}
    )
    entry = {
        "namespace": "message",
        "source_id": message_id,
        "metadata": values,
        "occurred_at": said.at // 1000,
        **about,
    }
    return Webhook(talk.source, _json({"metadata": [entry]}))


_VOICES: Final[dict[str, Callable[[Conversation, Happening], Webhook | None]]] = {
    "facebook": _page,
    "instagram": _page,
    "whatsapp": _whatsapp,
    "twilio.sms": _twilio,
    "twilio.whatsapp": _twilio,
    "google": _google,
    "chatplugin": _chatplugin,
    "airy": _airy,
}


def _json(body: Any, *, escape: bool = False) -> bytes:
    # Meta escapes whatever is not ASCII, and slashes.
    text = json.dumps(body, ensure_ascii=escape, separators=(",", ":"))
    return (text.replace("/", "\\/") if escape else text).encode()


def _message_id(talk: Conversation, said: Happening) -> str:
    return ids.derive("sample", str(talk.number), str(said.message))


def _phone(talk: Conversation) -> str:
    return f"+49155{talk.person:08}"


def _name(talk: Conversation) -> str:
    return NAMES[talk.person % len(NAMES)]
