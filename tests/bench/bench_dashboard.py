"""Measures how soon each page of the dashboard is there, over a sample world on one machine.

    python -m tests.bench.bench_dashboard [conversations ...]

By default 7,500 conversations in 90 days, which are about 50,000 messages; 150,000 are a million. Each page is
asked for three times, of the last week and of all days; the table has the median. The overview is its frame and
its panels, asked at once as a browser does; of reports, a browser asks for those that it shows. Writes
build/bench/dashboard.json. The local BigQuery shares the processor.
"""

import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from flask import Flask
from rich.console import Console
from rich.table import Table

from pipelines.bigquery import resolving
from pipelines.bigquery.target import Target, client
from pipelines.dashboard import reports
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Warehouse
from tests.bigquery_fixtures import free_ports, running_emulator

DEFAULT = 7_500
DAYS = 90
ROUNDS = 3
PROMISED_SECONDS = 2.0
OUT = Path("build/bench")
PARLEY = (sys.executable, "-m", "pipelines.cli")
SEEN_FIRST = 2
"""How many reports a screen has before somebody scrolls: the others are asked for then."""
PANELS = ("status", "totals", "activity", "funnel", "responses", "troubles")

console = Console()


class Measured(msgspec.Struct):
    """One page of one period."""

    messages: int
    days: int
    page: str
    seconds: float


def main() -> None:
    """Measure each volume that the command line names."""
    found: list[Measured] = []
    for conversations in [int(argument) for argument in sys.argv[1:]] or [DEFAULT]:
        with tempfile.TemporaryDirectory() as folder:
            found += bench(conversations, Path(folder))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "dashboard.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    show(found)


def bench(conversations: int, folder: Path) -> list[Measured]:
    """Return what each page took over a world of so many conversations."""
    archive = made_once(conversations)
    with running_emulator(folder, *free_ports(2)) as emulator:
        os.environ.update(
            PARLEY_PROJECT="parley-bench",
            BIGQUERY_EMULATOR_HOST=emulator.rest,
            BIGQUERY_STORAGE_GRPC_ENDPOINT=emulator.rpc,
            NO_GCE_CHECK="true",
            PARLEY_STREAMING_BUFFER_MINUTES="0",
        )
        subprocess.run(
            [*PARLEY, "batch", "--archive", str(archive), "--into", "bench_"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        target = Target.prefixed("parley-bench", "bench_")
        warehouse = Warehouse(target, lambda: client(target))
        # As parley settle does each night.
        resolving.keep(warehouse.client, target)
        (counted,) = warehouse.client.query_and_wait(
            f"SELECT COUNT(*) AS messages, MAX(sent_date) AS day FROM `{target.views_dataset}.messages_as_told`"
        )
        app = create_app(warehouse, str(archive), today=lambda: counted["day"])
        return [
            measured(app, counted["messages"], days, page, paths)
            for days in (7, DAYS)
            for page, paths in pages(warehouse, counted["day"], days)
        ]


def made_once(conversations: int) -> Path:
    """Return an archive of so many conversations, kept for the next time."""
    archive = OUT / f"conversations-{conversations}"
    if not archive.exists():
        part = archive.with_suffix(".part")
        size = ("--conversations", str(conversations), "--days", str(DAYS))
        subprocess.run([*PARLEY, "generate", *size, "--archive", str(part)], check=True)
        part.rename(archive)
    return archive


def pages(warehouse: Warehouse, last: dt.date, days: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each page by a name, with all that a browser asks for to show it."""
    period = f"from={last - dt.timedelta(days=days - 1)}&to={last}"
    panels = {name: f"/panels/{name}?{period}" for name in PANELS}
    yield "overview", [f"/?{period}", *panels.values()]
    yield from ((f"panel {name}", [path]) for name, path in panels.items())
    reported = {name: f"/panels/reports/{name}?{period}" for name in reports.PANELS}
    seen_first = list(reported.values())[:SEEN_FIRST]
    yield "reports as seen first", [f"/reports/?{period}", *seen_first]
    yield "reports, all at once", [f"/reports/?{period}", *reported.values()]
    yield from ((f"report {name}", [path]) for name, path in reported.items())
    lists = {
        "conversations": "",
        "conversations of a name": "contact=an",
        "conversations that wait": "waiting=1",
        "messages": "",
        "messages read": "which=read",
        "messages unanswered": "which=unanswered",
        "messages that say": "text=coat",
        "people": "",
        "people of a name": "contact=an",
        "response-times": "",
        "webhooks": "",
        "webhooks failed": "outcome=failed",
        "dead-letters": "",
    }
    for name, query in lists.items():
        yield name, [f"/{name.split()[0]}/?{period}&{query}"]
    (talk,) = warehouse.client.query_and_wait(
        "SELECT conversation_id, contact_id, event_id, DATE(MAX(received_at)) AS day "
        f"FROM `{warehouse.target.views_dataset}.messages_as_told` WHERE sent_date = '{last}' "
        "GROUP BY conversation_id, contact_id, event_id ORDER BY conversation_id LIMIT 1"
    )
    if days == DAYS:
        return
    yield "conversation", [f"/conversations/{talk['conversation_id']}?day={last}"]
    yield "person", [f"/people/{talk['contact_id']}?day={last}"]
    yield "raw event", [f"/events/{talk['day']}/{talk['event_id']}"]
    yield "runs", ["/runs/"]


def measured(app: Flask, messages: int, days: int, page: str, paths: list[str]) -> Measured:
    """Ask for a page as a browser does, all parts at once."""

    def asked(path: str) -> None:
        status = app.test_client().get(path).status_code
        assert status == 200, f"{path}: {status}"

    seconds = []
    with ThreadPoolExecutor(len(paths)) as browser:
        for _ in range(ROUNDS):
            started = time.monotonic()
            list(browser.map(asked, paths))
            seconds.append(time.monotonic() - started)
    found = Measured(messages, days, page, statistics.median(seconds))
    console.print(f"{days:3} days  {page:26} {found.seconds:6.2f} s")
    return found


def show(found: list[Measured]) -> None:
    """Print a table, with what is slower than promised marked."""
    table = Table("messages", "days", "page", "seconds")
    for one in found:
        mark = "" if one.seconds <= PROMISED_SECONDS else " !"
        table.add_row(f"{one.messages:,}", str(one.days), one.page, f"{one.seconds:.2f}{mark}")
    console.print(table)


if __name__ == "__main__":
    main()
