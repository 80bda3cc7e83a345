"""Where data keys lie: in a store apart from the archive; and before, while their segment is here, on this disk.

Where the store is a bucket, nothing that is acknowledged waits for it: a new key lies in a local folder first, and
goes to the store, and from here, before its segment is uploaded. So a key that was destroyed later is nowhere.
"""

import contextlib
import functools
import mmap
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from receiver.config import ARCHIVE_KEY, ARCHIVE_KEYS
from receiver.durable.envelope import DataKey, KeysError, LostError, LostKeyError, Wrapping, is_wrapping_of
from receiver.durable.segments import make_folder, sync_folder
from schemas.raw_event import DATA_KEY, RawEvent

if TYPE_CHECKING:
    from receiver.replies.store import Store

KEYS: Final = "data"
RETIRING: Final = "retiring"
PLAIN: Final = "plain"
"""Folders of a store: wrapped data keys; those that an erasure is about to destroy; and days on which plain events
were replaced by sealed ones."""
NOTE: Final = "README"
_NOTE_TEXT: Final = (
    b"The keys of an archive's events, wrapped with PARLEY_ARCHIVE_KEY. Without them nobody reads the archive. "
    b"Keep no copies: a key that an erasure destroys must be gone.\n"
)
_REMEMBERED: Final = 1024
_PARTS: Final = "parts"
_NAMED: Final = re.compile(rb"\x10" + DATA_KEY.encode() + rb"\x40([0-9a-f]{32})")
"""The attribute as Avro writes it, in a file that is not compressed: lengths, and the text."""


class Keyring:
    """The data keys of an archive, for whoever has the operator's secret."""

    def __init__(self, wrapping: Wrapping, store: "Store", root: str, local: Path | None = None) -> None:
        """Take the store at `root`, and the local folder of keys whose segments are not uploaded yet."""
        self._wrapping = wrapping
        self._store = store
        self._root = None if root.startswith("gs://") else Path(root)
        self._local = local
        self._has_keys = False
        # Of what was lost nothing is remembered: each reader of a segment asks once.
        self._known = functools.lru_cache(_REMEMBERED)(self._read)

    @property
    def store(self) -> "Store":
        """The store, which has more than keys."""
        return self._store

    def new(self, *, is_local: bool = True) -> DataKey:
        """Return a new key, once it is durable: here, where there is a local folder, else in the store.

        Raises:
            OSError: it is not.
        """
        key = DataKey.new()
        if is_local and self._local is not None:
            self._write(self._local, key)
        else:
            self._put(key.id, self._wrapping.wrap(key))
        return key

    def open(self, event: RawEvent) -> RawEvent:
        """Return an archived event as it was received; one that is not sealed is that already.

        Raises:
            LostError: its key was destroyed, or it is damaged.
            KeysError: it was sealed with another secret, or the store is not that of its key.
            Exception: the store cannot be read.
        """
        key_id = event.attributes.get(DATA_KEY)
        return event if key_id is None else self._known(key_id).open(event)

    def publish(self, file: BinaryIO) -> None:
        """Let the store, and it alone, have the keys of a closed segment, which is locked.

        Raises:
            Exception: the store does not have them.
        """
        if self._local is None:
            return
        for key_id in named_in(file):
            path = self._local / key_id
            try:
                wrapped = path.read_bytes()
            except FileNotFoundError:
                # It went before the segment, whose upload failed then. Else nobody could read the segment there.
                if self._store.read(f"{KEYS}/{key_id}") is None:
                    raise LostKeyError(f"the data key {key_id} is neither here nor in the store") from None
                continue
            self._put(key_id, wrapped)
            path.unlink()
            sync_folder(self._local)

    def destroy(self, key_id: str) -> None:
        """Let nobody open any more what a key has sealed.

        Raises:
            Exception: it may be there yet.
        """
        if self._local is not None and (self._local / key_id).exists():
            (self._local / key_id).unlink()
            sync_folder(self._local)
        self._store.remove(f"{KEYS}/{key_id}")
        if self._root is not None:
            self._remove_parts(self._root / _PARTS, key_id)
            for folder in (self._root / KEYS, self._root):
                if folder.is_dir():
                    sync_folder(folder)
        self._known.cache_clear()

    def _read(self, key_id: str) -> DataKey:
        if not re.fullmatch("[0-9a-f]{32}", key_id):
            raise LostError("the name of an event's data key is damaged")
        wrapped = None
        if self._local is not None:
            # It may go just now, to the store.
            with contextlib.suppress(FileNotFoundError):
                wrapped = (self._local / key_id).read_bytes()
        wrapped = wrapped or self._store.read(f"{KEYS}/{key_id}")
        if wrapped is None:
            self._check_place()
            raise LostKeyError(f"the data key {key_id} was destroyed")
        return self._wrapping.unwrap(key_id, wrapped)

    def _check_place(self) -> None:
        """Tell a key that was destroyed from a store that is not this archive's.

        Raises:
            KeysError: the store never had a key.
        """
        if not self._has_keys and self._store.read(NOTE) is None:
            raise KeysError(f"{ARCHIVE_KEYS} has no data keys: is it where this archive's keys lie?")
        self._has_keys = True

    def _put(self, key_id: str, wrapped: bytes) -> None:
        if not self._has_keys:
            self._store.create(NOTE, _NOTE_TEXT)
            self._has_keys = True
        # A folder says False of what is there already, as after an upload whose answer was lost.
        name = f"{KEYS}/{key_id}"
        if not self._store.create(name, wrapped) and self._store.read(name) != wrapped:
            raise OSError(f"the store of data keys has something else under {name}")

    def _write(self, folder: Path, key: DataKey) -> None:
        make_folder(folder)
        path = folder / key.id
        part = folder / f"{key.id}.part"
        try:
            with part.open("xb") as file:
                file.write(self._wrapping.wrap(key))
                file.flush()
                os.fsync(file.fileno())
            # Renamed, not linked: no second name outlives it.
            part.rename(path)
        except OSError:
            # While the disk is full, each group that is tried would leave one behind.
            part.unlink(missing_ok=True)
            raise
        sync_folder(folder)

    @staticmethod
    def _remove_parts(folder: Path, key_id: str) -> None:
        """Remove what a process has left of a key that was killed when it had made it."""
        removed = False
        for path in folder.glob("*"):
            try:
                if is_wrapping_of(key_id, path.read_bytes()):
                    path.unlink()
                    removed = True
            except FileNotFoundError:
                continue
        if removed:
            sync_folder(folder)


def named_in(file: BinaryIO) -> set[str]:
    """Return the ids of the keys with which events of a segment of the receiver are sealed."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        return set()
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as content:
        return {found.group(1).decode() for found in _NAMED.finditer(content)}


def not_configured() -> KeysError:
    """Return what is wrong where there are sealed events and no keys."""
    return KeysError(f"the archive has sealed events: {ARCHIVE_KEY} and {ARCHIVE_KEYS} must be set to read them")
