"""Keeps pulled messages ours until they are stored, and tells Pub/Sub then."""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from google.api_core.exceptions import GoogleAPICallError, RetryError, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type
from google.cloud.pubsub_v1 import SubscriberClient

from pipelines.io.streaming_pull import DEADLINE_SECONDS, Pulled

_PROLONGED_EVERY: Final = DEADLINE_SECONDS / 3
"""Seconds: twice may fail before messages go to somebody else."""
_TOLD_TOGETHER: Final = 1_000
"""Of Google's own client: a request may have 512 KiB, and an ack id has had up to some 200 bytes."""
_TELLING_SECONDS: Final = 10.0
"""How long Pub/Sub may take to hear one thing; at the end, to hear all that is left."""

_is_passing = if_exception_type(ServiceUnavailable)
_log = logging.getLogger(__name__)


class Leases:
    """What this process holds of its subscriptions. Threads may share it."""

    def __init__(self, client: SubscriberClient) -> None:
        self._client = client
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()
        self._until = float("inf")
        """When nothing can be told any more, of the monotonic clock."""
        self._stored: queue.SimpleQueue[Sequence[Pulled] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pubsub leases", daemon=True)
        self._thread.start()

    def hold(self, messages: Iterable[Pulled]) -> None:
        """Keep messages ours from now on: they have been delivered."""
        with self._lock:
            for each in messages:
                self._held[each.subscription].add(each.ack_id)

    def acknowledge(self, messages: Sequence[Pulled]) -> None:
        """Let Pub/Sub forget messages, soon."""
        self._stored.put(messages)

    def close(self) -> None:
        """Tell Pub/Sub of all that is stored, and give back the rest: it comes again at once, to whoever pulls."""
        self._until = time.monotonic() + _TELLING_SECONDS
        self._stored.put(None)
        self._thread.join()
        with self._lock:
            left, self._held = self._held, defaultdict(set)
        for name, ids in left.items():
            self._tell(name, list(ids), self._give_back)

    def _run(self) -> None:
        due = time.monotonic() + _PROLONGED_EVERY
        while True:
            # However much is stored all the time.
            if time.monotonic() >= due:
                due = time.monotonic() + _PROLONGED_EVERY
                self._prolong()
            try:
                stored = self._stored.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                continue
            if stored is None:
                return
            self._acknowledge(stored)

    def _acknowledge(self, stored: Sequence[Pulled]) -> None:
        told: defaultdict[str, list[str]] = defaultdict(list)
        for each in stored:
            told[each.subscription].append(each.ack_id)
        for name, ids in told.items():
            self._tell(name, ids, self._forget)
            with self._lock:
                self._held[name].difference_update(ids)

    def _prolong(self) -> None:
        with self._lock:
            held = {name: list(ids) for name, ids in self._held.items()}
        for name, ids in held.items():
            self._tell(name, ids, self._keep)

    def _tell(self, name: str, ids: list[str], tell: Callable[[str, list[str]], None]) -> None:
        for start in range(0, len(ids), _TOLD_TOGETHER):
            some = ids[start : start + _TOLD_TOGETHER]
            try:
                tell(name, some)
            except (GoogleAPICallError, RetryError) as error:
                # Whatever was to be told of them, that is all that can come of it.
                _log.warning("%d messages of %s come again later: %s", len(some), name, error)

    def _forget(self, name: str, ids: list[str]) -> None:
        self._client.acknowledge(subscription=name, ack_ids=ids, **self._patience())

    def _keep(self, name: str, ids: list[str]) -> None:
        self._modify(name, ids, DEADLINE_SECONDS)

    def _give_back(self, name: str, ids: list[str]) -> None:
        self._modify(name, ids, 0)

    def _modify(self, name: str, ids: list[str], seconds: int) -> None:
        self._client.modify_ack_deadline(
            subscription=name, ack_ids=ids, ack_deadline_seconds=seconds, **self._patience()
        )

    def _patience(self) -> dict[str, Any]:
        seconds = max(0.1, min(_TELLING_SECONDS, self._until - time.monotonic()))
        return {"timeout": seconds, "retry": Retry(_is_passing, initial=0.1, maximum=1.0, timeout=seconds)}
