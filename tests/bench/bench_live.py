"""Measures what the live path can do: from Pub/Sub to a Storage Write API that only confirms.

    python -m tests.bench.bench_live [--events N] [--seconds S] [--rate R] [--base COMMIT] [--rounds N]

Capacity: a sample world waits in the local Pub/Sub when the pipeline starts, and what counts is the pipeline's
processor time from the moment when a sixth of it is confirmed: all has started by then. Delay: the same world at a
steady rate, by default half of what the capacity was, from each event's receipt until its ledger row is confirmed,
which is after all its other rows. Pub/Sub, publisher and the confirming server share the processors, and are not
in the pipeline's figures. Where `--base` names another commit, its pipeline takes turns with this one's: then the
median of the rounds' ratios counts. Prints a table, and writes build/bench/live.json.
"""

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from pipelines import sources
from pipelines.local import environment, ready
from pipelines.local.environment import PROJECT, Ports
from pipelines.local.topics import create_topics
from schemas.raw_event import RawEvent
from tests.bench.bench_costs import HERE, check_out
from tests.bench.bench_streaming import Watched, bodies, cpu_seconds, percentiles, publish
from tests.bench.confirming import CONFIRMED, DELAYS, Confirmed
from tests.bench.world import OUT

PATIENCE_SECONDS: Final = 180
AT_ONCE: Final = 50_000
"""A rate that no publisher makes: as fast as it can."""
_PIPELINE: Final = "from pipelines.cli import main; main()"


class Capacity(msgspec.Struct):
    """What a backlog has cost the pipeline."""

    events: int
    """Confirmed between the two moments."""
    seconds: float
    processor_seconds: float
    mb: list[float]
    """Resident memory, from the first moment on."""

    @property
    def of_core(self) -> float:
        """Events that a second of processor time takes through the pipeline."""
        return self.events / self.processor_seconds


class Delays(msgspec.Struct):
    """How late events were at a steady rate."""

    rate: int
    events: int
    cores: float
    delays_ms: dict[str, float]
    late_seconds: float
    """How far the publisher was behind at the end."""


class Live:
    """A Pub/Sub, a BigQuery that only confirms, and the pipeline of a tree between them."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self._tree = tree
        self._ports = Ports().freed()
        self._folder = folder
        self.environ = {**os.environ, **environment.variables(folder, self._ports, environ={})}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "live.log").open("wb")

    def start_servers(self) -> None:
        """Start what the pipeline is between, and make topics and subscriptions of all sources."""
        self._start(HERE, "-m", "pipelines.local.pubsub", "--port", str(self._ports.pubsub))
        self._start(
            HERE, "-m", "tests.bench.confirming", str(self._ports.bigquery), str(self._ports.bigquery_grpc)
        )
        os.environ.update(self.environ)
        ready.wait_for("Pub/Sub", ready.pubsub, PATIENCE_SECONDS)
        create_topics(PROJECT, {f"raw-{name}": f"parley-{name}" for name in sources.PARSERS})
        ready.wait_for("the confirming server", self._is_there, PATIENCE_SECONDS)

    def start_pipeline(self) -> int:
        """Start the pipeline; return its process id."""
        return self._start(self._tree, "-c", _PIPELINE, "stream")

    def wait_for(self, events: int) -> None:
        """Wait until so many events are confirmed."""
        ready.wait_for(f"{events} events", lambda: self.confirmed().events >= events, PATIENCE_SECONDS)

    def confirmed(self) -> Confirmed:
        """Return what the server has confirmed."""
        return msgspec.json.decode(self._ask(CONFIRMED), type=Confirmed)

    def delays_ms(self) -> list[int]:
        """Return how late each event was, in the order of their coming."""
        return msgspec.json.decode(self._ask(DELAYS), type=list[int])

    def close(self) -> None:
        """End every process, those that others need last."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(PATIENCE_SECONDS)
        self._log.close()

    def _start(self, tree: Path, *arguments: str) -> int:
        environ = {**self.environ, "PYTHONPATH": str(tree)}
        command = [sys.executable, "-P", *arguments]
        log = {"stdout": self._log, "stderr": subprocess.STDOUT}
        self._processes.append(subprocess.Popen(command, cwd=tree, env=environ, **log))
        return self._processes[-1].pid

    def _ask(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports.bigquery}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def _is_there(self) -> bool:
        try:
            return self.confirmed().events == 0
        except OSError:
            return False


