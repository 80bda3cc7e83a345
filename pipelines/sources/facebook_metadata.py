"""Events of Messenger and Instagram that are kept as metadata: opt-ins, referrals, payments, handovers and more.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
"""

from typing import Final

import msgspec
from msgspec import Raw

from pipelines.sources.json_body import NOTHING, Body, fact_key, is_array, members, says, scalar

THREAD_CONTROL: Final = {
    "pass_thread_control": "passed",
    "take_thread_control": "taken",
    "request_thread_control": "requested",
}
VALUES_OF: Final = {
    "account_linking": ("status",),
    "branded_camera": ("event",),
    "call_permission_reply": ("response",),
    "checkout_update": ("payload",),
    "game_play": ("payload", "game_id"),
    "message": ("mid",),
    "message_edit": ("num_edit",),
    "messaging_feedback": ("payload",),
    "optin": ("notification_messages_status", "ref", "type", "user_ref"),
    "payment": ("payload",),
    "policy-enforcement": ("action",),
    "postback": ("mid", "payload"),
    "pre_checkout": ("payload",),
    "reaction": ("emoji", "reaction"),
    "referral": ("ref", "ad_id", "source"),
    "response_feedback": ("feedback",),
}
"""What tells most of an event that is kept as metadata: the first that is not empty, before what `says` knows."""
SAID: Final = frozenset({"message", "postback"})
"""Events whose `mid` is their own, not that of a message they speak of."""
WORDS: Final = msgspec.json.Decoder(list[Raw])


def metadata_of(body: Body, name: str, payload: Raw) -> tuple[str, str, str | None]:
    """Return the key and the value of an event's metadata, and the id of the message that it is about, if any."""
    if name in THREAD_CONTROL:
        return "source.thread_control", THREAD_CONTROL[name], None
    found = members(body, payload)
    value = _roles(body, found) if name == "app_roles" else says(body, payload, *VALUES_OF.get(name, ()))
    return fact_key(name), value, None if name in SAID else scalar(found.get("mid", NOTHING))


def _roles(body: Body, roles_by_app: dict[str, Raw]) -> str:
    """Return the roles that apps are told to have in a conversation."""
    lists = (body.decode(WORDS, roles) for roles in roles_by_app.values() if is_array(roles))
    return " ".join(role for roles in lists for role in filter(None, map(scalar, roles)))
