"""What a system of ours sent over WhatsApp's API, as it reports it to Parley: with who wrote it, and the template.

WhatsApp tells only the states of what its API sends, never what it says.
"""

from typing import Any

from pipelines.core.times import rfc3339
from pipelines.generate import forms, occasions, wire
from pipelines.generate.people import Ids
from pipelines.generate.story import Conversation
from pipelines.generate.talk import SECOND, Happening
from pipelines.generate.wire import Webhook
from schemas.replies import REPLY_ID


def reported(talk: Conversation, said: Happening, channel: str, told: Ids) -> Webhook:
    """Return the report of a message that was sent by somebody else than Parley.

    Args:
        talk: the conversation.
        said: the message.
        channel: the id of our phone number.
        told: by which ids whoever reports it knows the contact.
    """
    template = occasions.template(talk.number, said.message)
    known = wire.message_id(talk, said)
    reply = {
        "source": "whatsapp",
        "channel": channel,
        "to": f"+{told.phone}" if told.phone is not None else told.user_id,
        "content": forms.of_whatsapp(forms.form_of(talk, said), said.text)
        if template is None
        else {"type": "template", "template": {"name": template.name, "language": {"code": template.language}}},
        "actor": actor(talk, said),
        "sent_by_others": True,
        "source_message_id": f"wamid.{known}",
        "sent_at": rfc3339(said.at // SECOND * SECOND),
    }
    return Webhook("replies", wire.json(reply), attributes={REPLY_ID: known})


def actor(talk: Conversation, said: Happening) -> dict[str, Any]:
    """Return who wrote a message: templates are sent by a system, and what begins a conversation by a bot."""
    if occasions.template(talk.number, said.message):
        return {"kind": "system", "id": "campaigns"}
    if occasions.is_by_human(talk.number, said.message):
        return {"kind": "human", "id": "anna", "name": "Anna"}
    return {"kind": "bot", "id": "helper", "name": "Helper"}
