"""Visitors' tokens: HS256 JWTs bound to a channel and a conversation."""

import time
from typing import Any, Final

import jwt
import msgspec

TOKEN_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400
LEEWAY_SECONDS: Final = 30
"""By how much the clocks of two receivers may differ."""

SEND: Final = "chatplugin.send"
RESUME: Final = "chatplugin.resume"

_ALGORITHM: Final = "HS256"
_CLAIMS: Final = ("aud", "iat", "exp", "channel_id", "conversation_id")


class InvalidTokenError(Exception):
    """A token that proves nothing: forged, damaged, or made for another purpose."""


class ExpiredTokenError(InvalidTokenError):
    """A genuine token whose time is over."""


class Visitor(msgspec.Struct, frozen=True):
    """Who a token speaks for: one conversation on one channel, and nothing about a person."""

    channel_id: str
    conversation_id: str


class Tokens:
    """Issues and verifies tokens. The first secret signs; all verify, so that keys can be rotated."""

    def __init__(self, secrets: tuple[str, ...], resume_days: int) -> None:
        self._secrets = secrets
        self._seconds = {SEND: TOKEN_SECONDS, RESUME: resume_days * DAY_SECONDS}

    def issue(self, visitor: Visitor, purpose: str) -> str:
        """Return a token to send messages (`SEND`, for an hour) or to come back later (`RESUME`)."""
        now = int(time.time())
        claims = {
            "aud": purpose,
            "iat": now,
            "exp": now + self._seconds[purpose],
            "channel_id": visitor.channel_id,
            "conversation_id": visitor.conversation_id,
        }
        return jwt.encode(claims, self._secrets[0], _ALGORITHM)

    def verify(self, token: str, purpose: str) -> Visitor:
        """Return the visitor that a token of this purpose speaks for.

        Raises:
            ExpiredTokenError: it did until its time was over.
            InvalidTokenError: it speaks for nobody.
        """
        for secret in self._secrets:
            try:
                return _visitor(_claims(token, secret, purpose))
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError as error:
                raise ExpiredTokenError from error
            except (jwt.InvalidTokenError, UnicodeEncodeError) as error:
                # JSON can escape half a character, which has no bytes.
                raise InvalidTokenError from error
        raise InvalidTokenError


def _claims(token: str, secret: str, purpose: str) -> dict[str, Any]:
    return jwt.decode(
        token,
        secret,
        algorithms=[_ALGORITHM],
        audience=purpose,
        leeway=LEEWAY_SECONDS,
        options={"require": list(_CLAIMS), "strict_aud": True},
    )


def _visitor(claims: dict[str, Any]) -> Visitor:
    try:
        return msgspec.convert(claims, Visitor)
    except msgspec.ValidationError as error:
        raise InvalidTokenError from error
