"""Group commit: requests hand over an event and wait until it is durable.

Every source has its own lane, with its own thread, archive segment and topic, so that trouble with
one source's topic never delays another source. While a lane commits a group, the next one gathers.
"""

import logging
import queue
import threading
import time
from typing import Final

from receiver import metrics
from receiver.config import Config
from receiver.durable import spool
from receiver.durable.envelope import LostError
from receiver.durable.keyring import Keyring, not_configured
from receiver.durable.outbox import Outbox
from receiver.durable.publisher import Publisher
from receiver.durable.segment_log import SegmentLog, archive_log
from receiver.durable.segments import recover
from receiver.durable.uploader import Uploader
from receiver.event_loop import waiter
from schemas.raw_event import DATA_KEY, RawEvent

IDLE_SECONDS: Final = 1.0
RECOVERY_SECONDS: Final = 10.0
GROUP_BYTES: Final = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """An event could not be made durable: its sender has to try again."""


class _Ticket:
    """One request's event, and its wait."""

    __slots__ = ("_waiter", "event", "failure", "given_up", "handed_over", "size")

    def __init__(self, event: RawEvent) -> None:
        self.event = event
        self.size = len(event.data)
        self.failure = ""
        self.given_up = False
        self.handed_over = time.monotonic()
        self._waiter = waiter()

    def release(self, failure: str = "") -> None:
        """Let the request go on."""
        self.failure = failure
        self._waiter.release()

    def wait(self, seconds: float) -> None:
        """Wait until the event is durable.

        Raises:
            UnavailableError: it is not, or not in time.
        """
        if not self._waiter.wait(seconds):
            self.given_up = True
            raise UnavailableError(f"not committed within {seconds:g} s")
        if self.failure:
            raise UnavailableError(self.failure)


