"""A receiver as operators run it: `python -m receiver` with worker processes, to send to and to kill."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from receiver_support import wait_until


class Server:
    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
            "PARLEY_WORKERS": "2",
            **environ,
        }
        self._log = log
        self.port = 0
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, on the same port each time."""
        tries = 1 if self.port else 3
        for left in reversed(range(tries)):
            self._start()
            try:
                wait_until(self.answers, 60)
            except AssertionError:
                # Between its choice and the receiver's, somebody else has taken the port.
                if not left or "Address already in use" not in self.log:
                    raise
                self.port = 0
            else:
                return

    def _start(self) -> None:
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.port = listener.getsockname()[1]
            self._environ["PARLEY_PORT"] = str(self.port)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "receiver"],
                env=self._environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/__lbheartbeat__").status == 200
        return False

    @property
    def log(self) -> str:
        return self._log.read_text()

    def workers(self) -> list[int]:
        """Return the worker processes' ids; none where the server has ended."""
        if self.process.poll() is not None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in children.split()]

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str):
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.body = response.read()
            return response

    def post(self, body: bytes, path: str = "/facebook") -> int:
        return self.request("POST", path, body).status

    def terminate(self) -> int:
        """Ask the server to stop as a supervisor does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """Kill the server and its workers, as a power failure would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


@contextlib.contextmanager
def serving(environ: Mapping[str, str], log: Path) -> Iterator[Server]:
    server = Server(environ, log)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()
