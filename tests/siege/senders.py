"""Those who send what counts: signed webhooks, each with a message of its own, and a memory of the answers."""

import http.client
import json
import multiprocessing
import threading
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

from pipelines.demo.samples import sign

PATIENCE = 20.0
_END: Final = "over"


def body(mid: str) -> bytes:
    """Return a Messenger webhook with one text, whose message has this id."""
    moment = time.time_ns() // 1_000_000
    item = {
        "sender": {"id": f"visitor-{zlib.crc32(mid.encode()) % 1000}"},
        "recipient": {"id": "page-1"},
        "timestamp": moment,
        "message": {"mid": mid, "text": f"text of {mid} \N{ROCKET}"},
    }
    return json.dumps(
        {"object": "page", "entry": [{"id": "page-1", "time": moment, "messaging": [item]}]}
    ).encode()


@dataclass
class Told:
    """What senders were answered."""

    acknowledged: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: list[float] = field(default_factory=list)
    """Seconds of the acknowledged requests."""


class Senders:
    """A process of threads that post to the receivers in turn, and remember the messages that were acknowledged.

    A process, since those who attack would have the interpreter most of the time.
    """

    def __init__(self, ports: Sequence[int], secret: str, count: int) -> None:
        """Begin to send from so many threads."""
        context = multiprocessing.get_context("spawn")
        self._told, theirs = context.Pipe()
        self._process = context.Process(target=_send_all, args=(theirs, tuple(ports), secret, count), daemon=True)
        self._process.start()

    def stop(self) -> Told:
        """End, and return what was answered."""
        self._told.send(_END)
        told: Told = self._told.recv()
        self._process.join()
        return told


def _send_all(whole: Connection, ports: Sequence[int], secret: str, count: int) -> None:
    over = threading.Event()
    sending = [_Sender(number, ports, secret, over) for number in range(count)]
    for each in sending:
        each.start()
    whole.recv()
    over.set()
    together = Told()
    for each in sending:
        each.join()
        together.acknowledged |= each.told.acknowledged
        together.answers += each.told.answers
        together.slowest += each.told.slowest
    whole.send(together)


class _Sender(threading.Thread):
    def __init__(self, number: int, ports: Sequence[int], secret: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.told = Told()
        self._number = number
        self._ports = ports
        self._secret = secret
        self._over = over

    def run(self) -> None:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for port in self._ports]
        number = 0
        while not self._over.is_set():
            mid = f"siege-{self._number}-{number}"
            # Some again, as providers do whose answer was lost.
            number += 1
            for _ in range(2 if number % 50 == 0 else 1):
                self._post(connections[number % len(connections)], mid)
        for connection in connections:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection, mid: str) -> None:
        content = body(mid)
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(content, self._secret)}
        started = time.monotonic()
        try:
            connection.request("POST", "/facebook", content, headers)
            response = connection.getresponse()
            response.read()
            answer = str(response.status)
        except (OSError, http.client.HTTPException):
            connection.close()
            answer = "no answer"
            time.sleep(0.05)
        self.told.answers[answer] += 1
        if answer == "200":
            self.told.acknowledged.add(mid)
            self.told.slowest.append(time.monotonic() - started)
