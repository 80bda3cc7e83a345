"""Measures what an event costs, beside what it cost at another commit, in one run.

    python -m tests.bench.bench_costs [--base COMMIT] [--events N] [--rounds N]

Rows and logical bytes in BigQuery by table, and processor time by step, of the sample world (`costs.py`). The two
commits take turns in processes of their own, since a shared machine's speed varies from minute to minute: the
median of the rounds' ratios counts. Prints tables, and writes build/bench/costs.json.
"""

import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.costs import Costs
from tests.bench.world import OUT, archive

BASE: Final = "8cd8954"
"""The commit before the work on what an event costs."""
SCRIPT: Final = Path(__file__).with_name("costs.py")
HERE: Final = SCRIPT.parents[2]


def measure(tree: Path, volume: int, seconds: float) -> Costs:
    """Run `costs.py` over the archive of a volume with the code of a tree."""
    command = [sys.executable, "-P", str(SCRIPT), str(archive(volume).resolve()), str(seconds)]
    done = subprocess.run(
        command, check=False, capture_output=True, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}
    )
    if done.returncode:
        raise click.ClickException(f"{tree} failed:\n{done.stderr.decode()[-4_000:]}")
    return msgspec.json.decode(done.stdout, type=Costs)


def check_out(commit: str, folder: Path) -> bool:
    """Write the code of a commit into a folder; tell whether the repository has it."""
    done = subprocess.run(
        ["git", "archive", commit, "pipelines", "schemas", "receiver"], cwd=HERE, check=False, capture_output=True
    )
    if done.returncode:
        return False
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return True


def of_rows(now: Costs, base: Costs | None) -> Table:
    """Return rows and bytes an event by table."""
    shown = Table("table", "rows an event", "bytes an event", *(("rows at base", "bytes at base") if base else ()))

    def row(name: str, tables: list[str]) -> None:
        cells = []
        for costs in filter(None, (now, base)):
            cells.append(f"{sum(costs.rows.get(table, 0) for table in tables) / costs.events:.2f}")
            cells.append(f"{sum(costs.bytes.get(table, 0) for table in tables) / costs.events:,.0f}")
        shown.add_row(name, *cells)

    tables = list(now.rows | (base.rows if base else {}))
    for table in tables:
        row(table, [table])
    shown.add_section()
    row("all", tables)
    return shown


def of_time(rounds: list[tuple[Costs, Costs | None]]) -> tuple[Table, dict[str, list[float]]]:
    """Return microseconds an event by step, and how many times as fast each is as at the base, round by round."""
    shown = Table("step", "µs of processor time an event", "at base", "times as fast")
    ratios: dict[str, list[float]] = {}
    for name, steps in _steps(rounds[0][0]).items():
        spent = [[_micros(each, steps) for each in of_round if each] for of_round in rounds]
        median = [statistics.median(of_tree) for of_tree in zip(*spent, strict=True)]
        ratios[name] = [each[1] / each[0] for each in spent if len(each) > 1]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios[name])
        compared = (f"{median[1]:.1f}", f"{statistics.median(ratios[name]):.2f} ({each})") if each else ("", "")
        shown.add_row(name, f"{median[0]:.1f}", *compared)
    return shown, ratios


def _steps(costs: Costs) -> dict[str, list[str]]:
    live, batch = ("read", "normalize", "append"), ("read", "normalize", "parquet")
    return {**{step: [step] for step in costs.seconds}, "all of live": list(live), "all of batch": list(batch)}


def _micros(costs: Costs, steps: list[str]) -> float:
    return 1e6 * sum(costs.seconds[step] for step in steps) / costs.worked


@click.command()
@click.option("--base", default=BASE, show_default=True, help="The commit to compare with.")
@click.option("--events", "volume", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Processor time of each measurement.")
def main(base: str, volume: int, rounds: int, seconds: float) -> None:
    """Measure rows, bytes and processor time an event."""
    OUT.mkdir(parents=True, exist_ok=True)
    console = Console(width=max(120, Console().width))
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        tree = Path(folder).resolve()
        has_base = check_out(base, tree)
        if not has_base:
            console.print(f"no commit {base} here: nothing to compare with")
        measured = [
            (measure(HERE, volume, seconds), measure(tree, volume, seconds) if has_base else None)
            for _ in range(rounds)
        ]
    table, ratios = of_time(measured)
    report = {"base": base, "ratios": ratios, "rounds": measured}
    (OUT / "costs.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    console.print(of_rows(*measured[-1]), table)


if __name__ == "__main__":
    main()
