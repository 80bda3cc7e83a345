"""The sender: hears replies, receipts and echoes from Pub/Sub, and attends to conversations in their turn."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import pubsub_v1

from pipelines.io.subscriber import subscriber
from pipelines.replies import proofs
from pipelines.replies.channels import Channels, ChannelsError
from pipelines.replies.chats import Chats
from pipelines.replies.gates import Gates
from pipelines.replies.register import Register, is_reply_id
from pipelines.replies.turns import Turns
from pipelines.replies.work import Worker, channel_rate
from receiver.replies.queue import Waiting, queue_name
from schemas.raw_event import InvalidRawEventError, RawEvent
from schemas.replies import CHAT, REPLY_ID, REPLY_TYPE, SOURCE, InvalidReplyError, decode_reply, kind

THREADS: Final = 16
SCAN_SECONDS: Final = 10.0
"""How often to look for what other senders have left."""
_LOOK_SECONDS: Final = 1.0
"""How often to look whether there are new tokens."""
_TROUBLE_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 1.0
"""What others have just received is left to them."""
_MOST_MESSAGES: Final = 500
_LEASE_SECONDS: Final = 10
"""After that what a process that died had taken comes again: receipts are waited for. Pub/Sub takes no less."""
_log = logging.getLogger(__name__)


class Hearing:
    """What is done with each message of the subscriptions: it is acknowledged when this returns."""

    def __init__(
        self, register: Register, turns: Turns, channels: Channels, gates: Gates, chats: Chats | None = None
    ) -> None:
        self._chats = chats
        self._register = register
        self._turns = turns
        self._channels = channels
        self._gates = gates

    def hear(self, event: RawEvent) -> None:
        """Let a reply wait in the register, or note what a webhook proves.

        Raises:
            Exception: the register cannot be written; the message should come again.
        """
        if event.attributes.get("source") == SOURCE:
            self._hear_reply(event)
            return
        if event.attributes.get("source") == CHAT and self._chats is not None:
            self._chats.hear(event)
            return
        if event.attributes.get("source") not in proofs.SOURCES:
            return
        for proof in proofs.find_proofs(event):
            self._register.prove(proof.reply_id, proof.source_message_id)
        for heard in proofs.find_heard(event):
            channel = self._channels.get("whatsapp", heard.channel)
            if channel is not None and channel.counts_inbound:
                for _ in range(heard.messages):
                    self._gates.count(("whatsapp", heard.channel), channel_rate("whatsapp", channel))

    def _hear_reply(self, event: RawEvent) -> None:
        if kind(event.content_type) != REPLY_TYPE:
            return
        reply_id = event.attributes.get(REPLY_ID, "")
        try:
            reply, received_at = decode_reply(event.data), event.received_at
        except (InvalidReplyError, InvalidRawEventError) as error:
            _log.error("no reply, so it is not sent: %s", error)
            return
        if not is_reply_id(reply_id):
            _log.error("a reply without an id of the receiver's, so it is not sent")
            return
        if reply.sent_by_others:
            return
        conversation = queue_name(reply.conversation)
        self._register.add(conversation, Waiting(reply_id, received_at, event.data))
        self._turns.nudge(conversation)


class Sender:
    """Threads that attend to conversations, and one that looks for what others have left."""

    def __init__(
        self,
        worker: Worker,
        register: Register,
        turns: Turns,
        channels: Channels,
        gates: Gates,
        threads: int = THREADS,
        chats: Chats | None = None,
    ) -> None:
        self._chats = chats
        self._worker = worker
        self._register = register
        self._turns = turns
        self._channels = channels
        self._gates = gates
        gates.listen(turns.nudge_all)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._attend, name=f"reply-{number}", daemon=True) for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._look_around, name="replies", daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End what is under way, and begin nothing else."""
        self._stopping.set()
        self._turns.close()
        for thread in self._threads:
            thread.join()

    def scan(self, settle: float = _SETTLE_SECONDS) -> int:
        """Take up the conversations in which replies wait and that nobody here knows; return how many wait."""
        waiting = self._register.queue.conversations()
        for conversation in waiting:
            if not self._turns.knows(conversation):
                self._turns.nudge(conversation, settle)
        return len(waiting)

    def _attend(self) -> None:
        while (conversation := self._turns.take()) is not None:
            try:
                wait = self._worker.attend(conversation)
            except Exception:
                # The register, the archive or something unforeseen: the reply waits, and is tried again.
                _log.exception("a conversation could not be attended to")
                wait = _TROUBLE_SECONDS
            self._turns.give_back(conversation, wait)

    def _look_around(self) -> None:
        settle, next_scan = 0.0, 0.0
        while not self._stopping.wait(_LOOK_SECONDS if settle else 0.0):
            try:
                if self._channels.refresh():
                    _log.info("the channels were read again")
                    self._gates.go_all()
                if self._chats is not None:
                    self._chats.tidy()
                if time.monotonic() < next_scan:
                    continue
                next_scan = time.monotonic() + SCAN_SECONDS
                waiting = self.scan(settle)
                stopped = ", ".join("/".join(each) for each in self._gates.stopped())
                if waiting or stopped:
                    _log.info("%d conversations wait; stopped channels: %s", waiting, stopped or "none")
            except ChannelsError as error:
                _log.error("%s", error)
            except Exception:
                _log.exception("what waits cannot be looked for")
            settle = _SETTLE_SECONDS


class Subscriptions:
    """Pulls subscriptions with Pub/Sub's own client, and acknowledges what was heard."""

    def __init__(self, names: Sequence[str], hear: Callable[[RawEvent], None]) -> None:
        """Take `projects/…/subscriptions/…`, and what is to be done with each event; it starts at once."""
        self._hear = hear
        self._client = subscriber()
        limits = pubsub_v1.types.FlowControl(
            max_messages=_MOST_MESSAGES, max_duration_per_lease_extension=_LEASE_SECONDS
        )
        self._streams = [
            self._client.subscribe(
                name, callback=self._take, flow_control=limits, await_callbacks_on_shutdown=True
            )
            for name in names
        ]

    def check(self) -> None:
        """Make sure that all are pulled.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: Pub/Sub refuses.
        """
        for stream in self._streams:
            if stream.done():
                stream.result()

    def close(self) -> None:
        """Stop pulling; what was not acknowledged comes again, here or elsewhere."""
        for stream in self._streams:
            stream.cancel()
        for stream in self._streams:
            try:
                stream.result()
            except GoogleAPICallError as error:
                _log.warning("pulling had ended already: %s", error)
        self._client.close()

    def _take(self, message: Any) -> None:
        try:
            self._hear(RawEvent(message.data, dict(message.attributes)))
        except Exception:
            _log.exception("a message could not be kept, and comes again")
            # Not at once: a full disk does not get emptier by that.
            time.sleep(_TROUBLE_SECONDS)
            message.nack()
        else:
            message.ack()
