"""Google Business Messages: shut down in July 2024, so off unless keys are set; for replays of recorded webhooks.

https://web.archive.org/web/2024/https://developers.google.com/business-communications/business-messages/guides/how-to/message/receive
"""

from typing import Final

import msgspec
from flask import Blueprint, Response, request

from receiver.config import Settings
from receiver.proofs.signatures import hmac_base64, matches_any
from receiver.web.intake import UNSIGNED, receive, reject

SOURCE: Final = "google"
SIGNATURE: Final = "X-Goog-Signature"
MAX_HANDSHAKE_BYTES: Final = 8192


class Handshake(msgspec.Struct, forbid_unknown_fields=True):
    """What Google posts, unsigned, to make sure that the endpoint is ours."""

    client_token: str = msgspec.field(name="clientToken")
    secret: str


_HANDSHAKE: Final = msgspec.json.Decoder(Handshake)


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the route, or None where no key is set.

    The key is the partner key by older documentation, the client token by the last: list both.
    """
    keys = settings.secrets("GOOGLE_KEYS")
    client_tokens = settings.secrets("GOOGLE_CLIENT_TOKENS")
    if not keys and not settings.allows_unsigned(SOURCE):
        return None
    routes = Blueprint(SOURCE, __name__)

    @routes.post("/google")
    def webhook() -> Response:
        """Answer the handshake, or take an event signed over the raw bytes."""
        body = request.get_data()
        signature = request.headers.get(SIGNATURE, "")
        if not signature and (handshake := _handshake(body)):
            if not matches_any(handshake.client_token, client_tokens):
                reject(SOURCE, "wrong client token")
            # Reflected input: as plain text, so that no browser takes it for a page.
            return Response(handshake.secret, content_type="text/plain")
        if not keys:
            return receive(SOURCE, verified_by=UNSIGNED)
        if not matches_any(signature, (hmac_base64(key, body, "sha512") for key in keys)):
            reject(SOURCE, f"wrong or missing {SIGNATURE}")
        return receive(SOURCE, verified_by=SIGNATURE.lower())

    return routes


def _handshake(body: bytes) -> Handshake | None:
    if len(body) > MAX_HANDSHAKE_BYTES:
        return None
    try:
        return _HANDSHAKE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
