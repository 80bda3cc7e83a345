"""How Messenger and Instagram report a happening.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
"""

from typing import Any, Final

from pipelines.generate import forms, occasions, referrals, wire
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening
from pipelines.generate.wire import Webhook

BOT: Final = 517000000000001
"""Our own app, which answers by itself."""
INBOX: Final = 263902037430900
"""Meta's app with which people answer on a Page."""
_ACCOMPANIED: Final = 4
"""Beside one message on Instagram of so many comes an event that says that it is not edited."""


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
    events = [event]
    if instagram and said.kind == "said" and said.inbound and said.message % _ACCOMPANIED == 0:
        # It looks like an edit, and tells no new text.
        events.append({**event, "message_edit": {"mid": item["message"]["mid"], "num_edit": 0}})
        del events[-1]["message"]
    entry = {"time": at + 200, "id": ours, "messaging": events}
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
            app = {} if instagram else _app(talk, said)
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
        case _:
            payload = _around(talk, said)
    if payload and said.kind == "said" and referrals.begins_with_ad(talk, said):
        next(iter(payload.values()))["referral"] = referrals.of_page(talk)
    return payload


def _around(talk: Conversation, said: Happening) -> dict[str, Any] | None:
    """Return what is told around a talk: how the contact came, who takes over, what the contact thought."""
    match said.kind:
        case "came":
            return {"referral": referrals.of_page(talk)}
        case "handover":
            owners = (INBOX, BOT) if said.text == "human" else (BOT, INBOX)
            names = "new_owner_app_id", "previous_owner_app_id"
            control = dict(zip(names, map(str, owners), strict=True))
            return {"pass_thread_control": {**control, "metadata": f"to a {said.text}"}}
        case "rated" if (rating := occasions.rating(talk.source, talk.number)) is not None:
            question = {"type": rating.scale, "payload": str(rating.points)}
            return {"messaging_feedback": {"feedback_screens": [{"screen_id": 0, "questions": {"how": question}}]}}
    return None


def _app(talk: Conversation, said: Happening) -> dict[str, int]:
    """Return the app that wrote a message; what is written in a Page's inbox may name none."""
    is_human = occasions.is_passed(talk.source, talk.number) and said.message >= occasions.PASSED_BEFORE
    if is_human and said.message % 2:
        return {}
    return {"app_id": INBOX if is_human else BOT}
