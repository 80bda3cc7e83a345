"""Measures the live pipeline at steady rates: how long each event takes from its receipt until it is stored.

    python -m tests.bench.bench_streaming [--rate 200 --rate 1000] [--seconds 45]

Publishes a sample world to the local Pub/Sub; an event's time of receipt is when it is published. Its delay ends
when its ledger row is made, which is after BigQuery has confirmed all its other rows. Publisher, Pub/Sub, pipeline
and BigQuery share the processors. Prints a histogram, and writes build/bench/streaming.json.
"""

import bisect
import datetime as dt
import itertools
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec
import uuid_utils
from rich.console import Console
from rich.table import Table

from pipelines.bigquery.target import Target, client
from pipelines.generate import delivery
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.local import ready
from receiver.durable.publisher import Publisher
from schemas.raw_event import EVENT_ID, RECEIVED_AT, RawEvent, format_received_at
from tests.bench.bench_reprocess import family, resident
from tests.bench.world import OUT
from tests.e2e.conftest import Stack

TICK = 0.02
BOUNDS_MS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)
PATIENCE_SECONDS = 120
SQL = "SELECT TIMESTAMP_DIFF(MIN(processed_at), MIN(received_at), MILLISECOND) FROM `{}` GROUP BY event_id"


class Measured(msgspec.Struct):
    """What happened at one rate."""

    rate: int
    """Events a second that were published."""
    seconds: float
    events: int
    stored_events: int
    stored_after_seconds: float
    """From the first event's publishing until the last one was seen in the ledger."""
    late_seconds: float
    """How far the publisher was behind at the end: beyond a moment, the machine cannot make this rate."""
    delays_ms: dict[str, float]
    histogram: dict[str, int]
    """Events by their delay's upper bound in milliseconds."""
    pipeline_cores: float
    """Processors that the pipeline kept busy while events were published."""
    pipeline_mb: list[float]
    """Resident memory of the pipeline, a tenth of the time apart."""


def bodies() -> Iterator[RawEvent]:
    """Yield the events of a sample world, of all sources, without end."""
    start = int(DEFAULT_START.timestamp()) * 1_000_000
    world = World(100_000, 0, start, 700, tuple(WEIGHTS))
    for day in itertools.cycle(range(world.days)):
        for item in delivery.of_day(world, day):
            yield item.event


def received_now(event: RawEvent) -> RawEvent:
    """Return an event as if it came now, and had not come before."""
    now = format_received_at(dt.datetime.now(dt.UTC))
    return RawEvent(event.data, {**event.attributes, EVENT_ID: str(uuid_utils.uuid7()), RECEIVED_AT: now})


def publish(project: str, events: Sequence[RawEvent], rate: int) -> float:
    """Publish events at a rate; return how many seconds later than planned the last one was."""
    publisher = Publisher(project, "raw-")
    started, sent = time.monotonic(), 0
    while sent < len(events):
        due = min(len(events), math.floor((time.monotonic() - started) * rate) + 1)
        group = sorted(map(received_now, events[sent:due]), key=lambda event: event.source)
        for source, members in itertools.groupby(group, key=lambda event: event.source):
            publisher.publish(source, list(members), 30)
        sent = max(sent, due)
        time.sleep(TICK)
    late = time.monotonic() - started - len(events) / rate
    publisher.close()
    return max(0.0, late)


