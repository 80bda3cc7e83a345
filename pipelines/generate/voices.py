"""How each source reports a happening: its webhook's body, as it would be on the wire."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from pipelines.core import ids
from pipelines.core.times import rfc3339
from pipelines.generate import forms, meta_voices, occasions, people, referrals, whatsapp_voice, wire
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening
from pipelines.generate.wire import FORM, Webhook

ACCOUNT: Final = "AC" + "5a" * 16

RECEIPTS: Final = frozenset({"delivered", "read"})


def webhook_of(talk: Conversation, happening: Happening) -> Webhook | None:
    """Return the webhook that reports a happening; None where the source reports no such thing."""
    return _VOICES.get(talk.source, _custom)(talk, happening)


def _twilio(talk: Conversation, said: Happening) -> Webhook | None:
    prefix = "whatsapp:" if talk.source == "twilio.whatsapp" else ""
    # Callbacks may spell a number otherwise than messages; the user id is told beside it, or stands in its place.
    told = people.told_ids(talk.person, said.message) if prefix else people.Ids()
    number = people.number(talk.person, spelt=said.kind == "state")
    is_known = told.phone is not None or told.user_id is None or people.kind_of(talk.person) == "hidden"
    theirs = f"{prefix}+{number}" if is_known else f"{prefix}{told.user_id}"
    ours = f"{prefix}+49155500001{talk.channel:02}"
    sid = "SM" + wire.message_id(talk, said).replace("-", "")
    fields = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "MessageSid": sid, "SmsSid": sid}
    match said.kind:
        case "said" if said.inbound:
            fields |= {"SmsStatus": "received", "From": theirs, "To": ours}
            fields |= forms.of_twilio(forms.form_of(talk, said), said.text, whatsapp=bool(prefix))
            if not prefix:
                fields["NumSegments"] = str(segments(said.text))
            if referrals.begins_with_ad(talk, said):
                fields |= referrals.of_twilio(talk)
            if prefix:
                fields |= {"ProfileName": wire.name(talk.person)}
                fields |= {"WaId": number} if is_known else {}
                fields |= {"ExternalUserId": told.user_id} if told.user_id else {}
        case "state" if said.text != "read" or prefix:
            fields |= {"MessageStatus": said.text, "SmsStatus": said.text, "From": ours, "To": theirs}
            if said.text == "failed":
                fields |= {"ErrorCode": "30003", "ErrorMessage": "Unreachable destination handset"}
        case _:
            return None
    return Webhook("twilio", urlencode(fields).encode(), FORM)


def segments(text: str) -> int:
    """Return into how many parts an SMS is cut: fewer characters fit where one is not ASCII."""
    return max(1, -(-len(text) // (160 if text.isascii() else 70)))


def _google(talk: Conversation, said: Happening) -> Webhook | None:
    identity, at = ids.derive("sample", str(talk.person), talk.source), rfc3339(said.at)[:-1] + "000Z"
    body: dict[str, Any] = {
        "agent": f"brands/brand-1/agents/agent-{talk.channel}",
        "conversationId": identity,
        "requestId": wire.message_id(talk, said),
        "context": {"userInfo": {"displayName": wire.name(talk.person), "userDeviceLocale": talk.language}},
        "sendTime": at,
    }
    name = f"conversations/{identity}/messages/{wire.message_id(talk, said)}"
    match said.kind:
        case "said" if said.inbound and forms.form_of(talk, said) == "choice":
            asked = {"message": f"{name}-asked", "postbackData": "more", "type": "REPLY"}
            body["suggestionResponse"] = {**asked, "text": said.text, "createTime": at}
        case "said" if said.inbound:
            body["message"] = {
                "messageId": wire.message_id(talk, said),
                "name": name,
                "text": said.text,
                "createTime": at,
            }
        case "state" if said.text in RECEIPTS:
            del body["requestId"]
            receipt = {"message": name, "receiptType": said.text.upper()}
            body["receipts"] = {"receipts": [receipt], "createTime": at}
        case "rated" if (rating := occasions.rating(talk.source, talk.number)) is not None:
            answer = ("VERY_NEGATIVE", "NEGATIVE", "NEUTRAL", "POSITIVE", "VERY_POSITIVE")[rating.points - 1]
            body["surveyResponse"] = {"survey": f"{name}-survey", "rating": answer, "createTime": at}
        case _:
            return None
    return Webhook("google", wire.json(body))


def _chatplugin(talk: Conversation, said: Happening) -> Webhook | None:
    if said.kind != "said" or not said.inbound:
        return None
    content = forms.of_chat(forms.form_of(talk, said), said.text)
    body = wire.json({"message": content, "sent_at": rfc3339(said.at)[:-4] + "Z"})
    attributes = {
        "channel_id": f"site-{talk.channel}",
        "conversation_id": ids.derive("sample", str(talk.number)),
        "message_id": wire.message_id(talk, said),
    }
    return Webhook("chatplugin", body, attributes=attributes)


def _airy(talk: Conversation, said: Happening) -> Webhook | None:
    if said.kind != "said":
        return None
    message = {
        "id": wire.message_id(talk, said),
        "content": forms.of_chat(forms.form_of(talk, said), said.text),
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
    return Webhook("airy", wire.json({"type": "message.created", "payload": payload}))


def _custom(talk: Conversation, said: Happening) -> Webhook:
    about = {"source_channel_id": f"desk-{talk.channel}"}
    message_id, contact = wire.message_id(talk, said), f"customer-{talk.person}"
    if said.kind == "said":
        message = {
            "source_message_id": message_id,
            "source_conversation_id": f"ticket-{talk.number}",
            "source_sender_id": contact if said.inbound else "agent-1",
            "source_recipient_id": "desk" if said.inbound else contact,
            "content": _own(talk, said),
            "from_contact": said.inbound,
            "sent_at": said.at // 1000,
            **about,
        }
        writer = {} if said.inbound else {"metadata": [_written(talk, said)]}
        return Webhook(talk.source, wire.json({"messages": [message], **writer}))
    return Webhook(talk.source, wire.json({"metadata": [_fact(talk, said) | {"occurred_at": said.at // 1000}]}))


def _fact(talk: Conversation, said: Happening) -> dict[str, Any]:
    """Return what a custom source reports besides messages: of a message, of the conversation, or of a contact."""
    about, ticket, namespace = wire.message_id(talk, said), f"ticket-{talk.number}", "message"
    values: dict[str, Any]
    match said.kind:
        case "state":
            values = {"source": {"delivery_state": said.text}}
        case "edit":
            values = {"source": {"edited": said.text}}
        case "deletion":
            values = {"source": {"deleted": "true"}}
        case "closed":
            namespace, about, values = "conversation", ticket, {"status": "closed"}
        case "rated" if (rating := occasions.rating(talk.source, talk.number)) is not None:
            namespace, about, values = "conversation", ticket, {rating.scale: rating.points}
        case "bought":
            bought = {"name": "Purchase", "value": occasions.value(talk.number), "currency": occasions.CURRENCY}
            bought["ctwa_clid"] = occasions.click(said.message)
            namespace, about, values = "contact", f"customer-{talk.person}", {"conversion": bought}
        case _:
            values = {"reaction": {"emoji": said.text}}
    return {
        "namespace": namespace,
        "source_id": about,
        "source_channel_id": f"desk-{talk.channel}",
        "metadata": values,
    }


def _written(talk: Conversation, said: Happening) -> dict[str, Any]:
    """Return who wrote a message to the contact."""
    is_human = occasions.is_by_human(talk.number, said.message)
    actor = {"kind": "human", "id": "anna", "name": "Anna"} if is_human else {"kind": "bot", "id": "helper"}
    return {
        "namespace": "message",
        "source_id": wire.message_id(talk, said),
        "source_channel_id": f"desk-{talk.channel}",
        "metadata": {"actor": actor},
        "occurred_at": said.at // 1000,
    }


def _own(talk: Conversation, said: Happening) -> Any:
    """Return what is said in a format of one's own: words alone, where there are only words."""
    form = forms.form_of(talk, said)
    return said.text if form == "text" else forms.of_chat(form, said.text)


_VOICES: Final[dict[str, Callable[[Conversation, Happening], Webhook | None]]] = {
    "facebook": meta_voices.page,
    "instagram": meta_voices.page,
    "whatsapp": whatsapp_voice.whatsapp,
    "twilio.sms": _twilio,
    "twilio.whatsapp": _twilio,
    "google": _google,
    "chatplugin": _chatplugin,
    "airy": _airy,
}
