"""`parley dead-letters`: from an error back to rows, once it is mended."""

import sys
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from pipelines.io.archive_segments import Selection
from pipelines.reprocess import dead_letters as letters
from pipelines.reprocess import shell
from pipelines.reprocess.apply import apply
from pipelines.reprocess.runs import Request
from pipelines.reprocess.shell import console
from pipelines.run import json_output
from pipelines.run.harmless import harmless
from pipelines.run.pipeline_commands import BeamCommand


@click.group("dead-letters")
def dead_letters() -> None:
    """See what could not be normalized or stored, and try it again after a fix."""


def filtering(command: Any) -> Any:
    """Add the options that say which dead letters."""
    for option in (
        click.option("--class", "error_class", help="The error's class."),
        click.option(
            "--stage", type=click.Choice(["event", "parse", "item", "store"]), help="Where it could not go on."
        ),
    ):
        command = option(command)
    return shell.selecting(command)


@dead_letters.command("list")
@filtering
@json_output.option
def list_kinds(
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    stage: str | None,
    error_class: str | None,
    as_json: bool,
) -> None:
    """List kinds of dead letters: how many, of how many events, since when, and an example."""
    where, warehouse = shell.connect()
    with shell.failures():
        found = letters.kinds(warehouse, where, letters.Filter(start, end, sources, stage, error_class))
    if as_json:
        json_output.write(found)
        return
    table = Table("source", "stage", "error", "letters", "events", "first", "last", "example", "of event")
    for kind in found:
        table.add_row(
            Text(kind.source or ""),
            kind.stage,
            Text(kind.error_class),
            f"{kind.letters:,}",
            f"{kind.events:,}",
            f"{kind.first:%Y-%m-%d %H:%M}",
            f"{kind.last:%Y-%m-%d %H:%M}",
            Text(harmless(kind.example)),
            kind.event or "",
        )
    console.print(table if found else "No dead letters.")


@dead_letters.command("show")
@filtering
@click.argument("event", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Dead letters shown at most, the latest ones.",
)
@json_output.option
def show_letters(
    event: str | None,
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    stage: str | None,
    error_class: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show dead letters, all or those of one raw EVENT: where it failed, the traceback, the raw body."""
    where, warehouse = shell.connect()
    chosen = letters.Filter(start, end, sources, stage, error_class, event)
    with shell.failures():
        found = list(letters.letters(warehouse, where, chosen, limit))
    if as_json:
        json_output.write(found)
        return
    for letter in found:
        table = Table("column", "value", title_justify="left")
        for column, value in letter.items():
            table.add_row(column, Text(harmless(_readable(value))))
        console.print(table)
    if not found:
        console.print("No dead letters.")


@dead_letters.command("redrive", cls=BeamCommand)
@filtering
@click.option("--apply", "apply_now", is_flag=True, help="Apply at once, without a look at the difference.")
@shell.from_archive
@click.pass_context
def redrive(
    ctx: click.Context,
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    stage: str | None,
    error_class: str | None,
    apply_now: bool,
    reason: str | None,
    archive: str | None,
    files: str | None,
    quiet: bool,
) -> None:
    """Plan a run over the events that dead letters came of, from the archive; --apply also puts it in place.

    An event is normalized as a whole, so that its good items are made again too and stay as they were.
    """
    shell.check_sources(())
    where, warehouse = shell.connect()
    with shell.failures():
        events = letters.events(warehouse, where, letters.Filter(start, end, sources, stage, error_class))
    if not events:
        console.print("No dead letter of an event that can be tried again.")
        return
    request = Request(shell.archive_root(archive), Selection(events=events), shell.actor(), reason)
    run = shell.run_plan(ctx.args, where, warehouse, request, files, quiet)
    shell.show_planned(where, warehouse, run, quiet, 1, None)
    if apply_now:
        with shell.failures():
            apply(warehouse, where, run.run_id, request.actor, reason=reason)
        click.echo(f"run {run.run_id} is applied", err=quiet)
    if run.damages:
        sys.exit(shell.DAMAGED)


def _readable(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
