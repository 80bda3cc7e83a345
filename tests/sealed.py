"""Sealed segments for tests."""

from collections.abc import Sequence
from pathlib import Path

from receiver.durable.envelope import DataKey, Wrapping
from receiver.durable.keyring import Keyring
from receiver.replies.store import FolderStore
from schemas.raw_event import RawEvent
from tests.raw_events import write_segment

SECRET = "a secret of tests and as long as it must be"


def keyring(root: Path, *secrets: str) -> Keyring:
    """Return the keys that lie in a folder."""
    return Keyring(Wrapping(secrets or [SECRET]), FolderStore(root), str(root))


def write_sealed(root: Path, events: Sequence[RawEvent], key: DataKey, name: str = "host-1-0-0.avro") -> Path:
    """Write events into one sealed segment of an archive and return its path."""
    return write_segment(root, [key.seal(each) for each in events], name)
