"""Those who only do harm: every kind of request that has no right to be heard, and the worst that have one."""

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from pipelines.demo.samples import sign

_PATIENCE = 2.0
_MEBIBYTE = 1024 * 1024


class Attackers:
    """Threads that each do one wicked thing after the other."""

    def __init__(
        self, ports: Sequence[int], secret: str, count: int, seed: int, until: Callable[[], bool]
    ) -> None:
        self.done: Counter[str] = Counter()
        self._ports = ports
        self._secret = secret
        self._until = until
        self._lock = threading.Lock()
        dice = [random.Random(seed * 1_000 + number) for number in range(count)]
        self._threads = [threading.Thread(target=self._attack, args=(each,), daemon=True) for each in dice]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the end of all of them."""
        for thread in self._threads:
            thread.join()

    def _attack(self, dice: random.Random) -> None:
        while not self._until():
            name, attack = dice.choice(ATTACKS)
            with contextlib.suppress(OSError):
                attack(dice, dice.choice(self._ports), self._secret)
            with self._lock:
                self.done[name] += 1
            time.sleep(0.05)


def _open(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)


def _say(port: int, request: bytes) -> None:
    with _open(port) as connection:
        connection.sendall(request)
        connection.recv(1024)


def _post(path: str, content: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: parley", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _say_nothing(dice: random.Random, port: int, secret: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(_open(port))
        time.sleep(dice.uniform(0, 1))


def _leave_the_body_unfinished(dice: random.Random, port: int, secret: str) -> None:
    with _open(port) as connection:
        connection.sendall(
            _post("/facebook", b"")[:-4].replace(b": 0", b": 4000000") + b"\r\n\r\n" + b"x" * 100_000
        )
        time.sleep(dice.uniform(0, 1))


def _send_byte_by_byte(dice: random.Random, port: int, secret: str) -> None:
    with _open(port) as connection:
        for byte in b"POST /facebook HTTP/1.1\r\nHost: pa":
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


def _post_an_unsigned_form(dice: random.Random, port: int, secret: str) -> None:
    form = b"&".join(b"k%d=%s" % (number, b"v" * 80) for number in range(2_500))
    _say(port, _post("/twilio", form, "Content-Type: application/x-www-form-urlencoded", "X-Twilio-Signature: no"))


def _forge_a_signature(dice: random.Random, port: int, secret: str) -> None:
    content = json.dumps({"object": "page", "entry": []}).encode()
    forged = sign(content, secret[:-1] + dice.choice("0123456789"))[:-1] + "x"
    _say(port, _post("/facebook", content, f"X-Hub-Signature-256: {forged}"))


def _talk_nonsense(dice: random.Random, port: int, secret: str) -> None:
    _say(port, dice.randbytes(dice.randrange(1, 2_000)))


def _send_endless_headers(dice: random.Random, port: int, secret: str) -> None:
    _say(port, b"GET /facebook HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(200)))


def _smuggle(dice: random.Random, port: int, secret: str) -> None:
    inner = b"GET /__version__ HTTP/1.1\r\nHost: a\r\n\r\n"
    _say(port, _post("/facebook", inner, "Transfer-Encoding: chunked"))


def _sign_deep_json(dice: random.Random, port: int, secret: str) -> None:
    depth = dice.randrange(100, 50_000)
    content = b'{"object":"page","entry":' + b"[" * depth + b"]" * depth + b"}"
    _say(port, _post("/facebook", content, f"X-Hub-Signature-256: {sign(content, secret)}"))


def _sign_a_thousand_broken_items(dice: random.Random, port: int, secret: str) -> None:
    items = [{"sender": {"id": number}, "message": {"mid": None, "text": "x" * 200}} for number in range(1_000)]
    content = json.dumps({"object": "page", "entry": [{"id": "page-1", "messaging": items}]}).encode()
    _say(port, _post("/facebook", content, f"X-Hub-Signature-256: {sign(content, secret)}"))


def _sign_a_large_body(dice: random.Random, port: int, secret: str) -> None:
    content = dice.randbytes(1) * (2 * _MEBIBYTE)
    _say(port, _post("/facebook", content, f"X-Hub-Signature-256: {sign(content, secret)}"))


ATTACKS: list[tuple[str, Callable[[random.Random, int, str], None]]] = [
    (function.__name__.strip("_").replace("_", " "), function)
    for function in (
        _say_nothing,
        _leave_the_body_unfinished,
        _send_byte_by_byte,
        _post_an_unsigned_form,
        _forge_a_signature,
        _talk_nonsense,
        _send_endless_headers,
        _smuggle,
        _sign_deep_json,
        _sign_a_thousand_broken_items,
        _sign_a_large_body,
    )
]
