"""Runs and differences as a person reads them in a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import describe
from pipelines.reprocess.diff import Difference, Sample
from pipelines.reprocess.previewing import Messages
from pipelines.reprocess.runs import Run
from pipelines.reprocess.steps import Steps
from pipelines.run.harmless import harmless

KINDS: Final = ("added", "removed", "changed", "unchanged")
_COLORS: Final = {"added": "green", "removed": "red", "changed": "yellow", "unchanged": ""}
_MOST_DAYS: Final = 31
_LONGEST_VALUE: Final = 120


class ShownSteps(Steps):
    """Shows steps as a bar with the remaining time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._what = ""

    def progress(self, what: str, done: float, total: float, unit: str) -> None:
        """Move the bar; a new kind of work gets a new one."""
        if what != self._what or self._task is None:
            self._task, self._what = self._progress.add_task(f"{what} {_amount(total, unit)}", total=total), what
        self._progress.update(self._task, completed=done, total=total, refresh=True)


@contextmanager
def steps(quiet: bool) -> Iterator[Steps]:
    """Show the steps of a long command on stderr, or nothing."""
    if quiet:
        yield Steps()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Drawn as it moves, by no thread of its own: beside one, no process can be forked to read the archive.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        yield ShownSteps(progress)


def show_runs(console: Console, runs: Sequence[Run]) -> None:
    """Print runs, the newest last."""
    table = Table("run", "state", "since", "by", "gen.", "events", "added", "removed", "changed", "selection")
    table.columns[0].no_wrap = True
    for run in runs:
        sums = [str(sum(counts[kind] for counts in run.differences().values())) for kind in KINDS[:3]]
        latest = run.history[-1]
        table.add_row(
            run.run_id,
            run.state,
            f"{latest.at:%Y-%m-%d %H:%M:%S}",
            Text(latest.actor),
            str(run.generation),
            "" if run.events is None else f"{run.events:,}",
            *(sums if run.counts else ("", "", "")),
            Text(run.selection),
        )
    console.print(table)


def show_run(console: Console, run: Run) -> None:
    """Print a run, its history and what of the archive could not be read."""
    console.print(
        f"[bold]Run {run.run_id}[/bold], generation {run.generation}, {run.events or 0:,} events: ", end=""
    )
    console.print(Text(run.selection))
    for change in run.history:
        reason = f": {change.reason}" if change.reason else ""
        console.print(Text(f"  {change.at:%Y-%m-%d %H:%M:%S} {change.state} by {change.actor}{reason}"))
    if run.damages:
        console.print("[red]What of the archive could not be read:[/red]")
        console.print(Text(describe(run.damages)))


def show_counts(console: Console, counts: dict[str, dict[str, int]]) -> None:
    """Print added, removed, changed and unchanged rows by table."""
    table = _table("Rows that differ", "table", *KINDS)
    for name in (name for name in TABLES if name in counts):
        table.add_row(name, *(_number(kind, counts[name][kind]) for kind in KINDS))
    console.print(table)


def show_messages(console: Console, changed: Sequence[Messages]) -> None:
    """Print how many messages there are and would be, of the days on which that differs."""
    if not changed:
        console.print("The view messages has as many messages of every source and day as before.")
        return
    table = _table("Messages by source and day sent", "source", "day", "before", "after")
    for one in changed[:_MOST_DAYS]:
        table.add_row(Text(one.source), str(one.day), f"{one.before:,}", f"{one.after:,}")
    if len(changed) > _MOST_DAYS:
        table.caption = f"and {len(changed) - _MOST_DAYS:,} more"
    console.print(table)


def show_difference(console: Console, difference: Difference) -> None:
    """Print a difference by table, by source and day, by column, in dead letters and in samples."""
    show_counts(console, difference.by_table())
    for name, rows in difference.renamed.items():
        console.print(f"{rows:,} of these in {name} are one change each: the same item, known by another id.")
    _show_days(console, difference)
    if difference.columns:
        table = _table("Columns that changed", "table", "column", "rows")
        for changed in difference.columns:
            table.add_row(changed.table, changed.column, f"{changed.rows:,}")
        console.print(table)
    if difference.letters:
        table = _table("Dead letters", "source", "stage", "error", "before", "after")
        for kind in difference.letters:
            table.add_row(
                Text(kind.source), kind.stage, Text(kind.error_class), f"{kind.before:,}", f"{kind.after:,}"
            )
        console.print(table)
    for sample in difference.samples:
        _show_sample(console, sample)


def _show_days(console: Console, difference: Difference) -> None:
    moved = [total for total in difference.totals if total.added or total.removed or total.changed]
    if not moved:
        return
    table = _table("By source and day of receipt", "table", "source", "day", *KINDS)
    for total in moved[:_MOST_DAYS]:
        numbers = (_number(kind, getattr(total, kind)) for kind in KINDS)
        table.add_row(total.table, Text(total.source), str(total.day), *numbers)
    if len(moved) > _MOST_DAYS:
        table.caption = (
            f"{len(moved) - _MOST_DAYS} more lines are in the report (--report) and in the table totals"
        )
    console.print(table)


def _show_sample(console: Console, sample: Sample) -> None:
    color = _COLORS[sample.change]
    console.print(f"[{color}]{sample.change}[/{color}] in {sample.table}, event {sample.event_id}")
    table = Table("column", "before", "after", box=None, padding=(0, 2))
    for column, before, after in cells(sample):
        table.add_row(column, Text(harmless(before)), Text(harmless(after)))
    console.print(table)


def cells(sample: Sample) -> Iterator[tuple[str, str, str]]:
    """Yield the columns of a sample that are worth seeing: those that changed, or that hold something."""
    before, after = sample.before or {}, sample.after or {}
    for column in sample.columns or (before or after):
        values = before.get(column), after.get(column)
        if any(value not in (None, "", "[]") for value in values):
            yield column, _short(values[0]), _short(values[1])


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in {*KINDS, "rows", "before", "after"} else "left")
    return table


def _number(kind: str, number: int) -> Text:
    return Text(f"{number:,}", style=_COLORS[kind] if number else "dim")


def _amount(total: float, unit: str) -> str:
    return f"{total / 1_000_000:,.1f} MB" if unit == "bytes" else f"{total:,.0f} {unit}"
