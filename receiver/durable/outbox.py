"""The way of a source's events to Pub/Sub: directly while it answers in time, else by the spool."""

import logging
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from receiver import metrics
from receiver.durable.publisher import Publisher, PublishError, RefusedError, batches
from receiver.durable.refused import set_aside
from receiver.durable.spool import Spool
from schemas.raw_event import RawEvent

IDLE_SECONDS: Final = 1.0
FIRST_BACKOFF_SECONDS: Final = 0.05
LAST_BACKOFF_SECONDS: Final = 1.0
LONGEST_DEADLINE_SECONDS: Final = 30.0
REFUSALS: Final = 3
"""How often the same request has to be refused until it counts."""

_log = logging.getLogger(__name__)


class Outbox:
    """Sends events, or spools them and publishes them later, in order, by a thread of its own.

    After a publish that failed or came too late, all events go straight to the spool, so that no
    request waits for a Pub/Sub that is down. The thread that empties the spool finds out when it
    answers in time again.
    """

    def __init__(self, spool: Spool, publisher: Publisher, publish_seconds: float) -> None:
        self.source = spool.source
        self.direct = True
        self._spool = spool
        self._publisher = publisher
        self._publish_seconds = publish_seconds
        self._deadline = publish_seconds
        self._backoff = FIRST_BACKOFF_SECONDS
        self._accepted = 0
        self._suspects: dict[str, int] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"drain-{self.source}", daemon=True)

    def start(self) -> None:
        """Start to empty the spool in the background."""
        self._thread.start()

    def send(self, events: Sequence[RawEvent]) -> None:
        """Return when events are confirmed by Pub/Sub or durable in the spool.

        Raises:
            OSError: they are neither.
        """
        if self.direct:
            try:
                self._publisher.publish(self.source, events, self._publish_seconds)
            except PublishError as error:
                self._turn(direct=False, why=str(error))
            else:
                self._accepted += len(events)
                metrics.PUBLISHED.labels(self.source, "direct").inc(len(events))
                return
        self.keep(events)

    def keep(self, events: Sequence[RawEvent]) -> None:
        """Return when events are durable in the spool.

        Raises:
            OSError: they are not.
        """
        try:
            self._spool.append(events)
        except OSError:
            # Without a spool nobody would find out that Pub/Sub is back: the next group tries.
            self.direct = True
            raise
        metrics.SPOOLED.labels(self.source).inc(len(events))
        self._wake.set()

    def drain(self) -> int:
        """Publish what can be taken from the spool and return how many events that was.

        Raises:
            Exception: a segment could not be emptied, after all others have been.
        """
        self._spool.seal()
        count = 0
        failure: Exception | None = None
        for path in self._spool.closed():
            try:
                count += self._drain_segment(path)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return count

    def stop(self) -> None:
        """Ask the thread to end after the request that is under way."""
        self._stop.set()
        self._wake.set()

    def close(self) -> None:
        """Wait until the thread has ended; what is left stays in the spool."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._spool.seal()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            drained = 0
            try:
                drained = self.drain()
            except Exception:
                # Whatever it is, a full disk say, the thread must live on to try again.
                _log.exception("spool not drained", extra={"source": self.source})
            if not drained:
                self._wake.wait(IDLE_SECONDS)

    def _drain_segment(self, path: Path) -> int:
        count = 0
        refused: list[RawEvent] = []
        with self._spool.take(path) as taken:
            for batch in batches(taken or ()):
                left = self._publish_what_goes(batch)
                if left is None:
                    return count
                count += len(batch) - len(left)
                refused += left
            if taken is not None and self._give_up(refused):
                taken.finish()
        return count

    def _publish_what_goes(self, batch: Sequence[RawEvent]) -> list[RawEvent] | None:
        """Publish a batch but for the events that are refused; return these, None where the thread has to stop.

        A request is taken or refused as a whole: halves of it tell which event is to blame.
        """
        try:
            if not self._publish(batch):
                return None
            for event in batch if self._suspects else ():
                self._suspects.pop(event.event_id, None)
            return []
        except RefusedError as error:
            for event in batch:
                self._suspects.setdefault(event.event_id, self._accepted)
            if len(batch) == 1:
                _log.warning("refused: %s", error, extra={"source": self.source, "event_id": batch[0].event_id})
                return list(batch)
        refused: list[RawEvent] = []
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            left = self._publish_what_goes(half)
            if left is None:
                return None
            refused += left
        return refused

    def _give_up(self, refused: Sequence[RawEvent]) -> bool:
        """Set aside what was refused for good; False where that cannot be told yet.

        A topic that is wrong itself refuses everything: only when it has taken another event since an event was
        first refused, it is that event which is to blame.
        """
        self._suspects = {event.event_id: self._suspects[event.event_id] for event in refused}
        if any(accepted == self._accepted for accepted in self._suspects.values()):
            return False
        if refused:
            set_aside(self._spool, refused)
            metrics.REFUSED.labels(self.source).inc(len(refused))
            self._suspects.clear()
            for event in refused:
                _log.error(
                    "set aside: Pub/Sub refuses it", extra={"source": self.source, "event_id": event.event_id}
                )
        return True

    def _publish(self, batch: Sequence[RawEvent]) -> bool:
        """Publish a batch, trying until it is confirmed; False where the thread has to stop.

        Raises:
            RefusedError: Pub/Sub has refused it, several times.
        """
        refusals = 0
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                self._publisher.publish(self.source, batch, self._deadline)
            except PublishError as error:
                refusals += isinstance(error, RefusedError)
                if refusals >= REFUSALS:
                    raise
                if not refusals:
                    self._turn(direct=False, why=str(error))
                if time.monotonic() - started >= self._deadline:
                    # It hangs or is slow: give it longer, but never longer than it has lasted.
                    self._deadline = min(2 * self._deadline, LONGEST_DEADLINE_SECONDS)
                self._stop.wait(self._backoff * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff = min(2 * self._backoff, LAST_BACKOFF_SECONDS)
            else:
                took = time.monotonic() - started
                self._deadline = min(max(self._publish_seconds, 2 * took), LONGEST_DEADLINE_SECONDS)
                self._backoff = FIRST_BACKOFF_SECONDS
                self._accepted += len(batch)
                if took < self._publish_seconds:
                    self._turn(direct=True, why=f"a request took {took:.3f} s")
                metrics.PUBLISHED.labels(self.source, "spool").inc(len(batch))
                return True
        return False

    def _turn(self, *, direct: bool, why: str) -> None:
        if self.direct != direct:
            self.direct = direct
            way = "directly" if direct else "through the spool"
            _log.warning("publishing %s: %s", way, why, extra={"source": self.source})
