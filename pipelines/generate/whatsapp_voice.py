"""How WhatsApp reports a happening: to people of several ids, in groups, and as history.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

import json
from typing import Any, Final

from pipelines.generate import forms, occasions, people, pricing, referrals, wire
from pipelines.generate.people import Ids
from pipelines.generate.reported import reported
from pipelines.generate.story import HISTORIES, Conversation
from pipelines.generate.talk import SECOND, Happening
from pipelines.generate.wire import Webhook

_ERROR: Final = {"code": 131026, "title": "Message undeliverable"}
_UPDATED: Final = "user_id_update"

Payload = dict[str, Any]


def whatsapp(talk: Conversation, said: Happening) -> Webhook | None:
    """Return how WhatsApp reports a happening; None where it does not."""
    if talk.is_history and said.kind == "state":
        return None  # How far a message had come is told with it.
    ours = f"49155500000{talk.channel:02}"
    channel = f"10654035224292{talk.channel}"
    if said.kind == "said" and not said.inbound and talk.is_by_api:
        return reported(talk, said, channel, _told(talk, said))
    field, value = _OF_PEOPLE.get(said.kind, _value)(talk, said, ours)
    number = {"display_phone_number": ours, "phone_number_id": channel}
    value = {"messaging_product": "whatsapp", "metadata": number, **value}
    entry = {"id": wire.ACCOUNT, "changes": [{"value": value, "field": field}]}
    return Webhook("whatsapp", wire.json({"object": "whatsapp_business_account", "entry": [entry]}, escape=True))


def _value(talk: Conversation, said: Happening, ours: str) -> tuple[str, Payload]:
    """Return the field that changed, and what its value has besides the number."""
    person = talk.speaker(said)
    told = _told(talk, said)
    wamid, at = f"wamid.{wire.message_id(talk, said)}", str(said.at // SECOND)
    message: Payload = {"id": wamid, "timestamp": at}
    theirs = message | _named(told, "from", "from_user_id")
    own = theirs | {"id": f"{wamid}.{said.kind}"}
    content = _content(talk, said)
    match said.kind:
        case "said" if talk.is_history:
            return "history", {"history": [_history(talk, said, message | content, ours)]}
        case "said" if not said.inbound:
            to = {} if talk.is_group else _named(told, "to", "to_user_id")
            echo = {"from": ours, **to, **message, **_group(talk), **content}
            return "smb_message_echoes", {"message_echoes": [echo]}
        case "said":
            contact = {"profile": _profile(person), **_named(told, "wa_id", "user_id")}
            came = {"referral": referrals.of_whatsapp(talk)} if referrals.begins_with_ad(talk, said) else {}
            said_so = {**theirs, **_group(talk), **content, **came}
            return "messages", {"contacts": [contact], "messages": [said_so]}
        case "state":
            errors = {"errors": [_ERROR]} if said.text == "failed" else {}
            price = pricing.of_status(talk, said)
            status = {**message, "status": said.text, **_recipient(talk, told), **price, **errors}
            return "messages", {"statuses": [status]}
        case "reaction":
            reaction = {"message_id": wamid, "emoji": said.text}
            told_of = {"type": "reaction", "reaction": reaction}
        case "edit":
            edit = {"original_message_id": wamid, "message": {"type": "text", "text": {"body": said.text}}}
            told_of = {"type": "edit", "edit": edit}
        case _:
            told_of = {"type": "revoke", "revoke": {"original_message_id": wamid}}
    return "messages", {"messages": [{**own, **_group(talk), **told_of}]}


def _content(talk: Conversation, said: Happening) -> Payload:
    """Return what is said; a choice after a template of ours is a tap on it, and else a form now and then."""
    if (template := tapped(talk, said)) is not None:
        context = {"id": f"wamid.{wire.message_id(talk, template)}"}
        return {"type": "button", "button": {"text": said.text, "payload": "more"}, "context": context}
    if (rating := rated(talk, said)) is not None:
        answers = json.dumps({"rating": str(rating), "comment": said.text}, ensure_ascii=False)
        filled = {"name": "flow", "body": "Sent", "response_json": answers}
        return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": filled}}
    return forms.of_whatsapp(forms.form_of(talk, said), said.text)


def tapped(talk: Conversation, said: Happening) -> Happening | None:
    """Return the template that a choice is a tap on: the message before it; None where that is none."""
    if not (said.inbound and talk.is_by_api and forms.form_of(talk, said) == "choice"):
        return None
    before = talk.before(said)
    is_template = before and not before.inbound and occasions.template(talk.number, before.message)
    return before if is_template else None


def rated(talk: Conversation, said: Happening) -> int | None:
    """Return the rating in a choice that is a form; None where it is none."""
    if not (said.inbound and talk.is_by_api and forms.form_of(talk, said) == "choice"):
        return None
    return None if tapped(talk, said) else occasions.form_rating(talk.number, said.message)


def _told(talk: Conversation, said: Happening) -> Ids:
    """Return the ids that tell who is at the other end."""
    person = talk.speaker(said)
    if talk.is_group or talk.is_history:
        return people.known_ids(person)
    spelt, changed = said.kind == "state" or not said.inbound, talk.has_changed(said.at)
    return people.told_ids(person, said.message + spelt, changed=changed, spelt=spelt)


def _named(told: Ids, phone: str, user_id: str) -> dict[str, str]:
    """Return the ids that there are, under the names that a place has for them."""
    return {name: known for name, known in ((phone, told.phone), (user_id, told.user_id)) if known is not None}


def _group(talk: Conversation) -> dict[str, str]:
    return {"group_id": wire.group_id(talk)} if talk.is_group else {}


def _recipient(talk: Conversation, told: Ids) -> dict[str, str]:
    if not talk.is_group:
        return _named(told, "recipient_id", "recipient_user_id")
    participant = _named(told, "recipient_participant_id", "recipient_user_id")
    return {"recipient_id": wire.group_id(talk), "recipient_type": "group", **participant}


def _profile(person: int) -> dict[str, str]:
    handle = {"username": f"kontakt.{person}"} if people.kind_of(person) == "both" else {}
    return {"name": wire.name(person), **handle}


def _joined(talk: Conversation, said: Happening, _: str) -> tuple[str, Payload]:
    """Return who came into a group."""
    members = [_named(people.known_ids(each), "wa_id", "user_id") for each in talk.members]
    joined = {"type": "group_participants_add", "added_participants": members}
    told = {"timestamp": str(said.at // SECOND), **_group(talk), **joined}
    return "group_participants_update", {"groups": [told]}


def _identity(talk: Conversation, said: Happening, _: str) -> tuple[str, Payload]:
    """Return a change of an id: in a system message, or by itself."""
    old, new = people.known_ids(talk.person), people.known_ids(talk.person, changed=True)
    kind, at = people.CHANGES[people.kind_of(talk.person) or ""], str(said.at // SECOND)
    if kind == _UPDATED:
        update = {"user_id": {"previous": old.user_id, "current": new.user_id}, "timestamp": at}
        return _UPDATED, {_UPDATED: [update]}
    one, other = (old.phone, new.phone) if old.phone else (old.user_id, new.user_id)
    change = {"type": kind, "body": f"{wire.name(talk.person)} changed from {one} to {other}"}
    change |= {"wa_id": new.phone} if new.phone else {"user_id": new.user_id or ""}
    own = {"id": f"wamid.{wire.message_id(talk, said)}.{said.kind}", "timestamp": at}
    system = {**own, **_named(old, "from", "from_user_id"), "type": "system", "system": change}
    return "messages", {"messages": [system]}


def _history(talk: Conversation, said: Happening, message: Payload, ours: str) -> Payload:
    """Return a chunk of a history: one thread, whose other end its id or its context tells."""
    told = people.known_ids(talk.person)
    ends = {"from": ours, **_named(told, "to", "to_user_id")}
    message = {**(_named(told, "from", "from_user_id") if said.inbound else ends), **message}
    if message["type"] in {"audio", "image"} and said.message % 2:
        message = {name: message[name] for name in message if name not in {"audio", "image"}}
        message["type"] = "media_placeholder"
    in_context = talk.number % (2 * HISTORIES) or told.user_id is not None
    thread = {"context": _named(told, "wa_id", "user_id")} if in_context else {"id": told.phone}
    return {
        "metadata": {"phase": 1, "chunk_order": 1, "progress": 100},
        "threads": [{**thread, "messages": [{**message, "history_context": {"status": "READ"}}]}],
    }


_OF_PEOPLE: Final = {"identity": _identity, "joined": _joined}
"""How a happening is told that is about people, and no message."""
