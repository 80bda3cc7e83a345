"""What the receiver's tests share: events, a view of Pub/Sub, waiting."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastavro
import grpc
from google.pubsub_v1 import AcknowledgeRequest, PullRequest, PullResponse

from pipelines.local.pubsub import PubSubServer
from receiver.event_loop import Fibers
from schemas.raw_event import RawEvent

PROJECT = "parley-test"
TOPICS = {f"raw-{name}": name for name in ("facebook", "other", "whatsapp", "airy", "replies")}


class Bus:
    """Pub/Sub as a test sees it: what was published, and what goes wrong."""

    def __init__(self, server: PubSubServer) -> None:
        self.faults = server.faults
        self._channel = grpc.insecure_channel(server.address, options=[("grpc.max_receive_message_length", -1)])
        self._seen: dict[str, list[RawEvent]] = defaultdict(list)

    def published(self, subscription: str = "facebook") -> list[RawEvent]:
        """Return all events of a subscription so far, in the order in which they came."""
        path = f"projects/{PROJECT}/subscriptions/{subscription}"
        while True:
            pulled = self._call(
                "Pull",
                PullRequest.pb()(subscription=path, max_messages=1000, return_immediately=True),
                PullResponse.pb().FromString,
            ).received_messages
            if not pulled:
                return list(self._seen[subscription])
            ids = [each.ack_id for each in pulled]
            self._call("Acknowledge", AcknowledgeRequest.pb()(subscription=path, ack_ids=ids), bytes)
            self._seen[subscription] += [
                RawEvent(each.message.data, dict(each.message.attributes)) for each in pulled
            ]

    def ids(self, subscription: str = "facebook") -> set[str]:
        return {event.event_id for event in self.published(subscription)}

    def close(self) -> None:
        self._channel.close()

    def _call(self, method, request, parse):
        # Not by the client: it warns that `return_immediately` should not be used.
        call = self._channel.unary_unary(
            f"/google.pubsub.v1.Subscriber/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=parse,
        )
        return call(request, timeout=20)


def run_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run an event loop in a thread of its own: a browser of other tests may have one in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def on_a_loop(*calls):
    """Run calls side by side as a worker's event loop runs requests, and return their results."""

    async def main():
        fibers = Fibers(asyncio.get_running_loop())
        return await asyncio.gather(*(fibers.run(call) for call in calls), return_exceptions=True)

    return run_loop(main)


def event(number: int = 0, source: str = "facebook", at: str = "2026-03-01T10:00:00.000000Z", size: int = 0):
    attributes = {"event_id": f"event-{number:06}", "source": source, "received_at": at}
    return RawEvent(data=f'{{"n":{number}}}'.encode().ljust(size), attributes=attributes)


def events(count: int, first: int = 0, **attributes) -> list[RawEvent]:
    return [event(number, **attributes) for number in range(first, first + count)]


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that happens in another thread or process; fail where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def archived(root: Path, *, open_too: bool = False) -> list[RawEvent]:
    """Return all events of the segments under a folder, oldest segment first."""
    found = []
    for path in sorted(root.rglob("*.avro*" if open_too else "*.avro")):
        # A segment that has just been made has nothing in it yet, not even its header.
        if open_too and not path.stat().st_size:
            continue
        with path.open("rb") as file:
            found += [RawEvent.from_avro(record) for record in fastavro.reader(file)]
    return found
