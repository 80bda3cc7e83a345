"""How Meta's sources report a happening: Messenger, Instagram, WhatsApp.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
"""

from typing import Any, Final

from pipelines.generate import forms, wire
from pipelines.generate.story import SECOND, Conversation, Happening
from pipelines.generate.wire import Webhook

_ERROR: Final = {"code": 131026, "title": "Message undeliverable"}


def page(talk: Conversation, said: Happening) -> Webhook | None:
    """Return how Messenger or Instagram reports a happening; None where it does not."""
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
        "facebook", wire.json({"object": "instagram" if instagram else "page", "entry": [entry]}, escape=True)
    )


def _page_payload(talk: Conversation, said: Happening) -> dict[str, Any] | None:
    mid = f"m_{wire.message_id(talk, said)}"
    instagram = talk.source == "instagram"
    payload: dict[str, Any] | None = None
    form = forms.form_of(talk, said)
    content = forms.of_page(form, said.text, instagram=instagram)
    match said.kind:
        case "said" if said.inbound and form == "choice" and not instagram:
            payload = {"postback": {"mid": mid, "title": said.text, "payload": "MORE"}}
        case "said" if said.inbound:
            payload = {"message": {"mid": mid, **content}}
        case "said":
            # On Instagram nothing says which app has sent an echo.
            app = {} if instagram else {"app_id": 517000000000001}
            payload = {"message": {"mid": mid, **content, "is_echo": True, **app}}
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


def whatsapp(talk: Conversation, said: Happening) -> Webhook | None:
    """Return how WhatsApp reports a happening; None where it does not."""
    phone = wire.phone(talk)[1:]
    wamid, at = f"wamid.{wire.message_id(talk, said)}", str(said.at // SECOND)
    ours = f"49155500000{talk.channel:02}"
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": ours, "phone_number_id": f"10654035224292{talk.channel}"},
    }
    field = "messages"
    message: dict[str, Any] = {"from": phone, "id": wamid, "timestamp": at}
    own = f"{wamid}.{said.kind}"
    content = forms.of_whatsapp(forms.form_of(talk, said), said.text)
    match said.kind:
        case "state" if forms.is_history(talk):
            return None  # How far a message had come is told with it.
        case "said" if forms.is_history(talk):
            field = "history"
            value["history"] = [_history(talk, said, {**message, **content}, ours)]
        case "state":
            status: dict[str, Any] = {"id": wamid, "status": said.text, "timestamp": at, "recipient_id": phone}
            value["statuses"] = [{**status, "errors": [_ERROR]} if said.text == "failed" else status]
        case "said" if not said.inbound:
            field = "smb_message_echoes"
            value["message_echoes"] = [{**message, "from": ours, "to": phone, **content}]
        case "said":
            value["contacts"] = [{"profile": {"name": wire.name(talk)}, "wa_id": phone}]
            value["messages"] = [{**message, **content}]
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
    return Webhook("whatsapp", wire.json({"object": "whatsapp_business_account", "entry": [entry]}, escape=True))


def _history(talk: Conversation, said: Happening, message: dict[str, Any], ours: str) -> dict[str, Any]:
    """Return a chunk of a history: one thread, whose other end its id or its context tells."""
    phone = message["from"]
    if not said.inbound:
        message |= {"from": ours, "to": phone}
    if message["type"] in {"audio", "image"} and said.message % 2:
        message = {name: message[name] for name in message if name not in {"audio", "image"}}
        message["type"] = "media_placeholder"
    thread = {"context": {"wa_id": phone}} if talk.number % (2 * forms.HISTORIES) else {"id": phone}
    told = {**message, "history_context": {"status": "READ"}}
    return {
        "metadata": {"phase": 1, "chunk_order": 1, "progress": 100},
        "threads": [{**thread, "messages": [told]}],
    }
