"""Measures what it costs to put right a bug of one event in a hundred, beside what replacing a range cost.

    python -m tests.bench.bench_bug [events]

The rows of a month of all sources are right but for the messages of 1% of the events. Prints for each step its
seconds, those of a processor that the local BigQuery took (which depend less on what else the machine does), the
rows that it wrote into the tables, and for those that place rows the bytes that BigQuery would bill them for, by
the schema (`schemas/scans.py`, `pipelines/generate/volume.py`). The older way deleted the rows of every event of
the range and inserted them again: that is done here as well, at the end. Writes
build/bench/bug.json.
"""

import datetime as dt
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery
from rich.console import Console
from rich.table import Table

from pipelines.bigquery import deploy
from pipelines.bigquery.target import Target, client
from pipelines.core.rows import TABLES
from pipelines.generate.story import DEFAULT_START
from pipelines.generate.volume import volume
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import Request, Run, apply, extent, guards, plan, replacement, roll_back, staging
from pipelines.reprocess.runs import Staging
from pipelines.reprocess.settle import settle
from pipelines.reprocess.sql import Extent, columns, partitions
from pipelines.reprocess.staging import AFFECTED, CHANGES, wait_for
from schemas.scans import scans
from tests.bench.bench_reprocess import DAYS, EVENTS_PER_CONVERSATION, OUT
from tests.bigquery_fixtures import free_ports, running_emulator

SHARE = 0.01
_DIGITS = 3
_ACTOR = "bench"
_START = DEFAULT_START - dt.timedelta(days=1)
_END = DEFAULT_START + dt.timedelta(days=DAYS + 10)
_OPTIONS = PipelineOptions(["--runner=FnApiRunner"])
T = TypeVar("T")

console = Console()


class Step(msgspec.Struct):
    """One step, and what it did."""

    name: str
    seconds: float
    processor: float
    """Seconds of a processor that the local BigQuery took."""
    rows: int
    """Written into the tables that live writes, `superseded` and `retold`."""
    deleted: int
    gigabytes: float | None
    """Read, as BigQuery bills it; None where that is not counted."""


