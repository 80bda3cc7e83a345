"""HMAC signatures over the raw body, as webhook senders make them.

`hmac.new`, not `hmac.digest`: that one lets other threads run each time, however short the body is, which
at full load costs more than the rest of a request.
"""

import base64
import hmac
from collections.abc import Iterable


def hmac_hex(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """Return the lower-case hexadecimal HMAC of a body."""
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def hmac_base64(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """Return the HMAC of a body in standard base64."""
    return base64.b64encode(hmac.new(secret.encode(), body, algorithm).digest()).decode()


def matches_any(given: str, expected: Iterable[str]) -> bool:
    """Say whether a text equals one of several, in constant time and whatever characters it has.

    All of them are compared, so the time does not show which one (say, an old or a new secret)
    matched.
    """
    given_bytes = given.encode("utf-8", "surrogateescape")
    found = False
    for text in expected:
        found |= hmac.compare_digest(given_bytes, text.encode())
    return found


def matches_hmac_hex(given: str | None, secrets: Iterable[str], body: bytes, *, prefix: str = "") -> bool:
    """Say whether a header is `prefix` and the hexadecimal HMAC-SHA256 of the body by a secret."""
    if not given:
        return False
    return matches_any(given, (prefix + hmac_hex(secret, body) for secret in secrets))
