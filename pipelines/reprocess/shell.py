"""What the commands of reprocessing share: options, clients, exit codes, and planning a run before eyes."""

import contextlib
import getpass
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from google.cloud import bigquery
from rich.console import Console

from pipelines.bigquery.target import Target, client
from pipelines.io.options import moment
from pipelines.reprocess import diff, related, report, terminal
from pipelines.reprocess.plan import plan, resume
from pipelines.reprocess.runs import RefusedError, Request, Run, Staging, UnknownRunError
from pipelines.reprocess.steps import Steps
from pipelines.run import local_stack, logs
from pipelines.run.failures import in_words
from pipelines.run.pipeline_commands import local_options
from pipelines.run.table_commands import target
from pipelines.sources import PARSERS, registry
from schemas.custom_sources import SourcesFileError

REFUSED: Final = 3
"""Exit code: the run, or what happened since it was planned, does not allow it."""
DAMAGED: Final = 4
"""Exit code: done, but part of the archive could not be read."""
DIFFERENT: Final = 5
"""Exit code: archive, ledger and rows do not agree."""

_WIDTH_OF_FILES: Final = 200
# What goes into a file or a pipe is not folded to the width of no terminal.
console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


class _Refusal(click.ClickException):
    exit_code = REFUSED


def selecting(command: Any) -> Any:
    """Add the options that every command over a range of events has."""
    return between(
        click.option("--source", "sources", multiple=True, help="An endpoint; may be given again.")(command)
    )


def between(command: Any) -> Any:
    """Add the options that say when."""
    for option in (
        click.option("--to", "end", type=moment, callback=_in_order, help="Time of receipt to stop before."),
        click.option(
            "--from",
            "start",
            type=moment,
            callback=_in_order,
            help="First time of receipt: a date or RFC 3339, UTC.",
        ),
    ):
        command = option(command)
    return command


def _in_order(ctx: click.Context, param: click.Parameter, value: datetime | None) -> datetime | None:
    """Let no range be empty: whoever asks whether all of it agrees, or holds it, would be told yes."""
    given = {**ctx.params, param.name: value}
    start, end = given.get("start"), given.get("end")
    if start and end and start >= end:
        raise click.UsageError("--from is not before --to", ctx)
    return value


def from_archive(command: Any) -> Any:
    """Add the options that every command over the archive has."""
    for option in (
        click.option("--quiet", is_flag=True, help="No progress; print only the run's id."),
        click.option(
            "--files", metavar="FOLDER", help="Where rows lie before they are loaded: gs://… for a cluster."
        ),
        click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE."),
        click.option("--reason", help="Why; kept with the run."),
    ):
        command = option(command)
    return command


def run_plan(
    beam: Sequence[str],
    where: Target,
    warehouse: bigquery.Client,
    request: Request,
    files: str | None,
    quiet: bool,
) -> Run:
    """Plan a run and say how long that took."""
    return _timed(
        lambda steps: plan(warehouse, where, request, local_options(list(beam)), files=files, steps=steps), quiet
    )


def resume_plan(
    beam: Sequence[str], where: Target, warehouse: bigquery.Client, name: str, files: str | None, quiet: bool
) -> Run:
    """Go on with a plan that was interrupted, and say how long that took."""
    return _timed(
        lambda steps: resume(warehouse, where, name, local_options(list(beam)), files=files, steps=steps), quiet
    )


def _timed(planning: Callable[[Steps], Run], quiet: bool) -> Run:
    started = time.monotonic()
    with failures(), terminal.steps(quiet) as steps:
        run = planning(steps)
    seconds = time.monotonic() - started
    if not quiet:
        rate = (run.events or 0) / seconds
        click.echo(f"{run.events or 0:,} events in {seconds:,.1f} s: {rate:,.0f} a second", err=True)
    return run


def show_planned(
    where: Target, warehouse: bigquery.Client, run: Run, quiet: bool, samples: int, report_to: Path | None
) -> None:
    """Print a planned run, and what to do with it."""
    difference = diff.read(warehouse, Staging.of(where, run.run_id), samples)
    if report_to is not None:
        report_to.write_text(report.html(run, difference), "utf-8")
    if quiet:
        click.echo(run.run_id)
        return
    terminal.show_run(console, run)
    terminal.show_difference(console, difference)
    if left := related.events(warehouse, where, run):
        console.print(
            f"{len(left):,} events outside of the run tell the same messages and stay as they are. "
            f"To take them along: parley backfill related {run.run_id} | parley backfill plan --events -"
        )
    console.print(f"Nothing has changed yet. To put these rows in place: parley backfill apply {run.run_id}")


def connect() -> tuple[Target, bigquery.Client]:
    """Return the target of the environment and a client."""
    logs.to_terminal(logging.WARNING)
    where = target()
    return where, client(where)


def archive_root(given: str | None) -> str:
    """Return the archive's root: the given one, the environment's, or that of the stack that runs in this folder.

    Raises:
        click.UsageError: nobody says where it is.
        click.ClickException: it is a folder that is not there: what one would hold or look for there is elsewhere.
    """
    local_stack.adopt()
    root = given or os.environ.get("PARLEY_ARCHIVE")
    if not root:
        raise click.UsageError(
            "where is the archive? Give --archive, set PARLEY_ARCHIVE, or start the local stack here: parley run"
        )
    if "://" not in root and not Path(root).is_dir():
        raise click.ClickException(f"no archive at {root}")
    return root


def check_sources(chosen: Sequence[str]) -> None:
    """Let sources be chosen that exist.

    Raises:
        click.UsageError: one does not, and would only seem to have no events.
    """
    try:
        registry.install_configured()
    except SourcesFileError as error:
        raise click.UsageError(str(error)) from error
    if unknown := sorted(set(chosen) - PARSERS.keys()):
        raise click.UsageError(f"no such source: {', '.join(unknown)}; there are {', '.join(sorted(PARSERS))}")


def actor() -> str:
    """Return who asks."""
    return getpass.getuser()


def named_events(file: Iterator[str]) -> frozenset[str]:
    """Return the ids in a file, one a line."""
    return frozenset(stripped for line in file if (stripped := line.strip()))


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Tell what went wrong in a line, with an exit code that says whose fault it is."""
    try:
        yield
    except RefusedError as error:
        raise _Refusal(str(error)) from error
    except (UnknownRunError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        raise click.ClickException(said) from error
