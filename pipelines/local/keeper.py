"""Keeps one part of the local stack running, and lets a rehearsal of an outage take it away.

`python -m pipelines.local.keeper STATE COMMAND` runs a shell command. When that ends by itself, it says why and
starts it again, later each time; SIGUSR1 stops it until SIGUSR2 starts it again. SIGTERM ends both.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

HOLD: Final = signal.SIGUSR1
GO_ON: Final = signal.SIGUSR2
_PAUSE: Final = 0.05
_FIRST_DELAY, _LAST_DELAY = 1.0, 30.0
_WELL_AFTER: Final = 60.0


class Keeper:
    """One part: its command, whether it should run, and what it is known to do."""

    def __init__(self, state: Path, command: str) -> None:
        self._state = state
        self._command = command
        self._wanted = True
        self._ending = False
        self._child: subprocess.Popen[bytes] | None = None
        self._delay = _FIRST_DELAY

    def run(self) -> int:
        """Keep the part running until SIGTERM; return how it ended then."""
        signal.signal(HOLD, lambda *_: self._want(False))
        signal.signal(GO_ON, lambda *_: self._want(True))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        code = 0
        while not self._ending:
            if self._wanted:
                code = self._run_once()
            else:
                self._tell(None)
                time.sleep(_PAUSE)
        self._state.unlink(missing_ok=True)
        return code

    def _run_once(self) -> int:
        started = time.monotonic()
        # In the group of this process: whoever ends the one ends the other, even by force.
        self._child = subprocess.Popen(self._command, shell=True)  # noqa: S602 - our own command line
        self._tell(self._child.pid)
        if self._ending or not self._wanted:
            # A signal came while it was being started, when there was nothing to end yet.
            self._terminate()
        code = self._child.wait()
        self._child = None
        if self._ending or not self._wanted:
            return code
        if time.monotonic() - started > _WELL_AFTER:
            self._delay = _FIRST_DELAY
        print(f"ended by itself ({_reason(code)}); starts again in {self._delay:g} s", flush=True)  # noqa: T201
        self._tell(None)
        until = time.monotonic() + self._delay
        while time.monotonic() < until and self._wanted and not self._ending:
            time.sleep(_PAUSE)
        self._delay = min(2 * self._delay, _LAST_DELAY)
        return code

    def _want(self, wanted: bool) -> None:
        if wanted != self._wanted:
            self._wanted = wanted
            print("starts again" if wanted else "stops, as told", flush=True)  # noqa: T201
        if not wanted:
            self._terminate()

    def _end(self) -> None:
        self._ending = True
        self._terminate()

    def _terminate(self) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGTERM)

    def _tell(self, child: int | None) -> None:
        told = json.dumps({"keeper": os.getpid(), "child": child})
        if self._state.exists() and self._state.read_text("utf-8") == told:
            return
        part = self._state.with_suffix(".part")
        part.write_text(told, "utf-8")
        part.replace(self._state)


def command(state: Path, part: str) -> str:
    """Return the command line that keeps a part's command line running."""
    return f"exec {shlex.join([sys.executable, '-m', __name__, str(state), part])}"


def tell(state: Path, number: signal.Signals) -> None:
    """Tell a keeper, by its state file, to hold its part or to go on.

    Raises:
        ProcessLookupError: there is none.
    """
    os.kill(_known(state)["keeper"], number)


def runs(state: Path) -> bool:
    """Return whether a keeper's part runs now."""
    try:
        return _known(state)["child"] is not None
    except ProcessLookupError:
        return False


def end(state: Path) -> int | None:
    """Tell a keeper to end its part and then itself; return its process, or None where there is none."""
    try:
        tell(state, signal.SIGTERM)
        return int(_known(state)["keeper"])
    except ProcessLookupError:
        return None


def lives(process: int) -> bool:
    """Return whether a process has not ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _known(state: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(state.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        raise ProcessLookupError(f"nobody keeps {state.stem}") from None
    return known


def _reason(code: int) -> str:
    """Return how a process ended: by a signal, of which a shell tells by a code above 128, or with a code."""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exit code {code}"


@click.command()
@click.argument("state", type=click.Path(path_type=Path))
@click.argument("part")
def main(state: Path, part: str) -> None:
    """Keep PART, a shell command, running; say in the file STATE which process it is."""
    sys.exit(Keeper(state, part).run())


if __name__ == "__main__":
    main()
