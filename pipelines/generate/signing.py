"""Signs generated webhooks as their sources do, with the receiver's own secrets."""

import base64
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from pipelines.generate.wire import Webhook

PREFIX: Final = "PARLEY_"
SECRETS: Final = {
    "facebook": "FACEBOOK_APP_SECRETS",
    "whatsapp": "WHATSAPP_APP_SECRETS",
    "twilio": "TWILIO_AUTH_TOKENS",
    "google": "GOOGLE_KEYS",
    "airy": "AIRY_SIGNATURE_KEYS",
}
"""The variable of each endpoint's secrets."""

Sign = Callable[[Webhook, str], dict[str, str]]
"""Returns the headers that prove a webhook; given too is what chooses its delivery id."""


class MissingSecretError(LookupError):
    """The environment has no secret with which an endpoint's webhooks could be signed."""


def signers(environ: Mapping[str, str], endpoints: frozenset[str]) -> dict[str, Sign]:
    """Return what signs the webhooks of each endpoint.

    Raises:
        MissingSecretError: the environment lacks a secret, or the public URL that Twilio signs.
    """
    return {endpoint: _signer(environ, endpoint) for endpoint in endpoints}


def _signer(environ: Mapping[str, str], endpoint: str) -> Sign:
    secret = _secret(environ, SECRETS.get(endpoint) or f"SOURCE_{endpoint.upper().replace('-', '_')}_SECRETS")
    key = secret.encode()
    match endpoint:
        case "facebook" | "whatsapp":
            return lambda webhook, _: {
                "X-Hub-Signature-256": f"sha256={hmac.digest(key, webhook.body, 'sha256').hex()}"
            }
        case "google":
            return lambda webhook, _: {"X-Goog-Signature": _base64(hmac.digest(key, webhook.body, "sha512"))}
        case "airy":
            return lambda webhook, _: {"X-Airy-Content-Signature": hmac.digest(key, webhook.body, "sha256").hex()}
        case "twilio":
            url = _value(environ, "PUBLIC_URL").split(",")[0].strip().rstrip("/") + "/twilio"
            return lambda webhook, _: {
                "X-Twilio-Signature": _base64(hmac.digest(key, _twilio_text(url, webhook), "sha1"))
            }
        case _:
            webhook_key = base64.b64decode(secret.removeprefix("whsec_") + "==")
            return lambda webhook, mark: _standard_webhook(webhook_key, webhook, mark)


def _secret(environ: Mapping[str, str], name: str) -> str:
    """Return the first secret of a variable, or of the file that `<name>_FILE` names."""
    path = environ.get(f"{PREFIX}{name}_FILE", "").strip()
    text = Path(path).read_text("utf-8").replace("\n", ",") if path else _value(environ, name)
    return next(part for word in text.split(",") if (part := word.strip()))


def _value(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(PREFIX + name, "").strip(" ,\n")
    if not value:
        raise MissingSecretError(
            f"{PREFIX}{name} is not set: the receiver would refuse what is not signed with it"
        )
    return value


def _twilio_text(url: str, webhook: Webhook) -> bytes:
    """See https://www.twilio.com/docs/usage/webhooks/webhooks-security."""
    fields = parse_qsl(webhook.body.decode(), keep_blank_values=True)
    return (url + "".join(name + value for name, value in sorted(fields))).encode()


def _standard_webhook(key: bytes, webhook: Webhook, mark: str) -> dict[str, str]:
    """See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    at = str(int(time.time()))
    signed = f"{mark}.{at}.".encode() + webhook.body
    signature = _base64(hmac.digest(key, signed, "sha256"))
    return {"webhook-id": mark, "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
