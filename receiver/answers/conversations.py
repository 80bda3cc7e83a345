"""The store of conversations: a folder or a bucket beside the archive, which sender and receivers share.

`chats/…/CONVERSATION/NUMBER` are the entries of a conversation, each made once, so that two processes never write
one; a browser says by its number up to where it knows them. `days/DAY/CONVERSATION` says when there was something
new, so that old entries are found without reading all others.
"""

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from receiver.answers.entries import Entry, decode, encode
from receiver.answers.news import News
from receiver.replies.store import Store, open_store
from schemas.archive_layout import REPLIES

MOST_ENTRIES: Final = 200
"""Of a conversation: older ones are removed, and only the archive has them."""
MOST_BYTES: Final = 16 * 1024
"""Of a visitor's message: their own browser shows a longer one."""
_RECENT: Final = 20
"""Among so many of the newest entries, one that comes again is known."""
_DAY_SECONDS: Final = 86_400.0
_THREADS: Final = 8
_log = logging.getLogger(__name__)


def open_conversations(archive: str) -> "Conversations":
    """Return the conversations that lie beside an archive."""
    return Conversations(open_store(f"{archive.rstrip('/')}/{REPLIES}/chat"))


class Conversations:
    """All conversations; methods may be called by several threads, and raise what the store raises."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, "conversations")
        self.news = News(store, clock)

    def append(self, key: str, entry: Entry) -> bool:
        """Add an entry durably, then let all receivers know; False where it is there already."""
        folder = _folder(key)
        names = self._names(key)
        known = any(
            (each.kind, each.id) == (entry.kind, entry.id) for _, each in self._entries(key, names[-_RECENT:])
        )
        if not known:
            now = self._clock()
            # First: what has no day would never be removed.
            self._store.create(f"days/{_day(now)}/{key}", b"")
            data = encode(msgspec.structs.replace(entry, stored_at=now))
            number = int(names[-1]) + 1 if names else 1
            while not self._store.create(f"{folder}/{number:08d}", data):
                number += 1
            for name in names[: max(0, len(names) + 1 - MOST_ENTRIES)]:
                self._store.remove(f"{folder}/{name}")
        # Also of what is known: who stored it may have died before.
        self.news.tell(key, "answer" if entry.kind == "message" and not entry.from_contact else "entry")
        return not known

    def read(self, key: str, after: int = 0) -> list[tuple[int, Entry]]:
        """Return a conversation's entries after a number, with their own; all where there is no such number.

        An entry that cannot be read is left out.
        """
        names = self._names(key)
        if names and after > int(names[-1]):
            # The conversation has begun anew since.
            after = 0
        return self._entries(key, [name for name in names if int(name) > after])

    def forget_older(self, days: int) -> int:
        """Remove what is older than so many days; return how many entries that was."""
        now = self._clock()
        before, last_day = now - days * _DAY_SECONDS, _day(now - days * _DAY_SECONDS)
        removed = 0
        for name in self._store.names("days/"):
            day, _, key = name.partition("/")
            if day > last_day:
                break
            for number in self._names(key):
                found = self._entries(key, [number])
                if found and found[0][1].stored_at >= before:
                    break
                self._store.remove(f"{_folder(key)}/{number}")
                removed += 1
            if day < last_day:
                # On that day itself there may be some that are not old enough yet.
                self._store.remove(f"days/{name}")
        return removed

    def _names(self, key: str) -> list[str]:
        return [name for name in self._store.names(f"{_folder(key)}/") if name.isdecimal()]

    def _entries(self, key: str, names: list[str]) -> list[tuple[int, Entry]]:
        def read(name: str) -> bytes | None:
            return self._store.read(f"{_folder(key)}/{name}")

        # One after the other, a bucket would take seconds.
        found = map(read, names) if len(names) < _THREADS else self._threads.map(read, names)
        return list(_decoded(names, found))


def conversation_key(channel_id: str, conversation_id: str) -> str:
    """Return the name of a conversation in the store: any ids make one."""
    return hashlib.sha256(msgspec.json.encode((channel_id, conversation_id))).hexdigest()


def _decoded(names: list[str], found: "map[bytes | None] | Iterator[bytes | None]") -> Iterator[tuple[int, Entry]]:
    for name, data in zip(names, found, strict=True):
        # None: removed meanwhile.
        if data is None:
            continue
        try:
            yield int(name), decode(data)
        except ValueError as error:
            _log.warning("an entry of a conversation cannot be read: %s", error)


def _folder(key: str) -> str:
    """Return where a conversation's entries lie: in one of 256 folders, so that none gets too large."""
    return f"chats/{key[:2]}/{key}"


def _day(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d")
