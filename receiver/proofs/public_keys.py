"""Public keys of senders: where they are written, and whether a signature is of their private halves."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from schemas.proof_tables import PublicKeys

MOST_KEYS: Final = 32
SHORTEST_RSA_BITS: Final = 1024
LARGEST_FILE: Final = 256 * 1024
_PEM_END: Final = "-----END "
_ED25519_BYTES: Final = 32
_FORGEABLE: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Points of small order, without their sign: signatures of these as Ed25519 keys anybody can make, who tries a few
times (https://www.rfc-editor.org/rfc/rfc8032#section-5.1.7 does not refuse them)."""

_DIGESTS: Final[dict[str, hashes.HashAlgorithm]] = {
    "rsa-sha1": hashes.SHA1(),  # noqa: S303 - old senders sign so, and nothing else proves them
    "rsa-sha256": hashes.SHA256(),
    "rsa-sha512": hashes.SHA512(),
}

Verifies = Callable[[bytes, bytes], bool]
"""Says whether a signature is of a content."""


class Key:
    """A public key, and its name in a JWKS."""

    def __init__(self, key: Any, kid: str | None = None) -> None:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA_BITS:
            raise ValueError(f"an RSA key of less than {SHORTEST_RSA_BITS} bits proves nothing")
        if isinstance(key, ed25519.Ed25519PublicKey) and _is_forgeable(key.public_bytes_raw()):
            raise ValueError("it is no one's, as a recipe's zeros are: put the sender's own in its place")
        self.key = key
        self.kid = kid


def of_table(table: PublicKeys, secrets: Sequence[str], folder: Path) -> list[Key]:
    """Return the keys that a table names, else those of the variable of its secrets.

    Raises:
        ValueError: a key cannot be read, or there is none.
    """
    if table.keys_file:
        path = folder / table.keys_file
        try:
            with path.open("rb") as file:
                text = file.read(LARGEST_FILE).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"keys_file cannot be read: {error}") from error
        keys = of_jwks(text) if text.lstrip()[:1] == "{" else of_pem(text)
    else:
        keys = [key for text in table.public_keys or secrets for key in of_text(text)]
    if not 0 < len(keys) <= MOST_KEYS:
        raise ValueError(f"needs 1 to {MOST_KEYS} public keys")
    return keys


def of_text(text: str) -> list[Key]:
    """Return the keys of a text: PEM, or a key in hexadecimal or base64.

    Raises:
        ValueError: it is none of these.
    """
    if _PEM_END in text:
        return of_pem(text)
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError("a public key is PEM, hexadecimal or base64") from error
    try:
        if len(raw) == _ED25519_BYTES:
            return [Key(ed25519.Ed25519PublicKey.from_public_bytes(raw))]
        return [Key(load_der_public_key(raw))]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"a public key cannot be read: {error}") from error


def of_pem(text: str) -> list[Key]:
    """Return the keys of PEM blocks: public keys or certificates.

    Raises:
        ValueError: one cannot be read.
    """
    keys = []
    for block in text.split("-----BEGIN ")[1:]:
        pem = f"-----BEGIN {block}".encode()
        try:
            if block.startswith("CERTIFICATE"):
                keys.append(Key(load_pem_x509_certificate(pem).public_key()))
            else:
                keys.append(Key(load_pem_public_key(pem)))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"a public key cannot be read: {error}") from error
    return keys


def of_jwks(text: str) -> list[Key]:
    """Return the keys of a JSON Web Key Set that are of a known kind, https://www.rfc-editor.org/rfc/rfc7517.

    Raises:
        ValueError: it is none, or has no such key.
    """
    try:
        keys = jwt.PyJWKSet.from_dict(json.loads(text)).keys[:MOST_KEYS]
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no JWKS: {error}") from error
    # A shared key in a set that is published would let anyone sign.
    found = [Key(key.key, key.key_id) for key in keys if not isinstance(key.key, bytes)]
    if not found:
        raise ValueError("no public key in the JWKS")
    return found


def _is_forgeable(point: bytes) -> bool:
    return bytes([*point[:-1], point[-1] & 0x7F]) in _FORGEABLE


def verifier(key: Key, algorithm: str) -> Verifies:
    """Return what checks signatures of a key.

    Raises:
        ValueError: the key is of another kind than the algorithm's.
    """
    public = key.key
    match algorithm, public:
        case "ed25519", ed25519.Ed25519PublicKey():
            return _without_error(public.verify)
        case "ecdsa-sha256", ec.EllipticCurvePublicKey():
            scheme = ec.ECDSA(hashes.SHA256())
            return _without_error(lambda signature, content: public.verify(signature, content, scheme))
        case "rsa-pss-sha256", rsa.RSAPublicKey():
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            return _without_error(
                lambda signature, content: public.verify(signature, content, pss, hashes.SHA256())
            )
        case (("rsa-sha1" | "rsa-sha256" | "rsa-sha512"), rsa.RSAPublicKey()):
            digest = _DIGESTS[algorithm]
            return _without_error(
                lambda signature, content: public.verify(signature, content, padding.PKCS1v15(), digest)
            )
        case _:
            raise ValueError(f"a public key is not one for {algorithm}")


def _without_error(verify: Callable[[bytes, bytes], None]) -> Verifies:
    def verifies(signature: bytes, content: bytes) -> bool:
        try:
            verify(signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verifies
