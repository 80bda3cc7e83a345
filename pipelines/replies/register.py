"""The register: which replies wait, which attempts were made, what came of them, and what proves that.

It decides who may call a provider. Which replies wait is in the queue (`receiver.replies.queue`), beside it;
`state/…/REPLY/` holds what is known of a reply. Everything is made once and not
changed; only what no longer waits is removed.
"""

import datetime as dt
import hashlib
import uuid
from typing import Final, Literal

import msgspec

from receiver.replies.queue import Queue, Waiting
from receiver.replies.store import Store
from schemas.replies import Outcome, decode_outcome, encode

FINAL: Final = frozenset({"accepted", "refused", "expired", "dropped"})
"""Results after which nothing more is tried."""
_STATE, _TAKEN = "state", "taken"
_ATTEMPT, _OUTCOME, _DOUBT, _PROOF = "attempt", "outcome", "doubt", "proof"


Purpose = Literal["send", "refuse", "expire"]


class Claim(msgspec.Struct, frozen=True):
    """The right to an attempt, which one process has."""

    at: dt.datetime
    sender: str
    purpose: Purpose = "send"
    """`refuse` and `expire`: the attempt is used up without a call."""


class State(msgspec.Struct, frozen=True):
    """What is known of a reply."""

    attempts: int
    """How many were claimed."""
    claim: Claim | None
    """The last one's."""
    outcome: Outcome | None
    """The last attempt's, where it has one."""
    doubted: bool
    """Whether it was told that the last attempt is in doubt."""
    proof: str
    """The provider's id of the message, where a receipt or echo has told it."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more is tried."""
        return self.outcome is not None and self.outcome.result in FINAL


class Register:
    """What all senders know together; its methods may be called by several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.queue = Queue(store)

    def add(self, conversation: str, entry: Waiting) -> bool:
        """Let a reply wait; False where it waits already, or nothing more is to be done for it."""
        return not self.state(entry.reply_id).is_final and self.queue.put(conversation, entry)

    def state(self, reply_id: str) -> State:
        """Return what is known of a reply."""
        folder = _folder(reply_id)
        names = set(self._store.names(f"{folder}/"))
        attempts = max((int(name[len(_ATTEMPT) + 1 :]) for name in names if name.startswith(_ATTEMPT)), default=0)
        claim = outcome = None
        if attempts:
            data = self._store.read(f"{folder}/{_ATTEMPT}-{attempts:04d}")
            claim = msgspec.json.decode(data, type=Claim) if data else None
        if f"{_OUTCOME}-{attempts:04d}" in names:
            data = self._store.read(f"{folder}/{_OUTCOME}-{attempts:04d}")
            outcome = decode_outcome(data) if data else None
        proof = (self._store.read(f"{folder}/{_PROOF}") or b"").decode() if _PROOF in names else ""
        return State(attempts, claim, outcome, f"{_DOUBT}-{attempts:04d}" in names, proof)

    def claim(self, reply_id: str, number: int, claim: Claim) -> bool:
        """Take an attempt; False where another process has it: then it is not ours to make."""
        return self._store.create(f"{_folder(reply_id)}/{_ATTEMPT}-{number:04d}", msgspec.json.encode(claim))

    def decide(self, number: int, outcome: Outcome) -> bool:
        """Note what came of an attempt; False where that is noted already."""
        return self._store.create(f"{_folder(outcome.reply_id)}/{_OUTCOME}-{number:04d}", encode(outcome))

    def doubt(self, reply_id: str, number: int) -> None:
        """Note that it was told that an attempt is in doubt."""
        self._store.create(f"{_folder(reply_id)}/{_DOUBT}-{number:04d}", b"")

    def prove(self, reply_id: str, source_message_id: str) -> bool:
        """Note that a provider has told of a reply's message; False where that is known."""
        return self._store.create(f"{_folder(reply_id)}/{_PROOF}", source_message_id.encode())

    def take(self, source_message_id: str, reply_id: str) -> bool:
        """Note to which reply a provider's message belongs; False where it belongs to another."""
        name = f"{_TAKEN}/{hashlib.sha256(source_message_id.encode()).hexdigest()}"
        return self._store.create(name, reply_id.encode()) or self._store.read(name) == reply_id.encode()


def is_reply_id(text: str) -> bool:
    """Return whether a text is an id as the receiver gives it to replies."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _folder(reply_id: str) -> str:
    """Return where a reply's state lies: in one of 256 folders, so that none gets too large.

    Raises:
        ValueError: it is no reply's id.
    """
    if not is_reply_id(reply_id):
        raise ValueError(f"no reply's id: {reply_id[:80]!r}")
    return f"{_STATE}/{reply_id[:2]}/{reply_id}"
