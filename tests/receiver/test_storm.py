"""Kills a loaded receiver at random, with Pub/Sub failing in every way, and counts what is left.

`PARLEY_STORM_KILLS` says how often (50 and more by `make storm`, a few in the default suite).
"""

import contextlib
import http.client
import itertools
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import Counter

import grpc
import pytest
from receiver_server import Server, serving
from receiver_support import archived, wait_until

KILLS = int(os.environ.get("PARLEY_STORM_KILLS", "7"))
SOURCES = {"facebook": "/facebook", "whatsapp": "/whatsapp", "airy": "/airy"}
FAULTS = [
    None,
    {"code": grpc.StatusCode.UNAVAILABLE},
    {"hang": True},
    {"code": grpc.StatusCode.PERMISSION_DENIED},
    {"code": grpc.StatusCode.NOT_FOUND},
    {"code": grpc.StatusCode.RESOURCE_EXHAUSTED},
    {"delay": 2.0},
]

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"), pytest.mark.thorough]


class Senders:
    """Threads that post unique bodies and remember those that were answered with 200."""

    def __init__(self, server: Server, count: int = 12) -> None:
        self.acked: set[bytes] = set()
        self.answers: Counter[str] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        paths = itertools.cycle(SOURCES.values())
        connection = self._server.connect(timeout=15)
        while not self._stop.is_set():
            body = b'{"sender":%d,"id":"%s"}' % (number, str(uuid.uuid4()).encode())
            try:
                connection.request("POST", next(paths), body)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                self.answers["connection lost"] += 1
                connection.close()
                time.sleep(0.02)
                continue
            self.answers[str(response.status)] += 1
            if response.status == 200:
                self.acked.add(body)
        connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def kill_something(server: Server, dice: random.Random) -> str:
    """Kill -9 a worker or everything."""
    workers = server.workers()
    if workers and dice.random() < 0.5:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(workers), signal.SIGKILL)
        return "worker"
    server.kill()
    return "server"


def supervise(server: Server) -> bool:
    """Start the server again where it has ended: killed, or because its workers kept dying."""
    if server.process.poll() is not None:
        server.start()
    return True


@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_however_often_it_is_killed(environ, bus, tmp_path, capsys):
    dice = random.Random(KILLS)
    environ["PARLEY_FACEBOOK_APP_SECRETS"] = ""
    environ |= {"PARLEY_ALLOW_UNSIGNED": ",".join(SOURCES), "PARLEY_SEGMENT_BYTES": "200000"}
    killed: Counter[str] = Counter()
    with serving(environ, tmp_path / "log") as server:
        senders = Senders(server)
        try:
            for number in range(KILLS):
                fault = FAULTS[number % len(FAULTS)]
                bus.faults.clear()
                if fault is not None:
                    bus.faults.set("Publish", **fault)
                enough = len(senders.acked) + 100
                wait_until(lambda: supervise(server) and len(senders.acked) >= enough, 60)  # noqa: B023
                time.sleep(dice.uniform(0, 0.3))
                killed[kill_something(server, dice)] += 1
        finally:
            senders.stop()
        bus.faults.clear()
        wait_until(lambda: supervise(server) and server.answers(), 60)

        def published() -> set[bytes]:
            return {event.data for source in SOURCES for event in bus.published(source)}

        deadline = time.monotonic() + 120
        while senders.acked - published() and time.monotonic() < deadline:
            time.sleep(0.1)
        code = server.terminate()
    kept = Counter(event.data for event in archived(tmp_path / "archive"))
    sent = sum(len(bus.published(source)) for source in SOURCES)
    with capsys.disabled():
        print(  # noqa: T201
            f"\nkilled {dict(killed)}, answers {dict(senders.answers)}, acknowledged {len(senders.acked)}, "
            f"archived {len(kept)}, published {len(published())} in {sent} messages, "
            f"missing in the archive {len(senders.acked - kept.keys())}, "
            f"missing in Pub/Sub {len(senders.acked - published())}"
        )
    assert sum(killed.values()) == KILLS
    assert not senders.acked - kept.keys()
    assert not senders.acked - published()
    # What was archived but never acknowledged is published too: live and batch agree.
    assert published() == kept.keys()
    assert max(kept.values()) == 1
    assert code == 0
    assert not list(tmp_path.rglob("*.open"))
    assert not list(tmp_path.rglob("*.corrupt"))
