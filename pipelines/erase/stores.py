"""What lies beside the tables and the archive: the live chat's store, pending replies, and receivers' disks."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw

from pipelines.core.spellings import Spellings
from pipelines.erase.person import Person
from pipelines.io.archive_segments import read_segment
from pipelines.replies.register import Claim, Register, is_reply_id
from receiver.answers.conversations import conversation_key
from receiver.replies.queue import Waiting
from receiver.replies.store import Store, open_store
from schemas.archive_layout import OPEN_SUFFIX, REPLIES, SUFFIX, files_on_disk
from schemas.raw_event import DATA_KEY, RawEvent
from schemas.replies import InvalidReplyError, Outcome, decode_outcome, decode_reply, encode

NOBODY: Final = "erased"
"""To whom a reply went of which that is not known any more."""
_SENDER: Final = "erasure"


class Stores:
    """The store of replies and of conversations beside an archive."""

    def __init__(self, archive: str, person: Person) -> None:
        self._store: Store = open_store(f"{archive.rstrip('/')}/{REPLIES}")
        self._register = Register(self._store)
        self._person = person
        self._spelt = person.spellings()

    def conversations(self) -> int:
        """Return how many entries of conversations the live chat keeps of the person."""
        return sum(len(self._store.names(f"chat/{_folder(key)}/")) for key in self._keys())

    def forget_conversations(self) -> int:
        """Remove these entries; return how many there were."""
        removed = 0
        for key in self._keys():
            for name in self._store.names(f"chat/{_folder(key)}/"):
                self._store.remove(f"chat/{_folder(key)}/{name}")
                removed += 1
            for name in self._store.names("chat/days/"):
                if name.endswith(f"/{key}"):
                    self._store.remove(f"chat/days/{name}")
        return removed

    def pending(self) -> list[tuple[str, str, Waiting]]:
        """Return the replies that wait to be sent to the person: conversation, name, and the reply."""
        queue, found = self._register.queue, []
        for conversation in queue.conversations():
            for name in queue.names(conversation):
                waiting = queue.read(conversation, name)
                if waiting is not None and self._spelt.are_in(waiting.data):
                    found.append((conversation, name, waiting))
        return found

    def drop_pending(self) -> int:
        """Let these replies never be sent; return how many there were.

        Their ids keep standing for a reply that was dropped, so that no redelivery lets them wait again.
        """
        dropped = self.pending()
        for conversation, name, waiting in dropped:
            state = self._register.state(waiting.reply_id)
            if not state.is_final:
                self._conclude(
                    waiting, state.attempts if state.claim and not state.outcome else state.attempts + 1
                )
            self._register.queue.remove(conversation, name)
        return len(dropped)

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """Yield what came of replies that went to the person, with the names under which that is kept."""
        for reply_id in filter(is_reply_id, sorted(self._person.replies)):
            folder = f"state/{reply_id[:2]}/{reply_id}"
            for name in self._store.names(f"{folder}/"):
                data = self._store.read(f"{folder}/{name}") if name.startswith("outcome-") else None
                if data is not None and self._spelt.are_in(data):
                    yield f"{folder}/{name}", decode_outcome(data)

    def forget_outcomes(self) -> int:
        """Leave of these what came of them, and not to whom they went; return how many there were."""
        found = list(self.outcomes())
        for name, outcome in found:
            # Between the two it is an attempt of which nothing is known, which nobody makes again.
            self._store.remove(name)
            self._store.create(name, encode(_anonymous(outcome)))
        return len(found)

    def _conclude(self, waiting: Waiting, number: int) -> None:
        now = dt.datetime.now(dt.UTC)
        self._register.claim(waiting.reply_id, number, Claim(now, _SENDER, "refuse"))
        try:
            reply = decode_reply(waiting.data).addressed()
        except InvalidReplyError:
            return
        outcome = Outcome(
            reply_id=waiting.reply_id, number=number, at=now, result="dropped", error_code=NOBODY, reply=reply
        )
        self._register.decide(number, _anonymous(outcome))

    def _keys(self) -> list[str]:
        return sorted(conversation_key(*each) for each in self._person.chats)


def _folder(key: str) -> str:
    return f"chats/{key[:2]}/{key}"


def _anonymous(outcome: Outcome) -> Outcome:
    reply = msgspec.structs.replace(outcome.reply, to=NOBODY, content=Raw(b"{}"), actor=None)
    return msgspec.structs.replace(outcome, body=None, body_base64=None, source_message_id=None, reply=reply)


def disks(data_dir: str | None, archive: str) -> list[Path]:
    """Return the segments on a receiver's disk: its spool, what Pub/Sub refuses, and what is to be uploaded."""
    if not data_dir:
        return []
    folders = ["spool", "refused"]
    if archive.startswith("gs://"):
        folders.append("archive")
    endings = SUFFIX, f"{SUFFIX}{OPEN_SUFFIX}"
    return [path for folder in sorted(folders) for path in files_on_disk(Path(data_dir) / folder, *endings)]


def names_in(spelt: Spellings, path: Path) -> bool:
    """Return whether a file names the person, read as bytes, and as what is sealed in it.

    Raises:
        ConfigurationError: there are sealed events, and no keys, or not these.
    """
    try:
        content = path.read_bytes()
        if spelt.are_in(content):
            return True
        if DATA_KEY.encode() not in content:
            return False
        return any(spelt.are_in(_written(event)) for event in read_segment(str(path), []))
    except FileNotFoundError:
        return False


def _written(event: RawEvent) -> bytes:
    return b"\n".join([event.data, *(f"{name}={value}".encode() for name, value in event.attributes.items())])