class Lane:
    """Commits the events of one source, in groups, by one thread."""

    def __init__(self, source: str, config: Config, outbox: Outbox, keys: Keyring | None = None) -> None:
        self.source = source
        self._config = config
        self._outbox = outbox
        self._commit_seconds = metrics.COMMIT_SECONDS.labels(source)
        self._archive: SegmentLog | None = None
        if config.archive_root is not None:
            self._archive = archive_log(
                config.archive_root,
                source,
                config.segment_bytes,
                config.segment_seconds,
                None if keys is None else lambda: keys.new().seal,
            )
        self._queue: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_events = 0
        self._waiting_bytes = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"commit-{source}", daemon=True)
        self._thread.start()

    def commit(self, event: RawEvent) -> None:
        """Return when an event is durable.

        Raises:
            UnavailableError: the queue is full or the lane closed, or the commit failed.
        """
        ticket = _Ticket(event)
        with self._lock:
            if self._closed:
                raise UnavailableError("shutting down")
            if (
                self._waiting_events >= self._config.queue_events
                or self._waiting_bytes >= self._config.queue_bytes
            ):
                raise UnavailableError("the queue is full")
            self._waiting_events += 1
            self._waiting_bytes += ticket.size
            self._queue.put(ticket)
        ticket.wait(self._config.commit_seconds)

    def close(self) -> None:
        """Commit what is waiting, refuse what comes later, and close the segments."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            group, closing = self._gather()
            if group:
                self._commit(group)
            if self._archive is not None:
                self._archive.rotate()
        if self._archive is not None:
            self._archive.close()

    def _gather(self) -> tuple[list[_Ticket], bool]:
        """Wait for tickets and take what is there; True with the last ones."""
        group: list[_Ticket] = []
        size = 0
        try:
            ticket = self._queue.get(timeout=IDLE_SECONDS)
            if self._config.group_seconds:
                time.sleep(self._config.group_seconds)
            while ticket is not None:
                group.append(ticket)
                size += ticket.size
                if len(group) >= self._config.group_events or size >= GROUP_BYTES:
                    break
                ticket = self._queue.get_nowait()
        except queue.Empty:
            ticket = group[-1] if group else _NOTHING
        with self._lock:
            self._waiting_events -= len(group)
            self._waiting_bytes -= size
        return [ticket for ticket in group if not ticket.given_up], ticket is None

    def _commit(self, group: list[_Ticket]) -> None:
        metrics.GROUP_EVENTS.labels(self.source).observe(len(group))
        failure = ""
        try:
            self._make_durable([ticket.event for ticket in group])
        except UnavailableError as error:
            failure = str(error)
        except Exception as error:
            # The thread must live on, and no request may wait for a commit that never comes.
            _log.exception("commit failed", extra={"source": self.source})
            failure = f"commit failed: {type(error).__name__}"
        # Once a group, of whoever waited longest: to count for each request would cost as much as its signature.
        self._commit_seconds.observe(time.monotonic() - group[0].handed_over)
        for ticket in group:
            ticket.release(failure)

    def _make_durable(self, events: list[RawEvent]) -> None:
        if self._archive is not None:
            try:
                self._archive.append(events)
            except OSError as error:
                raise UnavailableError(f"archive not writable: {error}") from error
        try:
            self._outbox.send(events)
        except OSError as error:
            if self._archive is not None:
                self._archive.undo()
            raise UnavailableError(f"neither published nor spooled: {error}") from error


_NOTHING: Final = _Ticket(RawEvent(b"", {}))


class Committers:
    """All lanes of one process. Threads and connections are made by `start`: after any fork."""

    def __init__(self, config: Config, keys: Keyring | None = None) -> None:
        """Take the configuration, and the keys with which archived events are sealed, where they are."""
        self._config = config
        self._keys = keys
        self._publisher = Publisher(config.project, config.topic_prefix)
        self._outboxes: dict[str, Outbox] = {}
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.RLock()
        self._recovery: threading.Thread | None = None
        self._stop = threading.Event()
        self.recovering = False
        """Whether segments of dead processes could not be taken over yet."""
        self._uploader: Uploader | None = None
        if config.upload_root is not None:
            first = keys.publish if keys is not None else lambda file: None
            self._uploader = Uploader(config.upload_root, config.archive, first)

    def start(self) -> None:
        """Take over what dead processes left, in the background; a second call does nothing."""
        with self._lock:
            if self._recovery is None:
                self._recovery = threading.Thread(target=self._recover, name="recovery", daemon=True)
                self._recovery.start()
                if self._uploader is not None:
                    self._uploader.start()

    def commit(self, event: RawEvent) -> None:
        """Return when an event is durable.

        Raises:
            UnavailableError: it is not; the sender should try again.
        """
        source = event.source
        (self._lanes.get(source) or self._lane(source)).commit(event)

    def directness(self) -> dict[str, bool]:
        """Return which sources' events go to Pub/Sub directly, and which by way of the spool."""
        return {source: outbox.direct for source, outbox in list(self._outboxes.items())}

    def close(self) -> None:
        """Commit what is waiting, then stop; what Pub/Sub has not confirmed stays in the spool."""
        self._stop.set()
        if self._recovery is not None:
            self._recovery.join()
        for lane in list(self._lanes.values()):
            lane.close()
        for outbox in self._outboxes.values():
            outbox.stop()
        self._publisher.close()
        for outbox in self._outboxes.values():
            outbox.close()
        if self._uploader is not None:
            self._uploader.close()

    def _recover(self) -> None:
        """Take over what dead processes left; what fails keeps back nothing else, and is tried again."""
        failing = self._take_over()
        while failing and not self._stop.wait(RECOVERY_SECONDS):
            failing = self._take_over()

    def _take_over(self) -> bool:
        """Return whether something could not be taken over."""
        failing = False
        if self._config.archive_root is not None:
            try:
                recover(self._config.archive_root, self._keep, self._unseal)
            except Exception:
                _log.exception("segments of dead processes could not be taken over")
                failing = True
        for source in spool.sources(self._config.spool_root):
            try:
                self._outbox(source)
            except Exception:
                _log.exception("spool could not be taken over", extra={"source": source})
                failing = True
        self.recovering = failing
        return failing

    def _unseal(self, events: list[RawEvent]) -> list[RawEvent]:
        """Return events as they were received; one that is damaged costs no other."""
        found = []
        for event in events:
            if self._keys is None:
                if DATA_KEY in event.attributes:
                    raise not_configured()
                found.append(event)
                continue
            try:
                found.append(self._keys.open(event))
            except LostError:
                # As of a damaged block: it stays in its segment, where its reader tells of it.
                _log.exception("an event that may not have been published cannot be read")
            except Exception as error:
                raise OSError(f"no data key: {type(error).__name__}: {error}") from error
        return found

    def _keep(self, events: list[RawEvent]) -> None:
        self._outbox(events[0].source).keep(events)

    def _lane(self, source: str) -> Lane:
        self.start()
        with self._lock:
            if source not in self._lanes:
                self._lanes[source] = Lane(source, self._config, self._outbox(source), self._keys)
            return self._lanes[source]

    def _outbox(self, source: str) -> Outbox:
        with self._lock:
            if source not in self._outboxes:
                spooled = spool.Spool(self._config.spool_root, source)
                outbox = Outbox(spooled, self._publisher, self._config.publish_seconds)
                outbox.start()
                self._outboxes[source] = outbox
            return self._outboxes[source]
