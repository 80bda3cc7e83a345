"""Those who send what counts: signed webhooks, each with a message of its own, and a memory of the answers."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.demo.samples import sign

PATIENCE = 20.0


def body(mid: str) -> bytes:
    """Return a Messenger webhook with one text, whose message has this id."""
    moment = time.time_ns() // 1_000_000
    item = {
        "sender": {"id": f"visitor-{hash(mid) % 1000}"},
        "recipient": {"id": "page-1"},
        "timestamp": moment,
        "message": {"mid": mid, "text": f"text of {mid} \N{ROCKET}"},
    }
    return json.dumps(
        {"object": "page", "entry": [{"id": "page-1", "time": moment, "messaging": [item]}]}
    ).encode()


class Senders:
    """Threads that post to the receivers in turn, and remember the messages that were acknowledged."""

    def __init__(self, ports: Sequence[int], secret: str, count: int, until: Callable[[], bool]) -> None:
        self.acknowledged: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.slowest: list[float] = []
        """Seconds of the acknowledged requests."""
        self._ports = ports
        self._secret = secret
        self._until = until
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the end of all of them."""
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for port in self._ports]
        number = 0
        while not self._until():
            mid = f"siege-{sender}-{number}"
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
        with self._lock:
            self.answers[answer] += 1
            if answer == "200":
                self.acknowledged.add(mid)
                self.slowest.append(time.monotonic() - started)
