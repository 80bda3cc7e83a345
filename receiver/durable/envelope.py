"""Envelope encryption of archived events: each segment has a data key, wrapped by a key that the operator holds.

Of a sealed event the id, the source and the time of receipt stay as they are, so that a segment is found, counted
and mended like any other; its body and all other attributes are one message of AES-256-GCM, which also binds what
is left open. Without the segment's data key nobody reads it, wherever a copy of the segment lies.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from receiver.config import ARCHIVE_KEY
from schemas.raw_event import DATA_KEY, ERASED, EVENT_ID, RECEIVED_AT, SOURCE, RawEvent

KEY_BYTES: Final = 32
_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_OPEN: Final = frozenset({EVENT_ID, SOURCE, RECEIVED_AT, ERASED})
"""Attributes that stay readable; they name nobody."""
_FORM: Final = b"parley event 1"
_WRAPPED: Final = b"parley key 1"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[dict[str, str], bytes]).decode


class KeysError(OSError):
    """Sealed events cannot be read as it is configured; nothing is said of the events, which are whole."""


class LostError(Exception):
    """What was sealed cannot be read by anybody: it is damaged, or its data key was destroyed."""


class LostKeyError(LostError):
    """And with it everything that the key has sealed."""


class DataKey:
    """The key of one segment."""

    def __init__(self, key_id: str, secret: bytes) -> None:
        # Only whoever seals or opens needs it: the package is not installed, or not loaded, elsewhere.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self.id = key_id
        """32 hexadecimal digits, random."""
        self.secret = secret
        self._cipher: Any = AESGCM(secret)

    @classmethod
    def new(cls) -> "DataKey":
        """Return a key that nobody has."""
        return cls(os.urandom(_ID_BYTES).hex(), os.urandom(KEY_BYTES))

    def seal(self, event: RawEvent) -> RawEvent:
        """Return an event that only this key opens; a tombstone, which holds nothing, stays as it is."""
        if is_tombstone(event):
            return event
        attributes = {name: value for name, value in event.attributes.items() if name in _OPEN}
        attributes[DATA_KEY] = self.id
        hidden = {name: value for name, value in event.attributes.items() if name not in _OPEN}
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, _encode((hidden, event.data)), _bound(attributes))
        return RawEvent(nonce + sealed, attributes)

    def open(self, event: RawEvent) -> RawEvent:
        """Return the event that was sealed.

        Raises:
            LostError: it is not what was sealed.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above

        data = event.data
        try:
            plain = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(event.attributes))
            hidden, body = _decode(plain)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            known = event.attributes.get(EVENT_ID, "")
            raise LostError(f"event {known} is not what was sealed") from None
        attributes = {name: value for name, value in event.attributes.items() if name != DATA_KEY}
        return RawEvent(body, attributes | hidden)


class Wrapping:
    """The operator's secrets, of which the first wraps data keys, and all unwrap them."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def wrap(self, key: DataKey) -> bytes:
        """Return a data key as it may lie anywhere."""
        (known, cipher), nonce = self._ciphers[0], os.urandom(_NONCE_BYTES)
        head = _WRAPPED + bytes.fromhex(key.id)
        sealed: bytes = cipher.encrypt(nonce, key.secret, head + known)
        return head + known + nonce + sealed

    def unwrap(self, key_id: str, wrapped: bytes) -> DataKey:
        """Return the data key that was wrapped.

        Raises:
            KeysError: it was wrapped with a secret that is not among these.
            LostError: it is damaged.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above

        head = _WRAPPED + bytes.fromhex(key_id)
        known, rest = wrapped[len(head) :][:_ID_BYTES], wrapped[len(head) + _ID_BYTES :]
        if not wrapped.startswith(head) or len(rest) < _NONCE_BYTES:
            raise LostKeyError(f"the data key {key_id} is damaged")
        cipher = dict(self._ciphers).get(known)
        if cipher is None:
            raise KeysError(f"{ARCHIVE_KEY} does not have the secret with which the data key {key_id} was wrapped")
        try:
            secret = cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + known)
        except InvalidTag:
            raise LostKeyError(f"the data key {key_id} is damaged") from None
        return DataKey(key_id, secret)

    @functools.cached_property
    def _ciphers(self) -> list[tuple[bytes, Any]]:
        """What tells each secret apart, and its cipher."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        found = []
        for secret in self._secrets:
            derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"parley archive key").derive(secret.encode())
            found.append((hashlib.sha256(b"id" + derived).digest()[:_ID_BYTES], AESGCM(derived)))
        return found


def is_tombstone(event: RawEvent) -> bool:
    """Return whether all of an event was erased."""
    return not event.data and ERASED in event.attributes


def is_wrapping_of(key_id: str, data: bytes) -> bool:
    """Return whether bytes are a data key's, wrapped with whatever secret."""
    return bytes.fromhex(key_id) in data


def _bound(attributes: Any) -> bytes:
    """Return what a sealed event shows, as it is authenticated."""
    shown = [attributes.get(name, "") for name in (DATA_KEY, EVENT_ID, SOURCE, RECEIVED_AT, ERASED)]
    return _FORM + _encode(shown)