class Watched(threading.Thread):
    """Notes the resident memory of a process and its children at intervals."""

    def __init__(self, pid: int, interval: float) -> None:
        super().__init__(daemon=True)
        self.mb: list[float] = []
        self._pid = pid
        self._interval = interval
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until `end`."""
        while not self._ended.wait(self._interval):
            self.mb.append(round(sum(map(resident, family(self._pid))) / 1e6, 1))

    def end(self) -> list[float]:
        """Return what was noted."""
        self._ended.set()
        self.join()
        return self.mb


def measure(rate: int, seconds: float) -> Measured:
    """Run a stack of its own, publish at a rate, and wait until everything is stored."""
    events = list(itertools.islice(bodies(), int(rate * seconds)))
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        stack = Stack(Path(folder))
        os.environ.update(stack.variables)
        where = Target.prefixed(stack.variables["PARLEY_PROJECT"])
        try:
            stack.start("pubsub", "bigquery", "pipeline")
            ready.wait_for("BigQuery", ready.bigquery, PATIENCE_SECONDS)
            stack.wait_until("SELECT COUNT(*) FROM {views}.messages", 0)
            # The first event waits until the pipeline reads: it is not what the others are like.
            publish(where.project, events[:1], rate)
            stack.wait_until("SELECT COUNT(*) FROM {rows}.events", 1)
            watched = Watched(stack._processes["pipeline"].pid, seconds / 10)
            watched.start()
            started, spent = time.monotonic(), cpu_seconds(stack._processes["pipeline"].pid)
            late = publish(where.project, events, rate)
            cores = (cpu_seconds(stack._processes["pipeline"].pid) - spent) / (time.monotonic() - started)
            memory = watched.end()
            while (count := stack.scalar("SELECT COUNT(DISTINCT event_id) FROM {rows}.events") - 1) < len(events):
                if time.monotonic() > started + seconds + PATIENCE_SECONDS:
                    break
                time.sleep(0.2)
            took = time.monotonic() - started
            delays = sorted(row[0] for row in client(where).query_and_wait(SQL.format(where.table("events"))))[:-1]
        finally:
            stack.close()
    return Measured(
        rate, seconds, len(events), count, took, late, percentiles(delays), histogram(delays), cores, memory
    )


def cpu_seconds(pid: int) -> float:
    """Return what a process and its children have spent of the processors."""
    stats = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid))
    return sum(int(words[11]) + int(words[12]) for words in stats) / os.sysconf("SC_CLK_TCK")


def percentiles(delays: Sequence[int]) -> dict[str, float]:
    """Return the median and what 95 and 99 of a hundred events did not exceed, of sorted milliseconds."""
    return {f"p{share}": delays[min(len(delays) - 1, len(delays) * share // 100)] for share in (50, 95, 99)}


def histogram(delays: Sequence[int]) -> dict[str, int]:
    """Return how many of sorted milliseconds lie up to each bound and above the one before."""
    ends = [bisect.bisect_right(delays, bound) for bound in BOUNDS_MS]
    starts = [0, *ends[:-1]]
    counts = {str(bound): end - start for bound, start, end in zip(BOUNDS_MS, starts, ends, strict=True)}
    return {**counts, "more": len(delays) - ends[-1]}


def table(found: Sequence[Measured]) -> Table:
    """Return rates, delays and memory."""
    delays = ("p50", "p95", "p99")
    shown = Table(
        "events/s", "stored", "all stored after", *(f"{name} ms" for name in delays), "cores", "pipeline MB"
    )
    for one in found:
        shown.add_row(
            f"{one.rate:,}",
            f"{one.stored_events:,} of {one.events:,}",
            f"{one.stored_after_seconds:.1f} s of {one.seconds:.0f}",
            *(f"{one.delays_ms[name]:,.0f}" for name in delays),
            f"{one.pipeline_cores:.2f}",
            f"{one.pipeline_mb[0]:.0f} → {one.pipeline_mb[-1]:.0f}",
        )
    return shown


def bars(one: Measured) -> Table:
    """Return a histogram as a table."""
    shown = Table(f"ms at {one.rate:,}/s", "events", "")
    most = max(one.histogram.values())
    for bound, count in one.histogram.items():
        shown.add_row(bound, f"{count:,}", "█" * round(40 * count / most))
    return shown


@click.command()
@click.option("--rate", "rates", multiple=True, type=int, default=(200, 1_000), show_default=True)
@click.option("--seconds", default=45.0, show_default=True, help="How long each rate is kept up.")
def main(rates: Sequence[int], seconds: float) -> None:
    """Measure the live pipeline."""
    OUT.mkdir(parents=True, exist_ok=True)
    found = [measure(rate, seconds) for rate in rates]
    (OUT / "streaming.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    console = Console(width=max(120, Console().width))
    console.print(table(found), *map(bars, found))


if __name__ == "__main__":
    main()
