"""The desk: posts replies to the receiver, for `parley reply` and for the dashboard."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec

from schemas.replies import IDEMPOTENCY_KEY, REPLY_ID, SOURCE

TOKEN: Final = "PARLEY_REPLY_TOKEN"  # noqa: S105 - the name of a variable
URL: Final = "PARLEY_PUBLIC_URL"
_TIMEOUT_SECONDS: Final = 30.0


class DeskError(ValueError):
    """The environment does not say where to post; the text says what is wrong."""


class NotTakenError(Exception):
    """The receiver has not said that it has taken a reply; the text says why."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of its answer; 0 where there was none: then it may have taken it."""


class Desk(msgspec.Struct, frozen=True):
    """Where to post, and with which token."""

    url: str
    token: str

    def __repr__(self) -> str:
        # Without the token, wherever it may be printed.
        return f"Desk({self.url!r})"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """Return the desk that the environment names, None where it has no token.

        Raises:
            DeskError: it has one, but no URL of a receiver.
        """
        token = environ.get(TOKEN, "").strip()
        url = environ.get(URL, "").split(",")[0].strip().rstrip("/")
        if not token:
            return None
        if not url.startswith(("http://", "https://")):
            raise DeskError(f"{URL} is no URL: {url!r}")
        return cls(url, token)

    def post(self, body: bytes, key: str) -> str:
        """Return the id of a reply that the receiver has taken; the same key again is the same reply.

        Raises:
            NotTakenError: it has not, or nobody knows.
        """
        headers = {
            "Authorization": f"Bearer {self.token}",
            IDEMPOTENCY_KEY: key,
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(f"{self.url}/{SOURCE}", body, headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return str(json.load(answer)[REPLY_ID])
        except urllib.error.HTTPError as error:
            with error:
                raise NotTakenError(_message(error), error.code) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise NotTakenError(f"no answer from {self.url}: {error}") from error


def reply_body(fields: Mapping[str, Any], content: str) -> bytes:
    """Return a reply with content that is JSON, byte for byte as it was given; fields of None are left out."""
    told = json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)
    return f'{told[:-1]}, "content": {content}}}'.encode()


def _message(error: urllib.error.HTTPError) -> str:
    try:
        answer = error.read()
    except (OSError, http.client.HTTPException):
        # Cut off: its status is known all the same.
        return error.reason
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode("utf-8", "replace")[:200]
