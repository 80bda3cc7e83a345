"""Measures what it costs to seal an archive: a receiver's commits, and a batch run.

    python -m tests.bench.bench_sealed [events]

The same events go into a plain and into a sealed archive, in turns and groups as a receiver commits them, and both
are normalized by one process each. Prints the processor time of an event, and how much more the sealed one takes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from pipelines.io.archive_segments import Selection
from pipelines.run import batch
from receiver.durable.segment_log import archive_log
from schemas.raw_event import RawEvent
from tests.raw_events import text_message
from tests.sealed import SECRET, keyring

EVENTS = 60_000
GROUP = 20
SEGMENT_BYTES = 8 << 20
_OPTIONS = PipelineOptions(["--runner=FnApiRunner", "--processes=1"])
_HEADERS = {"header.user-agent": "facebookexternalua", "header.x-hub-signature-256": "sha256=" + "0" * 64}

console = Console()


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of processor time, and of the clock."""
    processor, clock = time.process_time(), time.monotonic()
    act()
    return time.process_time() - processor, time.monotonic() - clock


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    events = [text_message(number) for number in range(count)]
    events = [RawEvent(each.data, {**each.attributes, **_HEADERS}) for each in events]
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        root = Path(folder)
        os.environ |= {"PARLEY_ARCHIVE_KEY": SECRET, "PARLEY_ARCHIVE_KEYS": str(root / "keys")}
        keys = keyring(root / "keys")
        logs = {
            "plain": archive_log(root / "plain", "facebook", SEGMENT_BYTES, 1e9),
            "sealed": archive_log(root / "sealed", "facebook", SEGMENT_BYTES, 1e9, lambda: keys.new().seal),
        }
        took = dict.fromkeys(logs, (0.0, 0.0))
        for start in range(0, count, GROUP):
            for name, log in logs.items():
                spent = timed(lambda: log.append(events[start : start + GROUP]))  # noqa: B023 - called at once
                took[name] = (took[name][0] + spent[0], took[name][1] + spent[1])
                log.rotate()
        for log in logs.values():
            log.close()
        told(f"commit, in groups of {GROUP}", took, count)
        batch.run(str(root / "plain"), Selection(), str(root / "warm"), _OPTIONS)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in logs}
        for turn in range(3):
            for name in logs:
                output = str(root / f"rows-{name}-{turn}")
                runs[name].append(
                    timed(lambda: batch.run(str(root / name), Selection(), output, _OPTIONS))  # noqa: B023
                )
        told("batch run, least of three", {name: min(spent) for name, spent in runs.items()}, count)


def told(what: str, took: dict[str, tuple[float, float]], count: int) -> None:
    (plain, plain_clock), (sealed, sealed_clock) = took["plain"], took["sealed"]
    console.print(
        f"{what}: {1e6 * plain / count:.2f} µs of processor time an event, {1e6 * sealed / count:.2f} sealed "
        f"({100 * (sealed / plain - 1):+.1f}%); by the clock {plain_clock:.1f} s and {sealed_clock:.1f} s"
    )


if __name__ == "__main__":
    main()
