"""Measures planning, applying and rolling back over a sample archive on one machine.

    python -m tests.bench.bench_reprocess [events ...]

By default 100,000 and 1,000,000 events: the memory of the first and of the second tells whether it grows with
the range. What is there before is what a wrong generation made, so that the difference is not empty. Prints a
table and writes build/bench/reprocess.json. The local BigQuery shares the processor and is measured beside.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tests.bigquery_fixtures import Emulator, free_ports, running_emulator

EVENTS_PER_CONVERSATION = 11.9
DAYS = 30
OUT = Path("build/bench")
PAGE = os.sysconf("SC_PAGE_SIZE")
RIGHT, WRONG, TIMED = "pipelines.cli", "pipelines.demo.miscounting", "tests.bench.timed"

console = Console()


class Measured(msgspec.Struct):
    """One command over an archive."""

    command: str
    events: int
    seconds: float
    peak_mb: float
    bigquery_peak_mb: float
    parts: dict[str, float] = {}
    """Seconds of a plan by what was done then: `normalized` is the batch pipeline, `compared` the difference."""


class Peak(threading.Thread):
    """Watches how much memory a process and its children have at most."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._ended = threading.Event()
        self.bytes = 0

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, sum(map(resident, family(self._root))))

    def end(self) -> float:
        """Return the most, in MB."""
        self._ended.set()
        self.join()
        return self.bytes / 1e6


def family(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def measure(emulator: Emulator, events: int, name: str, module: str, *arguments: str) -> tuple[Measured, str]:
    served = Peak(emulator.process.pid)
    served.start()
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        peak = Peak(process.pid)
        peak.start()
        output, _ = process.communicate()
    if process.returncode:
        raise click.ClickException(f"{name} exited with {process.returncode}")
    measured = Measured(name, events, time.monotonic() - started, peak.end(), served.end())
    console.print(f"{name}: {measured.seconds:.1f} s")
    return measured, output


def bench(events: int, folder: Path) -> list[Measured]:
    archive = OUT / f"archive-{events}"
    if not archive.exists():
        made = OUT / f"archive-{events}.part"
        size = ("--conversations", str(round(events / EVENTS_PER_CONVERSATION)), "--days", str(DAYS))
        subprocess.run([sys.executable, "-m", RIGHT, "generate", *size, "--archive", made], check=True)
        made.rename(archive)
    with running_emulator(folder, *free_ports(2)) as emulator:
        os.environ.update(
            PARLEY_PROJECT="parley-bench",
            PARLEY_ARCHIVE=str(archive),
            BIGQUERY_EMULATOR_HOST=emulator.rest,
            BIGQUERY_STORAGE_GRPC_ENDPOINT=emulator.rpc,
            NO_GCE_CHECK="true",
            PARLEY_STREAMING_BUFFER_MINUTES="0",
        )
        subprocess.run([sys.executable, "-m", RIGHT, "tables", "deploy"], check=True, stdout=subprocess.DEVNULL)
        found = []
        for name, module in (("wrong", WRONG), ("right", TIMED)):
            planned, output = measure(emulator, events, f"plan, {name}", module, "backfill", "plan", "--quiet")
            *lines, run = output.split("\n")[:-1]
            planned.parts = {step: float(seconds) for step, seconds in (line.rsplit(" ", 1) for line in lines)}
            shown = subprocess.check_output([sys.executable, "-m", RIGHT, "backfill", "show", run, "--json"])
            planned.events = json.loads(shown)["events"]
            console.print(json.loads(shown)["counts"])
            found.append(planned)
            found.append(measure(emulator, planned.events, f"apply, {name}", module, "backfill", "apply", run)[0])
        found.append(measure(emulator, planned.events, "rollback", RIGHT, "backfill", "rollback", run)[0])
        found.append(measure(emulator, planned.events, "reconcile", RIGHT, "reconcile")[0])
    return found


def show(found: list[Measured]) -> None:
    table = Table("command", "events", "seconds", "events/s", "peak MB", "BigQuery's peak MB")
    for one in found:
        rate = one.events / one.seconds
        numbers = (f"{one.seconds:.1f}", f"{rate:,.0f}", f"{one.peak_mb:,.0f}", f"{one.bigquery_peak_mb:,.0f}")
        table.add_row(one.command, f"{one.events:,}", *numbers)
    console.print(table)
    for one in found:
        if one.parts:
            parts = (f"{step} {seconds / one.seconds:.0%}" for step, seconds in one.parts.items())
            console.print(f"{one.command}, {one.events:,} events: {', '.join(parts)}; the rest is starting")


@click.command()
@click.argument("sizes", type=int, nargs=-1)
def main(sizes: tuple[int, ...]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    found: list[Measured] = []
    for events in sizes or (100_000, 1_000_000):
        console.print(f"load: {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory(dir=OUT) as folder:
            found += bench(events, Path(folder))
        show(found)
    (OUT / "reprocess.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))


if __name__ == "__main__":
    main()
