"""Signatures over a template: with a shared secret, or with a private key of the sender's."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Protocol

from flask import Request

from receiver.proofs import public_keys
from receiver.proofs.places import signatures, timestamp
from receiver.proofs.setting import Setting
from receiver.proofs.signatures import matches_any
from receiver.proofs.templates import Template
from schemas.proof_tables import Hash, Hmac, Signature, Signed

Proof = Callable[[Request], bool]
"""Says whether a request is of who it should be."""


class Check(Protocol):
    """Says whether one of a request's signatures is of what is signed."""

    def __call__(self, given: Sequence[str], request: Request, known: dict[str, str]) -> bool:
        """Compare; `known` are the fields of the template that are not the request's own."""
        ...


def by_hmac(table: Hmac, secrets: Sequence[str], setting: Setting) -> Proof:
    """Return what checks an HMAC.

    Raises:
        ValueError: a secret is not of the form that the table says.
    """
    keys = [key_bytes(secret, table.key_encoding) for secret in secrets]
    template = Template(table.signed)
    encode = _encoder(table)

    def check(given: Sequence[str], request: Request, known: dict[str, str]) -> bool:
        content = template.filled(request, known)
        expected = [encode(hmac.new(key, content, table.algorithm).digest()) for key in keys]
        return _any_matches(table, given, expected)

    return _proof(table, template, setting, check)


def by_hash(table: Hash, secrets: Sequence[str], setting: Setting) -> Proof:
    """Return what checks a hash of a text that has the secret in it."""
    template = Template(table.signed)
    encode = _encoder(table)

    def check(given: Sequence[str], request: Request, known: dict[str, str]) -> bool:
        contents = [template.filled(request, known | {"secret": secret}) for secret in secrets]
        expected = [encode(hashlib.new(table.algorithm, content).digest()) for content in contents]
        return _any_matches(table, given, expected)

    return _proof(table, template, setting, check)


def by_private_key(table: Signature, secrets: Sequence[str], setting: Setting) -> Proof:
    """Return what checks a signature with a sender's public keys.

    Raises:
        ValueError: a key cannot be read, or is of another kind.
    """
    keys = public_keys.of_table(table, secrets, setting.folder)
    verifiers = [public_keys.verifier(key, table.algorithm) for key in keys]
    template = Template(table.signed)

    def check(given: Sequence[str], request: Request, known: dict[str, str]) -> bool:
        content = template.filled(request, known)
        raw = [one for text in given[:2] if (one := _decoded(text, table.encoding))]
        return any(verifies(one, content) for verifies in verifiers for one in raw)

    return _proof(table, template, setting, check)


def key_bytes(secret: str, encoding: str) -> bytes:
    """Return a secret as the key that it spells.

    Raises:
        ValueError: it is not of that encoding, or empty.
    """
    try:
        match encoding:
            case "base64":
                key = base64.b64decode(secret, altchars=b"-_" if {"-", "_"} & set(secret) else None, validate=True)
            case "hex":
                key = bytes.fromhex(secret)
            case _:
                key = secret.encode()
    except ValueError as error:
        raise ValueError(f"a secret is not {encoding}") from error
    if not key:
        raise ValueError("a secret is empty")
    return key


def _proof(table: Signed, template: Template, setting: Setting, check: Check) -> Proof:
    def is_signed(request: Request) -> bool:
        given = signatures(request, table)
        told = timestamp(request, table)
        if not given or (told is not None and not setting.is_recent(told, table.tolerance_seconds)):
            return False
        if not template.fits(request):
            return False
        known = {} if told is None else {"timestamp": told}
        if not template.has_url:
            return check(given, request, known)
        return any(check(given, request, known | {"url": url}) for url in setting.urls(request))

    return is_signed


def _encoder(table: Signed) -> Callable[[bytes], str]:
    return bytes.hex if table.encoding == "hex" else lambda digest: base64.b64encode(digest).decode()


def _any_matches(table: Signed, given: Sequence[str], expected: Sequence[str]) -> bool:
    """Say whether one signature matches, whichever of the usual spellings it has."""
    if table.encoding == "hex":
        return any(matches_any(one.lower(), expected) for one in given)
    spelt = [_url_safe(one) for one in expected]
    return any(matches_any(_url_safe(one), spelt) for one in given)


def _url_safe(encoded: str) -> str:
    return encoded.rstrip("=").replace("+", "-").replace("/", "_")


def _decoded(text: str, encoding: str) -> bytes | None:
    if not text.isascii():
        return None
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        spelt = _url_safe(text)
        return base64.b64decode(spelt + "=" * (-len(spelt) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
