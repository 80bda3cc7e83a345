"""The attackers of `bench_attacked`, in a process of their own: `python tests/bench/attack.py KIND PORT SECONDS`.

Each of them is a thread that does one thing again and again, as fast as it is let. None has a secret. Says `begun`
when all are at work, and at the end how often each thing was done.
"""

import contextlib
import os
import random
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

ATTACKERS: Final = 64
MIB: Final = 1024 * 1024
CONNECTIONS: Final = 80
"""That one who says nothing holds: together more than two workers take."""
_PATIENCE: Final = 2.0
_FORM: Final = "application/x-www-form-urlencoded"

done: Counter[str] = Counter()
_lock = threading.Lock()


def forms(port: int, until: float) -> None:
    """Post unsigned forms of 4 MiB where Twilio does, and such bodies where they are received: at Facebook's."""
    form = (b"k=%41&" * (4 * MIB // 6)).ljust(4 * MIB, b"x")
    while time.monotonic() < until:
        for path in ("/twilio", "/facebook"):
            with _connected(port) as connection:
                connection.sendall(_head(path, len(form)) + form)
                connection.recv(1024)
            _count(f"form to {path}")


def silence(port: int, until: float) -> None:
    """Hold many connections that say nothing, and open another for each that is closed."""
    held: list[socket.socket] = []
    try:
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                while len(held) < CONNECTIONS and time.monotonic() < until:
                    held.append(socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE))
                    _count("silent connection")
            poll = select.poll()
            for each in held:
                poll.register(each, select.POLLIN)
            closed = {number for number, _ in poll.poll(100)}
            for each in held:
                if each.fileno() in closed:
                    each.close()
            held = [each for each in held if each.fileno() >= 0]
    finally:
        for each in held:
            each.close()


def unfinished(port: int, until: float) -> None:
    """Send all of a body but its end, and wait until one is thrown out."""
    body = bytes(4 * MIB - 100)
    while time.monotonic() < until:
        with _connected(port) as connection:
            connection.sendall(_head("/facebook", 4 * MIB) + body)
            _count("unfinished body")
            connection.settimeout(max(0.01, until - time.monotonic()))
            connection.recv(1024)


def everything(port: int, until: float) -> None:
    """Do one of these, whichever."""
    random.choice((forms, silence, unfinished))(port, until)


KINDS: Final[dict[str, Callable[[int, float], None]]] = {
    kind.__name__: kind for kind in (forms, silence, unfinished, everything)
}


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    """Open a connection; that it is refused or cut off is what attackers are used to."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection,
    ):
        yield connection


def _head(path: str, length: int) -> bytes:
    lines = (
        *(f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {_FORM}", f"Content-Length: {length}"),
        *("X-Twilio-Signature: no", f"X-Hub-Signature-256: sha256={64 * '0'}"),
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _count(name: str) -> None:
    with _lock:
        done[name] += 1


def main(kind: str, port: int, seconds: float) -> None:
    """Attack, and say what was done."""
    os.nice(10)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=KINDS[kind], args=(port, until), daemon=True) for _ in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    for thread in threads:
        thread.join(max(0.0, until + _PATIENCE - time.monotonic()))
    sys.stdout.write(", ".join(f"{name} {count:,}" for name, count in done.most_common()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
