"""How requests of custom sources prove their sender, as the sources file says."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final, Protocol

from flask import Request
from standardwebhooks import Webhook

from receiver.event_loop import in_thread
from receiver.proofs.signatures import hmac_base64, hmac_hex, matches_any
from schemas.custom_sources import ENTRY_POINTS, Definition, Hmac

SHORTEST_TOKEN: Final = 16
"""Characters of a bearer token: a shorter one could be guessed."""
MOST_SIGNATURES: Final = 32
"""Signatures of one request: there are several while a secret is rotated."""
MILLISECONDS_FROM: Final = 10**11
"""Timestamps from here on are in milliseconds."""

Proof = Callable[[Request], bool]
"""Says whether a request is of who it should be."""


class Verifier(Protocol):
    """What a registered class needs where its source's scheme is `code`."""

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Say whether a request is of who it should be; the headers' names are in lower case."""
        ...


def proof(source: str, definition: Definition, secrets: Sequence[str]) -> Proof:
    """Return what checks the requests of a source.

    Raises:
        ValueError: a secret is not of the scheme's form, or the source has no code for it.
    """
    match definition.scheme:
        case "standard-webhooks":
            return _standard_webhooks(secrets)
        case "hmac" if definition.hmac is not None:
            return _hmac(definition.hmac, secrets)
        case "bearer":
            return _bearer(secrets)
        case "code":
            return _code(source, secrets)
        case _:
            return lambda request: True


def bearer_token(request: Request) -> str:
    """Return the request's bearer token; empty where it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _standard_webhooks(secrets: Sequence[str]) -> Proof:
    """See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    try:
        webhooks = [Webhook(secret) for secret in secrets]
    except Exception as error:
        raise ValueError("a secret is not whsec_ and base64") from error

    def is_signed(request: Request) -> bool:
        # The library looks at all that a header lists, and a header is long.
        if request.headers.get("webhook-signature", "").count(" ") >= MOST_SIGNATURES:
            return False
        return any(_verifies(webhook, request) for webhook in webhooks)

    return is_signed


def _verifies(webhook: Webhook, request: Request) -> bool:
    # Not below: a body that did not come has an answer of its own.
    body = request.get_data()
    try:
        webhook.verify(body, dict(request.headers), json_parse=False)
    except Exception:
        # Besides its own error the library raises others for malformed headers and bodies.
        return False
    return True


def _hmac(hmac: Hmac, secrets: Sequence[str]) -> Proof:
    sign = hmac_hex if hmac.encoding == "hex" else hmac_base64

    def is_signed(request: Request) -> bool:
        given = request.headers.get(hmac.header, "")
        template = hmac.signed
        if hmac.timestamp_header is not None:
            timestamp = request.headers.get(hmac.timestamp_header, "")
            if not _is_recent(timestamp, hmac.tolerance_seconds):
                return False
            template = template.replace("{timestamp}", timestamp)
        signed = request.get_data().join(part.encode() for part in template.split("{body}"))
        return matches_any(given, (hmac.prefix + sign(secret, signed, hmac.algorithm) for secret in secrets))

    return is_signed


def _is_recent(timestamp: str, tolerance_seconds: int) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
        return False
    seconds = int(timestamp)
    if seconds >= MILLISECONDS_FROM:
        seconds //= 1000
    return abs(time.time() - seconds) <= tolerance_seconds


def _bearer(secrets: Sequence[str]) -> Proof:
    if any(len(secret) < SHORTEST_TOKEN for secret in secrets):
        raise ValueError(f"a bearer token has at least {SHORTEST_TOKEN} characters")
    return lambda request: matches_any(bearer_token(request), secrets)


def _code(source: str, secrets: Sequence[str]) -> Proof:
    points = [point for point in entry_points(group=ENTRY_POINTS) if point.name == source]
    if not points:
        raise ValueError(f'scheme = "code", but no installed package registers {source} in {ENTRY_POINTS}')
    try:
        verifier: Verifier = points[0].load()()
        verify = verifier.verify
    except Exception as error:
        raise ValueError(f"{points[0].value} cannot be used: {type(error).__name__}: {error}") from error

    def is_signed(request: Request) -> bool:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.get_data()
        try:
            return in_thread(lambda: verify(headers, body, secrets)) is True
        except Exception:
            # Foreign code: whatever it stumbles over is not proven.
            return False

    return is_signed
