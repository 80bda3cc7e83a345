"""Measures what it takes to erase people from an archive, and from the tables.

    python -m tests.bench.bench_erase [events] [people]

A month of all sources is archived and in the tables; people by chance are erased together. Prints for plan,
apply and verify the seconds, the bytes of segments that were written anew, and the most memory that this process
has had. Writes build/bench/erase.json.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery
from rich.console import Console
from rich.table import Table

from pipelines import erase
from pipelines.bigquery import deploy, suppressed
from pipelines.bigquery.target import Target, client
from pipelines.erase.plan import Wanted
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.reprocess import Request, apply, plan
from tests.bench.bench_reprocess import DAYS, EVENTS_PER_CONVERSATION, OUT
from tests.bigquery_fixtures import free_ports, running_emulator

_ACTOR = "bench"
_OPTIONS = PipelineOptions(["--runner=FnApiRunner"])
T = TypeVar("T")

console = Console()


class Step(msgspec.Struct):
    """One step, and what it took."""

    name: str
    seconds: float
    megabytes: float
    """The most memory of this process by then."""


def measured(steps: list[Step], name: str, act: Callable[[], T]) -> T:
    started = time.monotonic()
    done = act()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps.append(Step(name, time.monotonic() - started, most))
    console.print(f"{name}: {steps[-1].seconds:.1f} s, {most:.0f} MB")
    return done


def chosen(connected: bigquery.Client, live: Target, people: int) -> list[str]:
    sql = f"SELECT DISTINCT contact_id FROM `{live.table('contacts')}` ORDER BY contact_id"
    known = [row[0] for row in connected.query_and_wait(sql)]
    return random.Random(7).sample(known, people)


def run(connected: bigquery.Client, live: Target, archive: Path, people: int) -> list[Step]:
    steps: list[Step] = []
    place = (connected, live, str(archive))
    first = measured(
        steps, "reprocessing all", lambda: plan(connected, live, Request(place[2], Selection(), _ACTOR), _OPTIONS)
    )
    apply(connected, live, first.run_id, _ACTOR)
    one, *others = chosen(connected, live, people)
    wanted = Wanted(contact_id=one, also=tuple(others))
    planned = measured(steps, "plan", lambda: erase.plan(*place, wanted, _ACTOR, "bench"))
    console.print(f"{planned.alone:,} events alone, {planned.beside:,} beside others', of {first.events or 0:,}")
    done = measured(steps, "apply", lambda: erase.apply(*place, planned.run_id, _ACTOR, _OPTIONS, forced=True))
    segments = find_segments(place[2], Selection())
    console.print(f"{done.segments:,} of {len(segments):,} segments written anew, {done.bytes / 1e6:.1f} MB")
    console.print(f"{done.deleted_rows:,} rows deleted")
    report = measured(steps, "verify", lambda: erase.verify(*place, planned.run_id, _ACTOR))
    assert report.is_clean, [each for each in report.searched if each.hits]
    return steps


@click.command()
@click.argument("events", type=int, default=1_000_000)
@click.argument("people", type=int, default=100)
def main(events: int, people: int) -> None:
    # No live pipeline has to hear of it.
    suppressed.KNOWN_AFTER_SECONDS = 0.0
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=OUT) as folder,
        running_emulator(Path(folder) / "bigquery", *free_ports(2)) as emulator,
    ):
        # Made anew each time: it is not what it was afterwards.
        archive = Path(folder) / "archive"
        size = ("--conversations", str(round(events / EVENTS_PER_CONVERSATION)), "--days", str(DAYS))
        command = [sys.executable, "-m", "pipelines.cli", "generate", *size, "--archive", str(archive)]
        subprocess.run(command, check=True)
        console.print(f"load: {os.getloadavg()[0]:.1f}")
        os.environ.update(
            BIGQUERY_EMULATOR_HOST=emulator.rest,
            BIGQUERY_STORAGE_GRPC_ENDPOINT=emulator.rpc,
            NO_GCE_CHECK="true",
            PARLEY_STREAMING_BUFFER_MINUTES="0",
        )
        os.environ[suppressed.KEY] = "a key of the bench, and of nothing else in the world"
        live = Target.prefixed("parley-bench")
        with client(live) as connected:
            deploy.deploy(connected, live)
            steps = run(connected, live, archive, people)
    table = Table("step", "seconds", "MB", title=f"{people} people of about {events:,} events")
    for step in steps:
        table.add_row(step.name, f"{step.seconds:.1f}", f"{step.megabytes:.0f}")
    console.print(table)
    (OUT / "erase.json").write_bytes(msgspec.json.format(msgspec.json.encode(steps)))


if __name__ == "__main__":
    main()
