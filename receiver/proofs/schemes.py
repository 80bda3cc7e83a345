"""How requests of custom sources prove their sender, as the sources file says."""

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final, Protocol

from flask import Request
from standardwebhooks import Webhook

from receiver.event_loop import in_thread
from receiver.proofs.jwts import by_jwt
from receiver.proofs.places import MOST_SIGNATURES, placed
from receiver.proofs.setting import Setting
from receiver.proofs.signatures import matches_any
from receiver.proofs.signed import Proof, by_hash, by_hmac, by_private_key
from schemas.custom_sources import ENTRY_POINTS, Definition
from schemas.proof_tables import Token

SHORTEST_TOKEN: Final = 16
"""Characters of a token: a shorter one could be guessed."""
_LATEST: Final = 10**11
"""Seconds since 1970 beyond which no date is."""


class Verifier(Protocol):
    """What a registered class needs where its source's scheme is `code`."""

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Say whether a request is of who it should be; the headers' names are in lower case."""
        ...


def proof(source: str, definition: Definition, secrets: Sequence[str], setting: Setting | None = None) -> Proof:
    """Return what checks the requests of a source.

    A check raises `KeysMissingError` where the sender should try again, since its keys are still being fetched.

    Raises:
        ValueError: a secret is not of the scheme's form, or the source has no code for it.
    """
    setting = setting or Setting()
    made = None
    match definition.scheme:
        case "hmac" if definition.hmac is not None:
            made = by_hmac(definition.hmac, secrets, setting)
        case "hash" if definition.hash is not None:
            made = by_hash(definition.hash, secrets, setting)
        case "signature" if definition.signature is not None:
            made = by_private_key(definition.signature, secrets, setting)
        case "jwt" if definition.jwt is not None:
            made = by_jwt(definition.jwt, secrets, setting)
        case "token" if definition.token is not None:
            made = _token(definition.token, secrets)
        case "standard-webhooks":
            made = _standard_webhooks(secrets, setting, definition.tolerance_seconds)
        case "bearer":
            made = _bearer(secrets)
        case "basic":
            made = _basic(secrets)
        case "code":
            made = _code(source, secrets)
        case "none":
            made = _nothing
    if made is None:
        raise ValueError(f"nothing says how {definition.scheme} proves a request")
    return made


def bearer_token(request: Request) -> str:
    """Return the request's bearer token; empty where it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _standard_webhooks(secrets: Sequence[str], setting: Setting, tolerance_seconds: int) -> Proof:
    """See https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.

    Svix, where the specification comes from, names the same headers after itself.
    """
    try:
        webhooks = [Webhook(secret) for secret in secrets]
    except Exception as error:
        raise ValueError("a secret is not whsec_ and base64") from error

    def is_signed(request: Request) -> bool:
        headers = request.headers
        prefix = "webhook" if "webhook-id" in headers else "svix"
        message_id, told = headers.get(f"{prefix}-id", ""), headers.get(f"{prefix}-timestamp", "")
        signatures = headers.get(f"{prefix}-signature", "").split(" ", MOST_SIGNATURES)
        if not (told.isascii() and told.isdigit() and len(told) < 12 and int(told) < _LATEST):
            return False
        if len(signatures) > MOST_SIGNATURES or not setting.is_recent(told, tolerance_seconds):
            return False
        # Not below: a body that did not come has an answer of its own.
        body = request.get_data()
        try:
            moment = dt.datetime.fromtimestamp(int(told), dt.UTC)
            expected = [webhook.sign(message_id, moment, body.decode()) for webhook in webhooks]
        except ValueError:
            # A body that is no text.
            return False
        return any(matches_any(given, expected) for given in signatures)

    return is_signed


def _nothing(_: Request) -> bool:
    """Take all that comes: the operator has said so."""
    return True


def _bearer(secrets: Sequence[str]) -> Proof:
    _refuse_short(secrets)
    return lambda request: matches_any(bearer_token(request), secrets)


def _token(table: Token, secrets: Sequence[str]) -> Proof:
    _refuse_short(secrets)
    expected = [table.prefix + secret for secret in secrets]
    return lambda request: matches_any(placed(request, table), expected)


def _basic(secrets: Sequence[str]) -> Proof:
    """See https://www.rfc-editor.org/rfc/rfc7617."""
    if not all(":" in secret for secret in secrets):
        raise ValueError("a secret is user:password")
    _refuse_short(secrets)
    expected = [base64.b64encode(secret.encode()).decode() for secret in secrets]

    def is_known(request: Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "basic" and matches_any(given.strip(), expected)

    return is_known


def _refuse_short(secrets: Sequence[str]) -> None:
    if any(len(secret) < SHORTEST_TOKEN for secret in secrets):
        raise ValueError(f"a token has at least {SHORTEST_TOKEN} characters")


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