class Bench:
    """Tables, and the steps that were measured on them."""

    def __init__(self, connected: bigquery.Client, live: Target, archive: Path, process: int) -> None:
        self.client, self.live, self.archive, self.process = connected, live, archive, process
        self.steps: list[Step] = []

    def stored(self) -> int:
        sql = " + ".join(
            f"(SELECT COUNT(*) FROM `{self.live.table(table)}`)" for table in (*TABLES, "superseded", "retold")
        )
        return self.number(f"SELECT {sql}")

    def processor(self) -> float:
        """Return how many seconds of a processor the local BigQuery has taken so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def number(self, sql: str) -> int:
        return int(next(iter(self.client.query_and_wait(sql)))[0])

    def measure(self, name: str, act: Callable[[], T], *, bytes_: float | None = None) -> T:
        before, started, taken = self.stored(), time.monotonic(), self.processor()
        done = act()
        seconds, taken = time.monotonic() - started, self.processor() - taken
        grown = self.stored() - before
        read = None if bytes_ is None else bytes_ / 1e9
        self.steps.append(Step(name, seconds, taken, max(grown, 0), max(-grown, 0), read))
        console.print(f"{name}: {seconds:.1f} s, of a processor {taken:.1f} s")
        return done

    def planned(self) -> Run:
        return plan(self.client, self.live, Request(str(self.archive), Selection(), _ACTOR), _OPTIONS)

    def spoil(self) -> None:
        """Let the messages of one event in a hundred be wrong."""
        events = self.number(f"SELECT COUNT(*) FROM `{self.live.table('events')}`")
        with_messages = self.number(f"SELECT COUNT(DISTINCT event_id) FROM `{self.live.table('messages')}`")
        first = f"{round(SHARE * events / with_messages * 16**_DIGITS):0{_DIGITS}x}"
        wrong = f"SUBSTR(event_id, -{_DIGITS}) < '{first}'"
        self.client.query_and_wait(f"UPDATE `{self.live.table('messages')}` SET kind = 'wrong' WHERE {wrong}")

    def scanned(self, statements: Iterator[str], where: Extent, events: int, place: Staging) -> float:
        """Return the bytes that the queries of statements are billed for; those of DELETE as Google bills it."""
        days = frozenset(
            where.first_date + dt.timedelta(n) for n in range((where.last_date - where.first_date).days)
        )
        of_day = events / len(days)
        return sum(
            volume().scanned(scans(self._plain(query, place), {}, days), of_day)
            for query in map(_query, statements)
        )

    def _plain(self, sql: str, place: Staging) -> str:
        """Return a query with the datasets as `scans` knows them; rows of the run are as large as others."""
        small = {
            AFFECTED: "(SELECT 'x' AS event_id)",
            CHANGES: "(SELECT 'x' AS row_id, '' AS table_name, CURRENT_DATE() AS date_before, "
            "CURRENT_DATE() AS date_after)",
        }
        for name, instead in small.items():
            sql = sql.replace(f"`{place.made(name)}`", instead)
        for names, instead in (
            (place.made(""), "rows."),
            (self.live.table(""), "rows."),
            (self.live.view(""), "views."),
        ):
            sql = sql.replace(names, instead)
        return sql


def _query(statement: str) -> str:
    """Return the query of an INSERT, and of a DELETE the query of what it reads: all columns of each partition."""
    if statement.startswith("DELETE"):
        return re.sub(r"^DELETE", "SELECT *", statement)
    return re.sub(r"^\s*INSERT INTO `[^`]+` \([^)]*\)\s*", "", statement)


def older_way(live: Target, place: Staging, where: Extent) -> Iterator[str]:
    """Yield how a run replaced the rows of all of its events: by deleting and inserting."""
    chosen = f"event_id IN (SELECT event_id FROM `{place.made('events')}`)"
    for table in TABLES:
        names = ", ".join(columns(table))
        yield f"DELETE FROM `{live.table(table)}` WHERE {partitions(table, where)} AND {chosen}"
        yield f"INSERT INTO `{live.table(table)}` ({names}) SELECT {names} FROM `{place.made(table)}`"


def run(bench: Bench) -> tuple[int, int]:
    """Measure every step; return of how many events the bug touched how many."""
    first = bench.planned()
    apply(bench.client, bench.live, first.run_id, _ACTOR)
    bench.spoil()

    run = bench.measure("plan", bench.planned)
    place, events = Staging.of(bench.live, run.run_id), run.events or 0
    affected = staging.affected(bench.client, place)
    touched = extent.of_events(bench.client, bench.live, place.made("events"), place.made(AFFECTED))
    whole = extent.of_events(bench.client, bench.live, place.made("events"), place.made("events"))
    assert touched is not None
    assert whole is not None
    moved = guards.Changed.read(bench.client, bench.live, run).moved
    placing = replacement.placing(bench.live, run, touched, dt.datetime.now(dt.UTC), moved, again=False)
    bytes_ = bench.scanned(placing, whole, events, place)
    bench.measure("apply", lambda: apply(bench.client, bench.live, run.run_id, _ACTOR), bytes_=bytes_)
    bench.measure("rollback", lambda: roll_back(bench.client, bench.live, run.run_id, _ACTOR))
    apply(bench.client, bench.live, run.run_id, _ACTOR)

    def nightly() -> None:
        done = settle(bench.client, bench.live, str(bench.archive), _START, _END, _OPTIONS, actor=_ACTOR)
        assert done.agrees

    bench.measure("settle", nightly)
    bench.measure("settle, nothing differs", nightly)

    older = list(older_way(bench.live, place, whole))
    bytes_ = bench.scanned(iter(older), whole, events, place)

    def replace() -> None:
        script = "; ".join(["BEGIN TRANSACTION", *older, "COMMIT TRANSACTION;"])
        wait_for(bench.client.query(script))

    bench.measure("the older way to apply", replace, bytes_=bytes_)
    staged = " + ".join(f"(SELECT COUNT(*) FROM `{place.made(table)}`)" for table in TABLES)
    bench.steps[-1].rows = bench.steps[-1].deleted = bench.number(f"SELECT {staged}")
    return affected, events


def show(affected: int, events: int, steps: list[Step]) -> None:
    table = Table(
        "step",
        "seconds",
        "of a processor",
        "rows written",
        "rows deleted",
        "GB read",
        title=f"{affected:,} of {events:,} events",
    )
    for step in steps:
        read = "" if step.gigabytes is None else f"{step.gigabytes:.3f}"
        times = (f"{step.seconds:.1f}", f"{step.processor:.1f}")
        table.add_row(step.name, *times, f"{step.rows:,}", f"{step.deleted:,}", read)
    console.print(table)


@click.command()
@click.argument("events", type=int, default=100_000)
def main(events: int) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    archive = OUT / f"archive-{events}"
    if not archive.exists():
        made = archive.with_suffix(".part")
        size = ("--conversations", str(round(events / EVENTS_PER_CONVERSATION)), "--days", str(DAYS))
        command = [sys.executable, "-m", "pipelines.cli", "generate", *size, "--archive", str(made)]
        subprocess.run(command, check=True)
        made.rename(archive)
    console.print(f"load: {os.getloadavg()[0]:.1f}")
    with (
        tempfile.TemporaryDirectory(dir=OUT) as folder,
        running_emulator(Path(folder), *free_ports(2)) as emulator,
    ):
        os.environ.update(
            BIGQUERY_EMULATOR_HOST=emulator.rest,
            BIGQUERY_STORAGE_GRPC_ENDPOINT=emulator.rpc,
            NO_GCE_CHECK="true",
            PARLEY_STREAMING_BUFFER_MINUTES="0",
        )
        live = Target.prefixed("parley-bench")
        with client(live) as connected:
            deploy.deploy(connected, live)
            bench = Bench(connected, live, archive, emulator.process.pid)
            affected, all_of_them = run(bench)
    show(affected, all_of_them, bench.steps)
    (OUT / "bug.json").write_bytes(msgspec.json.format(msgspec.json.encode(bench.steps)))


if __name__ == "__main__":
    main()
