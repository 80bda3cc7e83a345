"""In which form something is said: words, a picture, a voice, a place, a card, a choice; templates of ours.

By the message's own number, so that a world's course does not depend on it.
"""

from itertools import accumulate
from typing import Any, Final

from pipelines.core import ids
from pipelines.generate.story import Conversation
from pipelines.generate.talk import Happening

THEIRS: Final = {"text": 78, "image": 8, "voice": 3, "place": 2, "card": 2, "choice": 7}
"""How many messages of a hundred from a contact have a form."""
OURS: Final = {"text": 84, "image": 5, "buttons": 6, "cards": 5}
"""How many messages of a hundred to a contact have a form."""
PLACE: Final = (36.7213, -4.4214)
_FILES: Final = "https://cdn.shop.example"

Payload = dict[str, Any]
_BESIDES_TEXT: Final[dict[str, Payload]] = {
    "choice": {"quick_reply": {"payload": "MORE"}},
    "place": {"reply_to": {"story": {"id": "17900000000000001", "url": f"{_FILES}/story"}}},
}
"""What makes of a text an answer: to a button, or to a story."""


def form_of(talk: Conversation, said: Happening) -> str:
    """Return the form of a message."""
    weights = THEIRS if said.inbound else OURS
    chosen = _number(talk, said) % 100
    return next(form for form, upper in zip(weights, accumulate(weights.values()), strict=True) if chosen < upper)


def of_page(form: str, text: str, *, instagram: bool) -> Payload:
    """Return what a message of Messenger or Instagram has besides its id."""
    attachment: Payload
    match form:
        case "image":
            attachment = {"type": "image", "payload": {"url": f"{_FILES}/photo.jpg?sig=a&e=1"}}
        case "voice":
            attachment = {"type": "audio", "payload": {"url": f"{_FILES}/voice.mp4"}}
        case "place" if not instagram:
            coordinates = dict(zip(("lat", "long"), PLACE, strict=True))
            attachment = {"type": "location", "payload": {"coordinates": coordinates}}
        case "card" if instagram:
            reel = {"reel_video_id": "18100000000000001", "title": text, "url": f"{_FILES}/reel"}
            attachment = {"type": "ig_reel", "payload": reel}
        case "card":
            link = {"url": f"{_FILES}/page", "title": text}
            attachment = {"type": "fallback", "payload": link, **link}
        case "buttons":
            buttons = [{"type": "postback", "title": "OK", "payload": "OK"}]
            payload = {"template_type": "button", "text": text, "buttons": buttons}
            attachment = {"type": "template", "payload": payload}
        case "cards":
            elements = {"elements": [{"title": text, "image_url": f"{_FILES}/coat.jpg"}, {"title": "…"}]}
            shown = {"generic": elements} if instagram else {"template_type": "generic", **elements}
            attachment = {"type": "template", "payload": shown}
        case _:
            return {"text": text, **_BESIDES_TEXT.get(form, {})}
    return {"attachments": [attachment]}


def of_whatsapp(form: str, text: str) -> Payload:
    """Return the type of a message of WhatsApp, and what it has of that."""
    content: Payload
    match form:
        case "image" | "cards":
            form, content = "image", {"id": "520001", "mime_type": "image/jpeg", "sha256": "qg==", "caption": text}
        case "voice":
            form, content = "audio", {"id": "520002", "mime_type": "audio/ogg; codecs=opus", "voice": True}
        case "place":
            form, content = "location", {"latitude": PLACE[0], "longitude": PLACE[1], "name": text}
        case "card":
            card = {"name": {"formatted_name": text}, "phones": [{"phone": "+4915550009999", "type": "CELL"}]}
            return {"type": "contacts", "contacts": [card]}
        case "choice":
            form, content = "interactive", {"type": "button_reply", "button_reply": {"id": "more", "title": text}}
        case "buttons":
            form, content = "interactive", {"type": "button", "body": {"text": text}}
        case _:
            form, content = "text", {"body": text}
    return {"type": form, form: content}


def of_twilio(form: str, text: str, *, whatsapp: bool) -> dict[str, str]:
    """Return the fields of a form of Twilio's that say what is in a message."""
    media = {"image": "image/jpeg", "voice": "audio/ogg", "card": "text/vcard"}
    kinds = {"voice": "audio", "place": "location", "card": "contacts", "choice": "button"}
    kind = {"MessageType": kinds.get(form, form)} if whatsapp else {}
    if form in media:
        told = kind | {"NumMedia": "1", "MediaContentType0": media[form], "MediaUrl0": f"{_FILES}/{form}?a=1&b=2"}
        return {"Body": text if form == "image" else "", **told}
    if form == "place" and whatsapp:
        latitude, longitude = map(str, PLACE)
        return {**kind, "Body": "", "NumMedia": "0", "Latitude": latitude, "Longitude": longitude, "Label": text}
    pressed = {"ButtonText": text, "ButtonPayload": "more"} if form == "choice" and whatsapp else {}
    return {**kind, "Body": text, "NumMedia": "0", **pressed}


def of_chat(form: str, text: str) -> Payload:
    """Return a message of the live chat, which Airy's and custom sources take too."""
    match form:
        case "image" | "cards":
            return {"attachment": {"type": "image", "payload": {"url": f"{_FILES}/photo.png"}}}
        case "choice":
            return {"type": "quickReply", "text": text, "postbackData": "more"}
        case _:
            return {"text": text}


def _number(talk: Conversation, said: Happening) -> int:
    return int(ids.derive("form", str(talk.number), str(said.message))[:8], 16)
