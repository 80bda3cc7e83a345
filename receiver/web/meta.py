"""What Meta's products share: the handshake, and a signature over the raw bytes.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

from flask import Blueprint, Response, request

from receiver.config import Settings
from receiver.proofs.signatures import matches_any, matches_hmac_hex
from receiver.web.intake import UNSIGNED, receive, reject


def blueprint(source: str, settings: Settings) -> Blueprint | None:
    """Return the routes of one of Meta's products, or None where no app secret is set."""
    app_secrets = settings.secrets(f"{source.upper()}_APP_SECRETS")
    verify_tokens = settings.secrets(f"{source.upper()}_VERIFY_TOKENS")
    if not app_secrets and not settings.allows_unsigned(source):
        return None
    routes = Blueprint(source, __name__)

    @routes.get(f"/{source}")
    def verify() -> Response:
        """Answer the handshake by which Meta makes sure that the endpoint is ours."""
        token = request.args.get("hub.verify_token", "")
        if request.args.get("hub.mode") != "subscribe" or not matches_any(token, verify_tokens):
            reject(source, "wrong verify token")
        # Reflected input: as plain text, so that no browser takes it for a page.
        return Response(request.args.get("hub.challenge", ""), content_type="text/plain")

    @routes.post(f"/{source}")
    def webhook() -> Response:
        """Take a batch of events, signed over the raw bytes."""
        if not app_secrets:
            return receive(source, verified_by=UNSIGNED)
        signature = request.headers.get("X-Hub-Signature-256")
        if not matches_hmac_hex(signature, app_secrets, request.get_data(), prefix="sha256="):
            reject(source, "wrong or missing X-Hub-Signature-256")
        return receive(source, verified_by="x-hub-signature-256")

    return routes
