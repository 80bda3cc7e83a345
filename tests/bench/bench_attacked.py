"""Measures what those who prove themselves notice of 64 attackers who cannot, beside the same without attackers.

    python tests/bench/bench_attacked.py [--seconds 10] [--rate 50] [--only KIND ...] [--folder FOLDER]

A receiver runs as the README starts it, a sender posts signed webhooks at a steady rate, and a process of its own
attacks (`attack.py`), with less right to the processors: real attackers have their own. An answer's time counts
from when its webhook was due, so that its wait for a turn counts, too. Only figures of the same run compare.
Prints a table and writes build/bench/attacked.json; fails where one signed webhook is refused, or 99 of 100 are
not answered in time.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from attack import KINDS
from bench_receiver import HERE, RECEIVER, Bench, local_pubsub, memory_mb, signed_requests
from rich.console import Console
from rich.table import Table

OUT = Path("build/bench/attacked.json")
MOST_MS = 250.0
PATIENCE = 20.0
NOBODY = "nobody"


class Measured(msgspec.Struct):
    """What the signed webhooks of one time met; times in milliseconds."""

    attack: str
    sent: int
    refused: int
    """Those that were answered by anything but 200, or by nothing."""
    answers: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float
    rss_mb: float
    """The receiver's memory at the end, while it is still attacked."""
    attacks: str


class Sender:
    """Posts signed webhooks when they are due, each second one over a new connection."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._rate = rate
        self._requests = list(signed_requests(1000))
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.answers: Counter[str] = Counter()
        self.latencies: list[float] = []

    async def send(self, seconds: float) -> None:
        """Send for so long, and wait for the last answers."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        sending = []
        for number in range(int(seconds * self._rate)):
            due = started + number / self._rate
            await asyncio.sleep(due - loop.time())
            sending.append(asyncio.create_task(self._post(number, due)))
        await asyncio.gather(*sending)
        for _, writer in self._idle:
            writer.close()

    async def _post(self, number: int, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._answer(number)
        except (OSError, EOFError, TimeoutError) as error:
            answer = type(error).__name__
        self.answers[answer] += 1
        self.latencies.append(1e3 * (loop.time() - due))

    async def _answer(self, number: int) -> str:
        fresh = number % 2 == 0 or not self._idle
        connection = await asyncio.open_connection("127.0.0.1", self._port) if fresh else self._idle.pop()
        reader, writer = connection
        writer.write(self._requests[number % len(self._requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: 0" not in head.lower():
            writer.close()
        elif fresh and len(self._idle) < 16:
            self._idle.append(connection)
        elif fresh:
            writer.close()
        else:
            self._idle.append(connection)
        return head[9:12].decode()


@contextlib.contextmanager
def attacked(kind: str, port: int, seconds: float) -> Iterator[list[str]]:
    """Attack for so long; the list gets what was done."""
    said: list[str] = []
    if kind == NOBODY:
        yield said
        return
    command = [sys.executable, str(HERE / "attack.py"), kind, str(port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield said
            said.append(process.communicate(timeout=PATIENCE)[0].strip())
        finally:
            process.kill()


def measure(bench: Bench, kind: str, seconds: float, rate: float) -> Measured:
    """Send for so long while somebody attacks, or nobody."""
    bench.clean()
    environ = {"PARLEY_TWILIO_AUTH_TOKENS": "bench", "PARLEY_PUBLIC_URL": "https://parley.example"}
    with bench.serving(RECEIVER, **environ) as (process, port):
        asyncio.run(Sender(port, rate).send(1.0))
        sender = Sender(port, rate)
        # They begin before it does, and go on until after its last webhook.
        with attacked(kind, port, seconds + 2.0) as said:
            time.sleep(1.0)
            asyncio.run(sender.send(seconds))
            rss = memory_mb(process.pid)
        latencies = sorted(sender.latencies)
        return Measured(
            attack=kind,
            sent=len(latencies),
            refused=len(latencies) - sender.answers["200"],
            answers=dict(sender.answers),
            p50_ms=latencies[len(latencies) // 2],
            p99_ms=latencies[int(0.99 * len(latencies))],
            max_ms=latencies[-1],
            rss_mb=rss,
            attacks="; ".join(said),
        )


def table(rows: list[Measured]) -> Table:
    """Return the rows as a table, each beside the one that nobody attacked."""
    shown = Table("attacked by", "signed", "refused", "p50 ms", "p99 ms", "of calm", "max ms", "RSS MB", "attacks")
    calm = rows[0].p99_ms
    for row in rows:
        shown.add_row(
            row.attack,
            f"{row.sent:,}",
            f"{row.refused:,}",
            f"{row.p50_ms:.1f}",
            f"{row.p99_ms:.1f}",
            f"{row.p99_ms / calm:.1f}",
            f"{row.max_ms:.1f}",
            f"{row.rss_mb:.0f}",
            row.attacks,
        )
    return shown


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long the sender sends in each row.")
@click.option("--rate", default=50.0, show_default=True, help="Signed webhooks a second.")
@click.option("--only", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these attacks.")
@click.option("--folder", type=Path, default=OUT.parent, show_default=True, help="On the disk that is to be used.")
def main(seconds: float, rate: float, kinds: tuple[str, ...], folder: Path) -> None:
    """Measure what the proven notice of an attack."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with local_pubsub() as pubsub, tempfile.TemporaryDirectory(dir=folder) as data:
        bench = Bench(pubsub, Path(data), seconds, 64)
        rows = [measure(bench, kind, seconds, rate) for kind in (NOBODY, *(kinds or KINDS))]
    OUT.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    Console(width=max(160, Console().width)).print(table(rows))
    sys.exit(any(row.refused or row.p99_ms > MOST_MS for row in rows))


if __name__ == "__main__":
    main()
