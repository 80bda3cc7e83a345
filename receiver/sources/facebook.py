"""Messenger and Instagram, which share one endpoint.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from flask import Blueprint, Response, request

from receiver.config import Settings
from receiver.intake import UNSIGNED, receive, reject
from receiver.signatures import matches_any, matches_hmac_hex

SOURCE = "facebook"


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where no app secret is set.

    An app that uses Instagram Login signs with its Instagram app secret: list both.
    """
    app_secrets = settings.secrets("FACEBOOK_APP_SECRETS")
    verify_tokens = settings.secrets("FACEBOOK_VERIFY_TOKENS")
    unsigned = settings.allows_unsigned(SOURCE)
    if not app_secrets and not unsigned:
        return None
    routes = Blueprint(SOURCE, __name__)

    @routes.get("/facebook")
    def verify() -> Response:
        """Answer the handshake by which Meta makes sure that the endpoint is ours."""
        token = request.args.get("hub.verify_token", "")
        if request.args.get("hub.mode") != "subscribe" or not matches_any(token, verify_tokens):
            reject(SOURCE, "wrong verify token")
        # Reflected input: as plain text, so that no browser takes it for a page.
        return Response(request.args.get("hub.challenge", ""), content_type="text/plain")

    @routes.post("/facebook")
    def webhook() -> Response:
        """Take a batch of events, signed over the raw bytes."""
        if not app_secrets:
            return receive(SOURCE, verified_by=UNSIGNED)
        signature = request.headers.get("X-Hub-Signature-256")
        if not matches_hmac_hex(signature, app_secrets, request.get_data(), prefix="sha256="):
            reject(SOURCE, "wrong or missing X-Hub-Signature-256")
        return receive(SOURCE, verified_by="x-hub-signature-256")

    return routes