@contextlib.contextmanager
def live(tree: Path) -> Iterator[Live]:
    """Run the servers for the time of a block; the pipeline is to be started in it."""
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        running = Live(Path(folder).resolve(), tree)
        try:
            running.start_servers()
            yield running
        finally:
            running.close()


def capacity(tree: Path, events: Sequence[RawEvent]) -> Capacity:
    """Let a pipeline work off a backlog."""
    with live(tree) as running:
        publish(PROJECT, events, AT_ONCE)
        pipeline = running.start_pipeline()
        running.wait_for(len(events) // 6)
        watched = Watched(pipeline, 1.0)
        watched.start()
        begun, spent, before = time.monotonic(), cpu_seconds(pipeline), running.confirmed().events
        running.wait_for(len(events))
        return Capacity(
            running.confirmed().events - before,
            time.monotonic() - begun,
            cpu_seconds(pipeline) - spent,
            watched.end(),
        )


def delays(tree: Path, events: Sequence[RawEvent], rate: int) -> Delays:
    """Publish events at a rate to a pipeline that runs already."""
    with live(tree) as running:
        pipeline = running.start_pipeline()
        # The first events wait until the pipeline reads and has opened its connections.
        first = min(len(events) // 10, 2_000)
        publish(PROJECT, events[:first], rate)
        running.wait_for(first)
        begun, spent, before = time.monotonic(), cpu_seconds(pipeline), len(running.delays_ms())
        late = publish(PROJECT, events[first:], rate)
        cores = (cpu_seconds(pipeline) - spent) / (time.monotonic() - begun)
        running.wait_for(len(events))
        measured = sorted(running.delays_ms()[before:])
        return Delays(rate, len(measured), cores, percentiles(measured), late)


def of_capacity(rounds: Sequence[tuple[Capacity, ...]], names: Sequence[str]) -> Table:
    """Return each tree's capacity, the median of the rounds."""
    shown = Table("pipeline", "events/s a core", "events/s", "cores", "MB", "times as fast")
    for place, name in enumerate(names):
        found = [each[place] for each in rounds]
        ratios = [each[0].of_core / each[place].of_core for each in rounds]
        shown.add_row(
            name,
            f"{statistics.median(one.of_core for one in found):,.0f}",
            f"{statistics.median(one.events / one.seconds for one in found):,.0f}",
            f"{statistics.median(one.processor_seconds / one.seconds for one in found):.2f}",
            f"{found[-1].mb[0]:.0f} → {found[-1].mb[-1]:.0f}",
            f"{statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})" if place else "",
        )
    return shown


def of_delays(one: Delays) -> Table:
    """Return how late events were."""
    shown = Table("events/s", "events", "cores", *(f"{name} ms" for name in one.delays_ms), "publisher late")
    figures = (f"{each:,.0f}" for each in one.delays_ms.values())
    shown.add_row(f"{one.rate:,}", f"{one.events:,}", f"{one.cores:.2f}", *figures, f"{one.late_seconds:.1f} s")
    return shown


@click.command()
@click.option("--events", "volume", default=60_000, show_default=True)
@click.option(
    "--seconds", default=20.0, show_default=True, help="How long a steady rate is kept up; 0 leaves it out."
)
@click.option("--rate", type=int, help="Events a second of it; by default half the capacity of a core.")
@click.option("--base", help="A commit to compare with.")
@click.option("--rounds", default=1, show_default=True)
def main(volume: int, seconds: float, rate: int | None, base: str | None, rounds: int) -> None:
    """Measure the live path."""
    OUT.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(120, Console().width))
    events = list(itertools.islice(bodies(), volume))
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        trees = {"this": HERE}
        if base:
            if not check_out(base, Path(folder)):
                raise click.ClickException(f"no commit {base} here")
            trees[base] = Path(folder).resolve()
        measured = [tuple(capacity(tree, events) for tree in trees.values()) for _ in range(rounds)]
    console.print(of_capacity(measured, list(trees)))
    report: dict[str, object] = {"base": base, "capacity": measured}
    if seconds:
        half = rate or round(statistics.median(one[0].of_core for one in measured) / 2)
        steady = delays(HERE, list(itertools.islice(bodies(), round(half * seconds))), half)
        console.print(of_delays(steady))
        report["delays"] = steady
    (OUT / "live.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


if __name__ == "__main__":
    main()
