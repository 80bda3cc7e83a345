"""Why a message was not delivered, in the source's own title for its code, with where the source explains it."""

from typing import Final, NamedTuple
from urllib.parse import quote

_META: Final = "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes/"
_MESSENGER: Final = "https://developers.facebook.com/docs/messenger-platform/error-codes"
_TWILIO: Final = "https://www.twilio.com/docs/api/errors/"
_WHATSAPP_TITLES: Final = {
    "368": "Temporarily blocked for policies violations",
    "130429": "Rate limit hit",
    "130472": "User's number is part of an experiment",
    "131000": "Something went wrong",
    "131005": "Access denied",
    "131008": "Required parameter is missing",
    "131009": "Parameter value is not valid",
    "131016": "Service unavailable",
    "131021": "Recipient cannot be sender",
    "131026": "Message undeliverable",
    "131031": "Account has been locked",
    "131042": "Business eligibility payment issue",
    "131045": "Incorrect certificate",
    "131047": "Re-engagement message",
    "131048": "Spam rate limit hit",
    "131049": "Meta chose not to deliver",
    "131051": "Unsupported message type",
    "131052": "Media download error",
    "131053": "Media upload error",
    "131056": "Pair rate limit hit",
    "131057": "Account in maintenance mode",
    "132000": "Template param count mismatch",
    "132001": "Template does not exist",
    "132005": "Template hydrated text too long",
    "132007": "Template format character policy violated",
    "132012": "Template parameter format mismatch",
    "132015": "Template is paused",
    "132016": "Template is disabled",
    "133010": "Phone number not registered",
}
_TWILIO_TITLES: Final = {
    "21211": "Invalid 'To' phone number",
    "21408": "Permission to send an SMS or MMS has not been enabled for the region indicated by the 'To' number",
    "21610": "Attempt to send to unsubscribed recipient",
    "21614": "'To' number is not a valid mobile number",
    "30001": "Queue overflow",
    "30002": "Account suspended",
    "30003": "Unreachable destination handset",
    "30004": "Message blocked",
    "30005": "Unknown destination handset",
    "30006": "Landline or unreachable carrier",
    "30007": "Message filtered",
    "30008": "Unknown error",
    "30009": "Missing inbound segment",
    "30010": "Message price exceeds max price",
    "30034": "US A2P 10DLC - Message from an Unregistered Number",
    "63003": "Channel could not find To address",
    "63005": "Channel did not accept given content",
    "63013": "This message send failed because it violates Channel provider's policy",
    "63016": "Failed to send freeform message because you are outside the allowed window",
}
_TITLES: Final = {
    "whatsapp": _WHATSAPP_TITLES,
    "twilio.sms": _TWILIO_TITLES,
    "twilio.whatsapp": _TWILIO_TITLES,
}


class Failure(NamedTuple):
    """What a source says of a message that it did not deliver."""

    code: str
    title: str
    """Empty where the source's title of it is not known here."""
    url: str | None
    """Where the source explains it; None where it has no such page."""


def failure(source: str, code: str) -> Failure:
    """Return what a source means by an error's code."""
    title = _TITLES.get(source, {}).get(code, "")
    if not code.isascii() or not code.isdecimal():
        # Some sources, and the sender itself, say it in words.
        return Failure(code, title, None)
    if source.startswith("twilio."):
        return Failure(code, title, _TWILIO + quote(code))
    return Failure(code, title, {"whatsapp": _META, "facebook": _MESSENGER, "instagram": _MESSENGER}.get(source))
