"""Measures what it takes to erase people from an archive, and from the tables.

    python -m tests.bench.bench_erase [events] [people] [--days 1]

A day of all sources is archived and in the tables; the people who wrote in most of its hours are erased together,
by the commands that an operator uses, so that most segments are written anew. Prints for each of them the seconds,
those of its processor, and the most memory that its process had, beside those of reprocessing the same archive.
`apply` waits for 45 of its seconds (`docs/privacy.md`). Writes build/bench/erase.json. The local BigQuery shares
the processor.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
from google.cloud import bigquery
from rich.console import Console
from rich.table import Table

from pipelines.bigquery import deploy, suppressed
from pipelines.bigquery.target import Target, client
from pipelines.erase.erasures import Erasures
from pipelines.io.archive_segments import Selection, find_segments
from tests.bench.bench_reprocess import EVENTS_PER_CONVERSATION, OUT
from tests.bigquery_fixtures import free_ports, running_emulator

PARLEY = (sys.executable, "-m", "pipelines.cli")

console = Console()


class Step(msgspec.Struct):
    """One command, and what it took."""

    name: str
    seconds: float
    processor_seconds: float
    megabytes: float
    """The most memory of its process."""


def measured(*words: str) -> Step:
    """Run a command of parley, and measure it."""
    started = time.monotonic()
    with subprocess.Popen([*PARLEY, *words], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (words[:3], process.returncode)
    step = Step(
        " ".join(words[:2]), time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    )
    console.print(f"{step.name}: {step.seconds:.1f} s, {step.megabytes:.0f} MB")
    return step


def chosen(connected: bigquery.Client, live: Target, people: int) -> list[str]:
    """Return the contacts whose conversations were told of in most hours: each hour has segments of its own."""
    hours = "COUNT(DISTINCT TIMESTAMP_TRUNC(received_at, HOUR))"
    sql = (
        f"SELECT contact_id FROM `{live.table('conversations')}` WHERE contact_id IS NOT NULL "
        f"GROUP BY contact_id ORDER BY {hours} DESC, contact_id LIMIT {people}"
    )
    return [row[0] for row in connected.query_and_wait(sql)]


def run(connected: bigquery.Client, live: Target, people: int) -> list[Step]:
    """Erase people, step by step."""
    steps = [measured("backfill", "plan", "--reason", "bench"), measured("backfill", "apply", "latest")]
    one, *others = chosen(connected, live, people)
    also = [word for each in others for word in ("--also", each)]
    for words in (
        ("plan", "--contact", one, *also, "--reason", "bench"),
        ("apply", "latest", "--force"),
        ("verify", "latest"),
    ):
        steps.append(measured("erase", *words))
        done = Erasures(connected, live).get("latest")
        told = {name: number for name, number in done.numbers().items() if not isinstance(number, dict)}
        console.print(f"{done.state}: {told}")
    return steps


@click.command()
@click.argument("events", type=int, default=1_000_000)
@click.argument("people", type=int, default=100)
@click.option("--days", default=1, show_default=True)
def main(events: int, people: int, days: int) -> None:
    """Make a world, and erase some of its people."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=OUT) as folder,
        running_emulator(Path(folder) / "bigquery", *free_ports(2)) as emulator,
    ):
        # Made anew each time: it is not what it was afterwards.
        archive = f"{folder}/archive"
        size = ("--conversations", str(round(events / EVENTS_PER_CONVERSATION)), "--days", str(days))
        subprocess.run([*PARLEY, "generate", *size, "--archive", archive], check=True)
        console.print(f"load: {os.getloadavg()[0]:.1f}")
        os.environ.update(
            BIGQUERY_EMULATOR_HOST=emulator.rest,
            BIGQUERY_STORAGE_GRPC_ENDPOINT=emulator.rpc,
            NO_GCE_CHECK="true",
            PARLEY_ARCHIVE=archive,
            PARLEY_PROJECT="parley-bench",
            PARLEY_STREAMING_BUFFER_MINUTES="0",
        )
        os.environ[suppressed.KEY] = "a key of the bench, and of nothing else in the world"
        live = Target.prefixed("parley-bench")
        with client(live) as connected:
            deploy.deploy(connected, live)
            steps = run(connected, live, people)
        console.print(f"{len(find_segments(archive, Selection())):,} segments")
    table = Table("step", "seconds", "of its processor", "MB", title=f"{people} people of about {events:,} events")
    for step in steps:
        numbers = (step.seconds, step.processor_seconds, step.megabytes)
        table.add_row(step.name, f"{numbers[0]:.1f}", f"{numbers[1]:.1f}", f"{numbers[2]:.0f}")
    console.print(table)
    (OUT / "erase.json").write_bytes(msgspec.json.format(msgspec.json.encode(steps)))


if __name__ == "__main__":
    main()
