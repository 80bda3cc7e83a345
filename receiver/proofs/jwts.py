"""JSON Web Tokens: who sent a request, and where the sender says so, which body and to which URL."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import jwt
from flask import Request

from receiver.proofs import public_keys
from receiver.proofs.key_sets import RemoteKeys
from receiver.proofs.setting import Setting
from receiver.proofs.signatures import matches_any
from receiver.proofs.signed import Proof, key_bytes
from schemas.proof_tables import Jwt

LONGEST_TOKEN: Final = 8 * 1024
LEEWAY_SECONDS: Final = 60
"""By how much clocks may differ."""
HASH_BYTES: Final = 64
SHORTEST_SECRET: Final = 16
"""Bytes of a shared secret: a shorter one could be found by trying."""

Keys = Callable[[str | None], Sequence[Any]]
"""Gives the keys that a token's `kid` names."""


def by_jwt(table: Jwt, secrets: Sequence[str], setting: Setting) -> Proof:
    """Return what checks the token of a request.

    Raises:
        ValueError: a secret or key is not of the form that the table says.
    """
    keys_of = _keys(table, secrets, setting)

    def is_proven(request: Request) -> bool:
        token = _token(request, table.header)
        if not token or len(token) > LONGEST_TOKEN:
            return False
        claims = _claims(token, table, keys_of)
        return (
            claims is not None
            and _is_valid_now(claims, table.tolerance_seconds, setting.clock())
            and all(_is(claims, name, [text]) for name, text in table.claims.items())
            and (table.body_hash is None or _is(claims, table.body_hash, [_sha256(request.get_data())]))
            and (
                table.url_hash is None
                or _is(claims, table.url_hash, [_sha256(url.encode()) for url in setting.urls(request)])
            )
        )

    return is_proven


def _keys(table: Jwt, secrets: Sequence[str], setting: Setting) -> Keys:
    if table.keys_url:
        remote = RemoteKeys(table.keys_url)
        return lambda kid: [key.key for key in remote.find(kid)]
    if table.is_shared:
        shared = [key_bytes(secret, table.key_encoding) for secret in secrets]
        if any(len(key) < SHORTEST_SECRET for key in shared):
            raise ValueError(f"a secret for {table.algorithm} has at least {SHORTEST_SECRET} bytes")
        # To HMAC the same key, and to the library one that is long enough not to be warned of at each request.
        padded = [key.ljust(HASH_BYTES, b"\0") for key in shared]
        return lambda kid: padded
    keys = public_keys.of_table(table, secrets, setting.folder)
    return lambda kid: [key.key for key in keys if kid is None or key.kid in {None, kid}]


def _token(request: Request, header: str) -> str:
    written = request.headers.get(header, "").strip()
    scheme, _, token = written.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else written


def _claims(token: str, table: Jwt, keys_of: Keys) -> dict[str, Any] | None:
    """Return the claims of a token that one of the keys has signed; times are looked at elsewhere."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None
    if not (kid is None or isinstance(kid, str)):
        return None
    options: Any = {
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
        "verify_aud": table.audience is not None,
        "verify_iss": table.issuer is not None,
    }
    for key in keys_of(kid):
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[table.algorithm],
                audience=table.audience,
                issuer=table.issuer,
                options=options,
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        return claims
    return None


def _is_valid_now(claims: dict[str, Any], tolerance_seconds: int, now: float) -> bool:
    """Say whether a token is in its time: until `exp`, or for a while after `iat`; one without either never is."""
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if not all(isinstance(moment, int | float) and abs(moment) < 1e12 for moment in times.values()):
        return False
    if any(times[name] > now + LEEWAY_SECONDS for name in ("iat", "nbf") if name in times):
        return False
    if "exp" in times:
        return bool(now < times["exp"] + LEEWAY_SECONDS)
    return "iat" in times and bool(now - times["iat"] <= tolerance_seconds)


def _is(claims: dict[str, Any], name: str, texts: Sequence[str]) -> bool:
    value = claims.get(name)
    return isinstance(value, str) and matches_any(value, texts)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
