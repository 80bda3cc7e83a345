"""Measures the receiver beside a bare route and the plain way, on one machine in one run.

    python tests/bench/bench_receiver.py [--seconds 10] [--connections 64] [--only NAME ...]

Prints a table and writes build/bench/receiver.json. The load generator and the local Pub/Sub share
the processor with what they measure, so only numbers of the same run compare.
"""

import contextlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import grpc
import msgspec
from google.api_core.retry import Retry
from google.cloud.pubsub_v1 import PublisherClient
from load import Result, run
from rich.console import Console
from rich.table import Table

from pipelines.local.pubsub import RemoteFaults
from receiver.durable.spool import Spool
from receiver.proofs.signatures import hmac_hex
from schemas.raw_event import RawEvent

PROJECT = "parley-bench"
SECRET = "bench-secret"
SPOOLED = 100_000
WORKERS = 2
OUT = Path("build/bench/receiver.json")
HERE = Path(__file__).parent


class Measured(msgspec.Struct):
    """One row of the table."""

    name: str
    result: Result
    cpu_us_per_request: float
    rss_mb_first: float
    rss_mb_last: float


class Bench:
    """The local Pub/Sub, a folder for data, and the ways to serve."""

    def __init__(self, pubsub: str, folder: Path, seconds: float, connections: int) -> None:
        self.faults = RemoteFaults(pubsub)
        self.folder = folder
        self._seconds = seconds
        self._connections = connections
        self._requests = list(signed_requests(1000))
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
            "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}",
            "PUBSUB_EMULATOR_HOST": pubsub,
            "NO_GCE_CHECK": "true",
            "PARLEY_PROJECT": PROJECT,
            "PARLEY_ARCHIVE": str(folder / "archive"),
            "PARLEY_DATA_DIR": str(folder / "data"),
            "PARLEY_FACEBOOK_APP_SECRETS": SECRET,
            "PARLEY_WORKERS": str(WORKERS),
        }

    def measure(self, name: str, command: list[str], **environ: str) -> Measured:
        """Serve by a command, in which PORT is replaced, and load it."""
        with self.serving(command, **environ) as (process, port):
            # Once without measuring: the first seconds of a process are not what it is like.
            run(port, self._requests, connections=self._connections, seconds=0.5, warm_up=0.5)
            rss, cpu = memory_mb(process.pid), cpu_seconds(process.pid)
            result = run(port, self._requests, connections=self._connections, seconds=self._seconds, warm_up=0)
            spent = cpu_seconds(process.pid) - cpu
            return Measured(name, result, 1e6 * spent / max(1, result.requests), rss, memory_mb(process.pid))

    @contextlib.contextmanager
    def serving(self, command: list[str], **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Run a server, wait until it answers, and stop it at the end."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in command],
            env={**self._environ, "PARLEY_PORT": str(port), **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: process.poll() is None and answers(port))
            yield process, port
        finally:
            process.terminate()
            process.wait(60)

    def clean(self) -> None:
        """Forget what earlier runs have left."""
        for name in ("archive", "data"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def signed_requests(count: int) -> Iterator[bytes]:
    """Yield webhooks like Messenger's, 560 bytes each."""
    for number in range(count):
        body = json.dumps(
            {"object": "page", "entry": [{"id": "1", "messaging": [{"mid": f"m_{number}"}]}], "text": "x" * 480}
        ).encode()
        head = (
            "POST /facebook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: bench\r\n"
            f"X-Hub-Signature-256: sha256={hmac_hex(SECRET, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


RECEIVER = [sys.executable, "-m", "receiver"]
BARE = [
    *(sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--factory"),
    *("--workers", str(WORKERS), "--blocking-threads", "256", "--port", "PORT", "rivals:bare"),
]
PLAIN = [
    *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(WORKERS)),
    *("--threads", "32", "--bind", "127.0.0.1:PORT", "rivals:plain()"),
]


def bare(bench: Bench) -> Measured:
    """A Flask route that does nothing, served by granian."""
    return bench.measure("bare", BARE)


def durable(bench: Bench) -> Measured:
    """The receiver: archive and Pub/Sub."""
    return bench.measure("durable", RECEIVER)


def publish_only(bench: Bench) -> Measured:
    """The receiver without an archive of its own."""
    return bench.measure("publish_only", RECEIVER, PARLEY_ARCHIVE="none")


def outage(bench: Bench) -> Measured:
    """The receiver while Pub/Sub answers UNAVAILABLE."""
    bench.faults.set("Publish", code=grpc.StatusCode.UNAVAILABLE)
    try:
        return bench.measure("outage", RECEIVER)
    finally:
        bench.faults.clear()


def hanging(bench: Bench) -> Measured:
    """The receiver while Pub/Sub does not answer at all."""
    bench.faults.set("Publish", hang=True)
    try:
        return bench.measure("hanging", RECEIVER)
    finally:
        bench.faults.clear()


def plain(bench: Bench) -> Measured:
    """Flask, gunicorn, one publish and one fsync a request."""
    return bench.measure("plain", PLAIN)


ROWS: dict[str, Callable[[Bench], Measured]] = {
    row.__name__: row for row in (bare, durable, publish_only, outage, hanging, plain)
}


def first_request_after(bench: Bench, events: int) -> dict[str, float]:
    """Measure a restart with a full spool: seconds to the first 200, and until it is empty."""
    bench.clean()
    spool = Spool(bench.folder / "data" / "spool", "facebook")
    for first in range(0, events, 500):
        spool.append([spooled_event(number) for number in range(first, first + 500)])
    spool.seal()
    started = time.monotonic()
    with bench.serving(RECEIVER):
        accepted = time.monotonic() - started
        wait_until(lambda: not spool.closed(), 300)
        return {"first_request_seconds": accepted, "drained_seconds": time.monotonic() - started}


def spooled_event(number: int) -> RawEvent:
    """Return an event as an outage has left it."""
    attributes = {"event_id": str(number), "source": "facebook", "received_at": "2026-03-01T10:00:00.000000Z"}
    return RawEvent(b"x" * 560, attributes)


def answers(port: int) -> bool:
    """Say whether a server takes a signed webhook."""
    body = b"{}"
    headers = {"X-Hub-Signature-256": f"sha256={hmac_hex(SECRET, body)}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/facebook", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition; raise TimeoutError where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Return what a process and its descendants have spent of the processors."""
    words = [Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split() for each in tree(pid)]
    return sum(int(each[11]) + int(each[12]) for each in words) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its descendants."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def local_pubsub() -> Iterator[str]:
    """Run the local Pub/Sub with a topic that nobody subscribes to, so that it keeps nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [sys.executable, "-m", "pipelines.local.pubsub", "--port", address.partition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        PublisherClient().create_topic(name=f"projects/{PROJECT}/topics/raw-facebook", retry=Retry(timeout=60))
        yield address
    finally:
        process.terminate()
        process.wait(30)


@click.command()
@click.option("--seconds", default=4.0, show_default=True, help="How long each row is measured in a round.")
@click.option("--rounds", default=3, show_default=True, help="Of each row the median round is shown.")
@click.option("--connections", default=64, show_default=True)
@click.option("--only", "names", multiple=True, type=click.Choice(list(ROWS)), help="Only these rows.")
def main(seconds: float, rounds: int, connections: int, names: tuple[str, ...]) -> None:
    """Measure the receiver beside a bare route and the plain way."""
    console = Console(width=max(120, Console().width))
    chosen = list(names or ROWS)
    if "plain" in chosen and importlib.util.find_spec("gunicorn") is None:
        console.print("plain is left out: gunicorn is not installed")
        chosen.remove("plain")
    measured: dict[str, list[Measured]] = {name: [] for name in chosen}
    with (
        local_pubsub() as pubsub,
        tempfile.TemporaryDirectory(dir=OUT.parent if OUT.parent.is_dir() else None) as tmp,
    ):
        bench = Bench(pubsub, Path(tmp), seconds, connections)
        # Round by round, so that what else the machine does in a while falls on every row.
        for name in chosen * rounds:
            bench.clean()
            measured[name].append(ROWS[name](bench))
        restart = first_request_after(bench, SPOOLED) if not names else {}
    rows = [median(of_row) for of_row in measured.values()]
    write(rows, restart, connections)
    console.print(table(rows))
    if restart:
        console.print(
            f"After a start with {SPOOLED:,} spooled events the first request is answered within "
            f"{restart['first_request_seconds']:.2f} s, and the spool is empty "
            f"after {restart['drained_seconds']:.1f} s."
        )


def median(of_row: list[Measured]) -> Measured:
    """Return the round of the middle rate."""
    return sorted(of_row, key=lambda each: each.result.requests_per_second)[len(of_row) // 2]


def table(rows: list[Measured]) -> Table:
    """Return the rows as a table, with the ratios that are promised."""
    shown = Table(
        "", "requests/s", "of bare", "p50 ms", "p99 ms", "errors", "CPU µs/request", "RSS MB first → last"
    )
    by_name = {row.name: row.result.requests_per_second for row in rows}
    for row in rows:
        ratio = row.result.requests_per_second / by_name["bare"] if "bare" in by_name else float("nan")
        shown.add_row(
            row.name,
            f"{row.result.requests_per_second:,.0f}",
            f"{ratio:.2f}",
            f"{row.result.p50_ms:.1f}",
            f"{row.result.p99_ms:.1f}",
            str(row.result.errors),
            f"{row.cpu_us_per_request:.0f}",
            f"{row.rss_mb_first:.0f} → {row.rss_mb_last:.0f}",
        )
    return shown


def write(rows: list[Measured], restart: dict[str, float], connections: int) -> None:
    """Write what was measured, and on what."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "connections": connections,
        "rows": {row.name: row for row in rows},
        "restart": restart,
    }
    OUT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


if __name__ == "__main__":
    main()
