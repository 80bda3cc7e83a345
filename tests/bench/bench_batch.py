"""Measures batch and normalization beside what they could cost, on one machine in one run.

    python -m tests.bench.bench_batch [--events N ...] [--rounds N] [--every-way] [--way NAME ...]

Every way from an archive to rows (`ways.py`) runs in a process of its own, at every volume; the slow ones up to
100,000 events unless `--every-way` is given. Prints tables, and writes build/bench/batch.json and batch.svg.

A shared machine's speed varies from minute to minute. So two ways that are compared run again one after the
other, in several rounds, and the median of the rounds' ratios counts.
"""

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.plot import draw
from tests.bench.world import OUT, archive

VOLUMES = (10_000, 100_000, 1_000_000)
ASKED_FOR = "PARLEY_BENCH_EVENTS"
"""The environment variable that names other volumes, with blanks between."""
LAST_VOLUME_OF_SLOW_WAYS = 100_000
SOURCES = ("airy", "chatplugin", "facebook", "google", "twilio", "whatsapp")
SLOW = frozenset({"beam_workers", "per_row"})
WAYS = {
    "read": "reading the archive alone",
    "loads": "… and orjson.loads",
    "normalize": "… and normalize",
    "bare": "… and Parquet: a bare loop",
    "one_core": "batch, one process",
    "all_cores": "batch, a process a core",
    "beam_workers": "batch, Beam's own workers",
    "per_row": "Beam, an element a row",
    "sql:facebook": "DuckDB, Messenger and Instagram",
    "one_core:facebook": "batch, one process, the same",
}
"""Each way (of `ways.py`, and after a colon of which source) and what a table calls it."""
COMPARED = {
    "time of batch / bare loop": ("bare", "one_core"),
    "batch / an element a row": ("one_core", "per_row"),
    "DuckDB / batch": ("sql:facebook", "one_core:facebook"),
    "all cores / one": ("all_cores", "one_core"),
}
"""What is promised: how many times as fast the first way is as the second."""


class Measured(msgspec.Struct):
    """A way at a volume."""

    way: str
    volume: int
    """How many events the archive was to have."""
    events: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    """Of the largest process."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def measure(way: str, volume: int) -> Measured:
    """Run a way in a process of its own over the archive of a volume."""
    name, _, source = way.partition(":")
    command = [sys.executable, "-m", "tests.bench.ways", name, str(archive(volume))]
    done = subprocess.run([*command, *([source] if source else [])], check=False, capture_output=True)
    if done.returncode:
        raise click.ClickException(f"{way} at {volume:,} events failed:\n{done.stderr.decode()[-4_000:]}")
    return msgspec.convert({**msgspec.json.decode(done.stdout), "way": way, "volume": volume}, Measured)


def measured(ways: Sequence[str], volumes: Sequence[int], *, every_way: bool) -> Iterator[Measured]:
    """Yield every way at every volume."""
    for volume in volumes:
        for way in ways:
            if way not in SLOW or every_way or volume <= LAST_VOLUME_OF_SLOW_WAYS:
                yield measure(way, volume)


def by_way(found: Sequence[Measured], volumes: Sequence[int]) -> Table:
    """Return events a second of each way at each volume, and the most memory."""
    rates = {(one.way, one.volume): one.rate for one in found}
    table = Table("way", *(f"{volume:,} events/s" for volume in volumes), "peak MB of a process")
    for way in dict.fromkeys(one.way for one in found):
        cells = (f"{rates[way, volume]:,.0f}" if (way, volume) in rates else "" for volume in volumes)
        peaks = (f"{one.peak_mb:.0f}" for one in found if one.way == way)
        table.add_row(WAYS.get(way, way), *cells, " ".join(peaks), end_section=way == "per_row")
    return table


def by_source(found: Sequence[Measured]) -> Table:
    """Return what reading and normalizing an event of each source takes."""
    table = Table("source", "events", "µs an event")
    for one in found:
        table.add_row(one.way.partition(":")[2], f"{one.events:,}", f"{1e6 * one.seconds / one.events:.1f}")
    return table


class Ratio(msgspec.Struct):
    """How many times as fast one way is as another."""

    name: str
    volume: int
    median: float
    rounds: list[float]


def ratios(found: Sequence[Measured], rounds: int) -> Iterator[Ratio]:
    """Yield what is promised, each at the largest volume at which both ways were measured."""
    volumes = {(one.way, one.volume) for one in found}
    for name, (one, other) in COMPARED.items():
        both = [volume for way, volume in volumes if way == one and (other, volume) in volumes]
        if both and rounds:
            volume = max(both)
            each = [measure(one, volume).rate / measure(other, volume).rate for _ in range(rounds)]
            yield Ratio(name, volume, statistics.median(each), each)


@click.command()
@click.option("--events", "volumes", multiple=True, type=int, default=VOLUMES, show_default=True, envvar=ASKED_FOR)
@click.option("--rounds", default=3, show_default=True, help="How often ways are compared.")
@click.option("--every-way", is_flag=True, help="Also the slow ways at every volume.")
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), default=tuple(WAYS))
def main(volumes: Sequence[int], rounds: int, every_way: bool, ways: Sequence[str]) -> None:
    """Measure batch and normalization."""
    OUT.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(120, Console().width))
    for volume in volumes:
        archive(volume)
    load = os.getloadavg()[0]
    found = list(measured(ways, volumes, every_way=every_way))
    middle = min(volumes, key=lambda volume: abs(volume - 100_000))
    of_sources = [measure(f"normalize:{source}", middle) for source in SOURCES]
    compared = list(ratios(found, rounds))
    report = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load_before": load},
        "at": datetime.now(UTC),
        "ratios": compared,
        "ways": found,
        "sources": of_sources,
    }
    (OUT / "batch.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    curves = {WAYS[way]: [(one.events, one.seconds) for one in found if one.way == way] for way in ways}
    draw(curves, OUT / "batch.svg")
    console.print(by_way(found, volumes), by_source(of_sources))
    for one in compared:
        each = ", ".join(f"{ratio:.2f}" for ratio in one.rounds)
        console.print(f"{one.name}, {one.volume:,} events: {one.median:.2f} ({each})")


if __name__ == "__main__":
    main()
