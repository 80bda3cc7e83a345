"""Airy's outbound webhook, by which a user of Airy moves over.

https://airy.co/docs/core/api/webhook
"""

from typing import Final

from flask import Blueprint, Response, request

from receiver.config import Settings
from receiver.proofs.signatures import matches_hmac_hex
from receiver.web.intake import UNSIGNED, receive, reject

SOURCE: Final = "airy"
SIGNATURE: Final = "X-Airy-Content-Signature"


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the route, or None where no signature key is set."""
    keys = settings.secrets("AIRY_SIGNATURE_KEYS")
    if not keys and not settings.allows_unsigned(SOURCE):
        return None
    routes = Blueprint(SOURCE, __name__)

    @routes.post("/airy")
    def webhook() -> Response:
        """Take an event, signed over the raw bytes."""
        if not keys:
            return receive(SOURCE, verified_by=UNSIGNED)
        if not matches_hmac_hex(request.headers.get(SIGNATURE), keys, request.get_data()):
            reject(SOURCE, f"wrong or missing {SIGNATURE}")
        return receive(SOURCE, verified_by=SIGNATURE.lower())

    return routes
