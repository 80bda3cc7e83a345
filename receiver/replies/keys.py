"""Idempotency keys, each of which stands for one body for ever, and the queue of what is to be sent."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from receiver.event_loop import waiter
from receiver.replies.queue import Queue, Waiting, queue_name
from receiver.replies.store import Store

WAIT_SECONDS: Final = 10.0
_THREADS: Final = 8
"""Keys that one process registers at once; none of its other waits stands in the same line."""

T = TypeVar("T")


class UnknownError(Exception):
    """It could not be found out, or made durable, what a key stands for or that a reply waits: try again."""


class TakenError(ValueError):
    """A key stands for another body."""


class Keys:
    """The register of keys, and the queue beside it."""

    def __init__(self, store: Store, wait_seconds: float = WAIT_SECONDS) -> None:
        self._store = store
        self._queue = Queue(store)
        self._wait_seconds = wait_seconds
        # Its threads start with the first reply, after any fork.
        self._threads = ThreadPoolExecutor(_THREADS, "reply-keys")

    def register(self, reply_id: str, body: bytes, check_new: Callable[[], None]) -> None:
        """Return when a reply's key stands durably for a body.

        `check_new` may raise what refuses the body; it is asked where the key is not known yet, as a body that
        was taken once is taken again.

        Raises:
            TakenError: the key stands for another body.
            UnknownError: the register could not be read or written, or not in time.
        """
        wait = waiter()
        future = self._threads.submit(self._known, reply_id)
        known = self._result(future, wait.release, wait.wait)
        digest = hashlib.sha256(body).hexdigest().encode()
        if known is None:
            check_new()
        wait = waiter()
        stands_for = self._result(self._threads.submit(self._stand, reply_id, digest), wait.release, wait.wait)
        if stands_for != digest:
            raise TakenError(reply_id)

    def line_up(self, conversation: tuple[str, str, str], entry: Waiting) -> None:
        """Return when a reply waits durably in its conversation's queue.

        Raises:
            UnknownError: it may not, or not in time.
        """
        wait = waiter()
        future = self._threads.submit(self._queue.put, queue_name(conversation), entry)
        self._result(future, wait.release, wait.wait)

    def _known(self, reply_id: str) -> bytes | None:
        return self._store.read(_name(reply_id))

    def _stand(self, reply_id: str, digest: bytes) -> bytes | None:
        """Return what a key stands for, once it does so durably."""
        # Also where it was known: its name may not be durable yet.
        return digest if self._store.create(_name(reply_id), digest) else self._store.read(_name(reply_id))

    def _result(self, future: "Future[T]", release: Callable[[], None], wait: Callable[[float], bool]) -> T:
        future.add_done_callback(lambda _: release())
        if not wait(self._wait_seconds):
            future.cancel()
            raise UnknownError(f"not within {self._wait_seconds:g} s")
        try:
            return future.result()
        except Exception as error:
            # Whatever it is, from a full disk to missing credentials: the sender has to try again.
            raise UnknownError(f"{type(error).__name__}: {error}") from error


def _name(reply_id: str) -> str:
    """Return a key's name: in one of 256 folders, so that none gets too large."""
    return f"keys/{reply_id[:2]}/{reply_id}"
