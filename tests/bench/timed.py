"""The `parley` command that also prints how long each step of a plan took: `normalized 12.345`."""

import contextlib
import time
from collections.abc import Iterator

import click

from pipelines import cli
from pipelines.reprocess import terminal
from pipelines.reprocess.steps import Steps


class Timed(Steps):
    """Prints the seconds of every step."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def reached(self, step: str) -> None:
        now = time.monotonic()
        click.echo(f"{step} {now - self._last:.3f}")
        self._last = now


@contextlib.contextmanager
def steps(*_: object) -> Iterator[Steps]:
    """Stand in for what shows progress on a terminal."""
    yield Timed()


if __name__ == "__main__":
    terminal.steps = steps
    cli.main()
