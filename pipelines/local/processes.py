"""Parts of a local stack as processes, each of which can be stopped and replaced while the others go on."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click

_GRACE_SECONDS: Final = 30.0
_TOLD_LINES: Final = 30


class Processes:
    """Shell commands that run until they are stopped, or the block ends; what they print goes into a file."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file = log.open("wb")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for process in self._running.values():
            _signal(process, signal.SIGTERM)
        for name in list(self._running):
            self.stop(name)
        self._file.close()

    def start(self, name: str, command: str) -> None:
        """Start a command with the environment of now."""
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        # A session of its own, so that Ctrl-C ends this process alone, which then ends the others.
        self._running[name] = subprocess.Popen(  # noqa: S602 - our own command lines
            command,
            shell=True,
            env=environ,
            stdout=self._file,
            stderr=self._file,
            start_new_session=True,
        )

    def stop(self, name: str) -> None:
        """Let a part end what it is about, and kill it if that takes too long."""
        process = self._running.pop(name)
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()

    def check(self) -> None:
        """Make sure that all of them run.

        Raises:
            click.ClickException: one has ended; the message has the last lines of all.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise click.ClickException(f"{name} ended with {process.returncode}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return what they printed last."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_TOLD_LINES:])


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and everything it has started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
