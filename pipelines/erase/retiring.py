"""Destroys data keys of segments that were replaced, and finishes that for whoever was killed meanwhile.

A note in the store of keys says for which segment a key is to be destroyed. As long as it is there, whoever erases
looks whether the segment has the key yet. A key that no note names is never destroyed: a receiver that is away may
have segments of its own.
"""

import datetime as dt
import logging
from typing import Final

from apache_beam.io.filesystems import FileSystems

from pipelines.io.archive_damages import Damage
from pipelines.io.archive_keys import from_environment
from pipelines.io.archive_segments import Selection, find_segments, origin, read_sealed
from receiver.durable.envelope import is_tombstone
from receiver.durable.keyring import PLAIN, RETIRING, Keyring
from schemas.raw_event import DATA_KEY

_log: Final = logging.getLogger(__name__)


def note(keys: Keyring, key_id: str, path: str) -> None:
    """Note that a key is to be destroyed once a segment does not have it any more."""
    keys.store.create(f"{RETIRING}/{key_id}", path.encode())


def note_plain(keys: Keyring) -> None:
    """Note that a segment with plain events is replaced today: copies of it can be read as long as they exist."""
    keys.store.create(f"{PLAIN}/{dt.datetime.now(dt.UTC).date().isoformat()}", b"")


def last_plain(keys: Keyring) -> dt.date | None:
    """Return the last day on which a segment with plain events was replaced; None where none ever was."""
    return max((dt.date.fromisoformat(name) for name in keys.store.names(f"{PLAIN}/")), default=None)


def destroy(keys: Keyring, key_id: str) -> None:
    """Destroy a key that nothing of the archive needs."""
    keys.destroy(key_id)
    keys.store.remove(f"{RETIRING}/{key_id}")


def finish(keys: Keyring | None, archive: str) -> int:
    """Destroy the keys that somebody who was killed has not destroyed; return how many."""
    if keys is None:
        return 0
    done = 0
    for key_id in keys.store.names(f"{RETIRING}/"):
        noted = keys.store.read(f"{RETIRING}/{key_id}")
        if noted is not None and _is_replaced(noted.decode(), archive, key_id):
            destroy(keys, key_id)
            done += 1
    return done


def keys_of(archive: str) -> Keyring | None:
    """Return the keys of an archive by the environment; None where it is not sealed.

    Raises:
        ConfigurationError: a setting is missing or wrong, or the keys would lie within the archive.
    """
    return from_environment(archive=archive).keyring()


def is_all_sealed(archive: str) -> bool:
    """Return whether every event of an archive is sealed, or a tombstone; what cannot be read counts as plain."""
    for path in find_segments(archive, Selection()):
        damages: list[Damage] = []
        for event in read_sealed(path, damages):
            if DATA_KEY not in event.attributes and not is_tombstone(event):
                return False
        if damages:
            return False
    return True


def _is_replaced(path: str, archive: str, key_id: str) -> bool:
    """Return whether a segment is there, whole, and does not have a key; it may have been uploaded meanwhile."""
    seen = 0
    for each in {path, f"{archive.rstrip('/')}/{origin(path)}"}:
        if not FileSystems.exists(each):
            continue
        damages: list[Damage] = []
        try:
            has_it = any(event.attributes.get(DATA_KEY) == key_id for event in read_sealed(each, damages))
        except Exception as error:
            # Beam's file systems raise what their clients raise. What cannot be told costs no key.
            _log.warning("%s cannot be read: %s: %s", each, type(error).__name__, error)
            return False
        if has_it or damages:
            return False
        seen += 1
    return bool(seen)
