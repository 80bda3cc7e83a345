"""Measures replies from the receiver to their provider, over the sandbox: how soon, and how many a second.

    python tests/bench/bench_replies.py [--replies 1000]

Prints a table and writes build/bench/replies.json. Receiver, sender, sandbox and Pub/Sub share the processor; what
a core of the sender does is counted in its own processor time.
"""

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "pipelines" / "replies"))

import storm  # noqa: E402
from storm import POSTERS, SOURCES, Posters, Stack  # noqa: E402

from pipelines.sandbox.faults import Faults  # noqa: E402

OUT = Path("build/bench/replies.json")
TIMED = 100
PATIENCE = 300.0


def wait_until(stack: Stack, sent: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(stack.world.sent) < sent:
        assert time.monotonic() < deadline, f"{len(stack.world.sent)} of {sent} in {PATIENCE:g} s"
        time.sleep(0.002)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, replies: int) -> dict[str, float]:
    """Send some one by one, then all of the others at once."""
    # No rate but the machine's own.
    storm.PER_SECOND = dict.fromkeys(storm.PER_SECOND, 100_000)
    stack = Stack(folder, senders=1, seed=1, doubt=120.0)
    stack.world.faults = Faults()
    stack.world.is_too_fast_for = lambda *_: False
    try:
        for source, number in ((source, number) for source in SOURCES for number in range(2000 + replies)):
            stack.world.wrote(storm.ACCOUNTS[source], storm.person(source, number))
        stack.supervise()
        while not stack.listens():
            time.sleep(0.05)
        # The first ones open connections.
        Posters(stack.port, POSTERS, lambda _: False).run()
        wait_until(stack, POSTERS)
        delays = []
        for number in range(TIMED):
            posted = time.time()
            Posters(stack.port, 1, lambda _: False, first=1000 + number).run()
            wait_until(stack, POSTERS + number + 1)
            delays.append(stack.world.sent[-1].at - posted)
        before, cpu = len(stack.world.sent), processor_seconds(stack.sender_pid())
        begun = time.monotonic()
        Posters(stack.port, replies, lambda _: False, first=2000).run()
        wait_until(stack, before + replies)
        seconds, cpu = time.monotonic() - begun, processor_seconds(stack.sender_pid()) - cpu
    finally:
        stack.close()
    return {
        "from the post to the provider, median ms": 1000 * statistics.median(delays),
        "of a hundred the slowest but five, ms": 1000 * sorted(delays)[94],
        "replies a second, end to end": replies / seconds,
        "replies a second and core of the sender": replies / cpu,
    }


@click.command()
@click.option("--replies", default=1_000, show_default=True)
def main(replies: int) -> None:
    """Measure, print and keep."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        figures = measure(Path(folder), replies)
    for name, value in figures.items():
        print(f"{value:>10,.1f}  {name}")  # noqa: T201
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2), "utf-8")


if __name__ == "__main__":
    main()
