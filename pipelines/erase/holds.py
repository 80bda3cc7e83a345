"""Legal holds: what of a person, or of a range, nobody may erase before a day, and who has said so.

A hold is an object beside the archive that is never changed nor removed; taking it back is another. Of a person it
has keyed hashes alone.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import uuid_utils

from pipelines.core.suppression import CONTACT, Key
from pipelines.erase.person import Person
from pipelines.reprocess.runs import RefusedError
from receiver.replies.store import Store, open_store
from schemas.archive_layout import REPLIES

_FOLDER: Final = "erasures"
_HOLDS: Final = "holds"
_RELEASES: Final = "releases"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What is not to be erased, of one person or of a range of times of receipt."""

    hold_id: str
    at: dt.datetime
    actor: str
    reason: str
    until: dt.datetime
    """From then on it holds nothing."""
    key_id: str | None = None
    """With which key the hashes are made; None for a range."""
    hashes: list[str] = []
    """Of the person's contacts."""
    source: str | None = None
    """The endpoint of a range; None for all."""
    start: dt.datetime | None = None
    end: dt.datetime | None = None

    def told(self) -> str:
        """Return who holds what until when, in words that name nobody."""
        what = "a person" if self.hashes else f"{self.source or 'all sources'} from {self.start} to {self.end}"
        return f"{self.actor} holds {what} until {self.until:%Y-%m-%d} ({self.reason}): hold {self.hold_id}"

    def covers(self, source: str, received: dt.datetime) -> bool:
        """Return whether an event is in the range."""
        if self.hashes or self.source not in {None, source}:
            return False
        return (self.start is None or received >= self.start) and (self.end is None or received < self.end)


class Release(msgspec.Struct, frozen=True):
    """That a hold was taken back."""

    hold_id: str
    at: dt.datetime
    actor: str
    reason: str


class Holds:
    """All holds of an archive."""

    def __init__(self, archive: str) -> None:
        self._store: Store = open_store(f"{archive.rstrip('/')}/{REPLIES}/{_FOLDER}")

    def add(self, actor: str, reason: str, until: dt.datetime, **what: Any) -> Hold:
        """Hold something from now on; `what` are the fields of a `Hold` that say what."""
        at = dt.datetime.now(dt.UTC)
        hold = Hold(hold_id=str(uuid_utils.uuid7()), at=at, actor=actor, reason=reason, until=until, **what)
        self._store.create(f"{_HOLDS}/{hold.hold_id}", msgspec.json.encode(hold))
        return hold

    def release(self, hold_id: str, actor: str, reason: str) -> None:
        """Take a hold back; nothing where that is done.

        Raises:
            LookupError: there is no such hold.
        """
        if hold_id not in {each.hold_id for each in self.all()}:
            raise LookupError(f"no hold {hold_id!r}; `parley hold list` shows them")
        release = Release(hold_id, dt.datetime.now(dt.UTC), actor, reason)
        self._store.create(f"{_RELEASES}/{hold_id}", msgspec.json.encode(release))

    def all(self) -> list[Hold]:
        """Return every hold that there ever was, the oldest first."""
        return list(self._read(_HOLDS, Hold))

    def releases(self) -> dict[str, Release]:
        """Return what was taken back, by hold_id."""
        return {each.hold_id: each for each in self._read(_RELEASES, Release)}

    def active(self, now: dt.datetime) -> list[Hold]:
        """Return the holds that hold something."""
        released = self.releases()
        return [each for each in self.all() if each.until > now and each.hold_id not in released]

    def _read(self, folder: str, kind: Any) -> Iterable[Any]:
        for name in self._store.names(f"{folder}/"):
            data = self._store.read(f"{folder}/{name}")
            if data is not None:
                yield msgspec.json.decode(data, type=kind)


def of_person(person: Person, key: Key) -> dict[str, Any]:
    """Return the fields of a hold that say that it is of a person."""
    return {"key_id": key.id, "hashes": sorted(key.hash(CONTACT, each) for each in person.contacts)}


def check(active: Sequence[Hold], person: Person, key: Key, received: Iterable[tuple[str, dt.datetime]]) -> None:
    """Let nothing be erased that somebody holds; `received` are sources and times of the person's events.

    Raises:
        RefusedError: somebody does, or it cannot be told with this key.
    """
    own = {key.hash(CONTACT, each) for each in person.contacts}
    events = list(received) if any(not each.hashes for each in active) else []
    for hold in active:
        if hold.key_id not in {None, key.id}:
            raise RefusedError(f"whom a hold means cannot be told with this key: {hold.told()}")
        if own & set(hold.hashes) or any(hold.covers(*each) for each in events):
            raise RefusedError(f"a legal hold refuses it: {hold.told()}")
