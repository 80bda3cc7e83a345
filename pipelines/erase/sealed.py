"""Keeps who is erased until nothing has to be looked for any more: sealed with the operator's key.

AES-GCM, by a key that is made of the operator's; the erasure's id is part of what is authenticated, so that one
seal cannot stand for another.
"""

import os
from typing import Any, Final

import msgspec
import uuid_utils

from pipelines.core.suppression import Key
from pipelines.erase.person import Person
from receiver.replies.store import Store, open_store
from schemas.archive_layout import REPLIES

_FOLDER: Final = "erasures"
_TOLD: Final = "told"
"""Where what was told since the plan lies, as further seals: to replace one is no single step."""
_NONCE_BYTES: Final = 12


class SealError(Exception):
    """What is sealed is gone, was sealed with another key, or was changed."""


class Seals:
    """What is sealed beside an archive."""

    def __init__(self, archive: str, key: Key) -> None:
        self._store: Store = open_store(f"{archive.rstrip('/')}/{REPLIES}/{_FOLDER}")
        self._key = key.bytes

    def keep(self, run_id: str, person: Person) -> None:
        """Seal whom an erasure means, in the place of what was sealed of it before."""
        sealed = self._sealed(run_id, person)
        while not self._store.create(f"seals/{run_id}", sealed):
            self._store.remove(f"seals/{run_id}")

    def add(self, run_id: str, told: Person) -> None:
        """Seal what else is known of whom an erasure means, beside what was sealed of it before."""
        self._store.create(f"{_TOLD}/{run_id}/{uuid_utils.uuid7()}", self._sealed(run_id, told))

    def read(self, run_id: str) -> Person:
        """Return whom an erasure means, with all that was told since.

        Raises:
            SealError: that is not known any more, or not with this key.
        """
        sealed = self._store.read(f"seals/{run_id}")
        if sealed is None:
            raise SealError(f"it is not known any more whom the erasure {run_id} meant")
        person = self._opened(run_id, sealed)
        for name in self._store.names(f"{_TOLD}/{run_id}/"):
            if (further := self._store.read(f"{_TOLD}/{run_id}/{name}")) is not None:
                person = person.and_also(self._opened(run_id, further))
        return person

    def _sealed(self, run_id: str, person: Person) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = self._cipher().encrypt(nonce, msgspec.msgpack.encode(person), run_id.encode())
        return nonce + sealed

    def _opened(self, run_id: str, sealed: bytes) -> Person:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            plain = self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], run_id.encode())
        except InvalidTag:
            raise SealError(f"the erasure {run_id} was sealed with another key, or the seal was changed") from None
        return msgspec.msgpack.decode(plain, type=Person)

    def forget(self, run_id: str) -> None:
        """Let nobody know any more whom an erasure meant."""
        for name in self._store.names(f"{_TOLD}/{run_id}/"):
            self._store.remove(f"{_TOLD}/{run_id}/{name}")
        self._store.remove(f"seals/{run_id}")

    def _cipher(self) -> Any:
        # Only whoever erases needs it: a Beam worker does not.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        derived = HKDF(SHA256(), 32, salt=None, info=b"parley erasure seal").derive(self._key)
        return AESGCM(derived)
