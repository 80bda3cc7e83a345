"""`parley backfill`: plan, apply, roll back; list, show and discard runs."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pipelines.io.archive_segments import Selection
from pipelines.reprocess import dead_letters, diff, previewing, related, report, shell, staging, terminal
from pipelines.reprocess.apply import apply, discard, roll_back
from pipelines.reprocess.runs import Request, Runs, Staging
from pipelines.reprocess.shell import console
from pipelines.run import json_output
from pipelines.run.pipeline_commands import BeamCommand


@click.group()
def backfill() -> None:
    """Normalize history again: plan, look at the difference, apply, roll back.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 done, but part of the archive could not be read.
    """


@backfill.command("plan", cls=BeamCommand)
@shell.selecting
@click.option(
    "--events", type=click.File("r"), metavar="FILE", help="Only these events: one id a line; - is stdin."
)
@click.option("--dead-letters", "only_dead", is_flag=True, help="Only events with a dead letter.")
@shell.from_archive
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), help="Also as HTML, here.")
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Samples of each table and kind of change.",
)
@click.pass_context
def plan_run(
    ctx: click.Context,
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    events: Any,
    only_dead: bool,
    reason: str | None,
    archive: str | None,
    files: str | None,
    quiet: bool,
    report_to: Path | None,
    samples: int,
) -> None:
    """Make rows of archived events again and show how they differ from the current ones.

    Nothing that anybody reads has changed. Further options are Beam's, such as --runner.
    """
    shell.check_sources(sources)
    where, warehouse = shell.connect()
    chosen = shell.named_events(events) if events else None
    if only_dead:
        letters = dead_letters.events(warehouse, where, dead_letters.Filter(start, end, sources))
        chosen = letters | (chosen or frozenset())
    if chosen is not None and not chosen:
        click.echo("Nothing to plan: no event is named, and none that is asked for has a dead letter.", err=True)
        return
    request = Request(shell.archive_root(archive), Selection(start, end, sources, chosen), shell.actor(), reason)
    run = shell.run_plan(ctx.args, where, warehouse, request, files, quiet)
    shell.show_planned(where, warehouse, run, quiet, samples, report_to)
    if run.damages:
        sys.exit(shell.DAMAGED)


@backfill.command("resume", cls=BeamCommand)
@click.argument("run")
@click.option("--quiet", is_flag=True, help="No progress; print only the run's id.")
@click.option("--files", metavar="FOLDER", help="The folder that the plan was given, if it was.")
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), help="Also as HTML, here.")
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Samples of each table and kind of change.",
)
@click.pass_context
def resume_run(
    ctx: click.Context, run: str, quiet: bool, files: str | None, report_to: Path | None, samples: int
) -> None:
    """Go on with a plan that was killed or failed: what it has made and loaded is not made and loaded again.

    RUN is an id, 8 characters or more of its beginning or end, or latest. Say it on the machine of the plan, or
    with its --files. What has come into the archive since is planned as well. Further options are Beam's.
    """
    shell.check_sources(())
    where, warehouse = shell.connect()
    found = shell.resume_plan(ctx.args, where, warehouse, run, files, quiet)
    shell.show_planned(where, warehouse, found, quiet, samples, report_to)
    if found.damages:
        sys.exit(shell.DAMAGED)


@backfill.command("related")
@click.argument("run")
def related_events(run: str) -> None:
    """Print the ids of events that are not in RUN and tell the messages that it changes, one a line."""
    where, warehouse = shell.connect()
    with shell.failures():
        for event in related.events(warehouse, where, Runs(warehouse, where).get(run)):
            click.echo(event)


@backfill.command("preview")
@click.argument("run")
@click.option("--drop", is_flag=True, help="Delete the preview instead.")
def preview_run(run: str, drop: bool) -> None:
    """Make datasets of views that show what RUN would make true: for every query, recipe and the dashboard.

    Nothing is copied and nothing that anybody reads changes; what live stores meanwhile is there as well.
    """
    where, warehouse = shell.connect()
    with shell.failures():
        found = Runs(warehouse, where).get(run)
        if drop:
            previewing.drop(warehouse, where, found.run_id)
            console.print(f"The preview of run {found.run_id} is deleted.")
            return
        shown = previewing.make(warehouse, where, found)
        terminal.show_messages(console, previewing.messages(warehouse, where, found))
    console.print(f"What run {found.run_id} would make true is in the dataset {shown.views_dataset}.")
    console.print(
        f"To look at it: PARLEY_DATASET_PREFIX={previewing.prefix(where, found.run_id)} parley dashboard"
    )


@backfill.command("apply")
@click.argument("run")
@click.option("--force", is_flag=True, help="Go on in spite of an objection; needs --reason.")
@click.option("--reason", help="Why; kept with the run.")
def apply_run(run: str, force: bool, reason: str | None) -> None:
    """Put a planned run's rows in the place of the current ones, in one transaction.

    RUN is an id, 8 characters or more of its beginning or end, or latest.
    """
    if force and not reason:
        raise click.UsageError("--force needs --reason")
    where, warehouse = shell.connect()
    started = time.monotonic()
    with shell.failures(), console.status("applying …"):
        done = apply(warehouse, where, run, shell.actor(), force=force, reason=reason)
    terminal.show_counts(console, done.differences())
    seconds = time.monotonic() - started
    rate = f"{done.events or 0:,} events in {seconds:,.1f} s: {(done.events or 0) / seconds:,.0f} a second"
    console.print(f"Run {done.run_id} is applied, {rate}.")
    console.print(f"To take it back: parley backfill rollback {done.run_id}")


@backfill.command("rollback")
@click.argument("run")
@click.option("--reason", help="Why; kept with the run.")
def roll_back_run(run: str, reason: str | None) -> None:
    """Put back exactly the rows that an applied run has replaced, in one transaction."""
    where, warehouse = shell.connect()
    with shell.failures(), console.status("rolling back …"):
        done = roll_back(warehouse, where, run, shell.actor(), reason=reason)
    console.print(f"Run {done.run_id} is rolled back; it can be applied again.")


@backfill.command("discard")
@click.argument("run")
@click.option("--reason", help="Why; kept with the run.")
def discard_run(run: str, reason: str | None) -> None:
    """Throw away what a run keeps, unless it is applied."""
    where, warehouse = shell.connect()
    with shell.failures():
        done = discard(warehouse, where, run, shell.actor(), reason=reason)
    console.print(f"Run {done.run_id} is discarded.")


@backfill.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Runs shown at most, the newest ones."
)
@json_output.option
def list_runs(limit: int, as_json: bool) -> None:
    """List runs and their states."""
    where, warehouse = shell.connect()
    with shell.failures():
        found = Runs(warehouse, where).all()[-limit:]
    if as_json:
        json_output.write([run.described() for run in found])
    elif found:
        terminal.show_runs(console, found)
    else:
        console.print("No runs.")


@backfill.command("show")
@click.argument("run")
@click.option(
    "--samples",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Samples of each table and kind of change.",
)
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), help="Also as HTML, here.")
@json_output.option
def show_run(run: str, samples: int, report_to: Path | None, as_json: bool) -> None:
    """Show a run: its history and what it changes."""
    where, warehouse = shell.connect()
    with shell.failures():
        found = Runs(warehouse, where).get(run)
    if as_json:
        json_output.write(found.described())
        return
    terminal.show_run(console, found)
    place = Staging.of(where, found.run_id)
    if not staging.exists(warehouse, place):
        terminal.show_counts(console, found.differences())
        console.print("What the run kept is gone.")
        return
    difference = diff.read(warehouse, place, samples)
    terminal.show_difference(console, difference)
    if report_to is not None:
        report_to.write_text(report.html(found, difference), "utf-8")
