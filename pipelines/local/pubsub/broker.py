"""What flows from topics to subscriptions."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from pipelines.local.pubsub.backlog import ENTRY_OVERHEAD
from pipelines.local.pubsub.errors import PubSubError
from pipelines.local.pubsub.journal import Journal
from pipelines.local.pubsub.limits import check_ack_deadline, check_publish
from pipelines.local.pubsub.resources import Resources


class Broker:
    """The state behind the services: in memory, and in a journal where there is a folder for one."""

    def __init__(self, data_dir: Path | None, max_bytes: int) -> None:
        self.changed = threading.Condition()
        self._max_bytes = max_bytes
        self._publishing = 0
        self._journal = Journal(data_dir) if data_dir else None
        self.resources = Resources(self.changed, self._journal)
        # Ids rise over restarts too, even where every message was acknowledged and left no trace.
        self._next_id = time.time_ns() // 1000
        if self._journal:
            self._restore(self._journal)

    def close(self) -> None:
        """Close the journal, after the last call."""
        if self._journal:
            self._journal.close()

    def wake(self) -> None:
        """Make every waiting call look again whether it should go on."""
        with self.changed:
            self.changed.notify_all()

    def publish(self, request: Any) -> list[str]:
        """Keep the messages for each subscription of the topic; answer their ids.

        Raises:
            PubSubError: RESOURCE_EXHAUSTED where more would be kept than the server may keep.
        """
        check_publish(request)
        with self.changed:
            names = self.resources.list_topic_subscriptions(request.topic)
            backlogs = [self.resources.backlog(name) for name in names]
            first, stride = self._next_id, max(1, len(names))
            ids = range(first, first + stride * len(request.messages), stride)
            messages = list(zip(ids, _stamped(request.messages, ids), strict=True))
            size = len(names) * sum(len(data) + ENTRY_OVERHEAD for _, data in messages)
            self._reserve(size)
            self._next_id = ids.stop
            # Each backlog's entries have ids of their own: a message's, its successor, and so on.
            entries = [[(id_ + i, data) for id_, data in messages] for i in range(len(names))]
            rows = [(id_, name, data) for name, kept in zip(names, entries, strict=True) for id_, data in kept]
            commit = self._commit("INSERT INTO backlog VALUES (?, ?, ?)", rows)
        try:
            commit()
            with self.changed:
                for backlog, kept in zip(backlogs, entries, strict=True):
                    backlog.add(kept)
        finally:
            with self.changed:
                self._publishing -= size
        return [str(id_) for id_ in ids]

    def acknowledge(self, subscription: str, ack_ids: Iterable[str]) -> None:
        """Forget messages of a subscription."""
        with self.changed:
            done = self.resources.backlog(subscription).acknowledge(ack_ids)
            commit = self._commit("DELETE FROM backlog WHERE entry = ?", [(id_,) for id_ in done])
        commit()

    def modify_ack_deadline(self, subscription: str, ack_ids: Iterable[str], seconds: int) -> None:
        """Move the ack deadline of messages to `seconds` from now; 0 gives them back at once."""
        check_ack_deadline(seconds, lowest=0)
        with self.changed:
            self.resources.backlog(subscription).extend(ack_ids, seconds)

    def _reserve(self, size: int) -> None:
        kept = self._publishing + sum(backlog.size for backlog in self.resources.backlogs())
        if kept + size > self._max_bytes:
            raise PubSubError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"Unacknowledged messages take {kept} of the {self._max_bytes} bytes allowed.",
            )
        self._publishing += size

    def _commit(self, sql: str, rows: list[Any]) -> Callable[[], None]:
        if self._journal and rows:
            return self._journal.write((sql, rows)).result
        return _nothing

    def _restore(self, journal: Journal) -> None:
        for backlog in self.resources.backlogs():
            sql = "SELECT entry, message FROM backlog WHERE subscription = ? ORDER BY entry"
            with self.changed:
                backlog.add(journal.read(sql, backlog.subscription))
        ((last,),) = journal.read("SELECT max(entry) FROM backlog")
        self._next_id = max(self._next_id, (last or 0) + 1)


def _nothing() -> None: ...


def _stamped(messages: Iterable[Any], ids: Iterable[int]) -> Iterable[bytes]:
    now = Timestamp()
    now.GetCurrentTime()
    for id_, message in zip(ids, messages, strict=True):
        message.message_id = str(id_)
        message.publish_time.CopyFrom(now)
        yield message.SerializeToString()
