"""`parley reconcile`: is everything that was received accounted for?"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from rich.text import Text

from pipelines.io.archive_damages import describe
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import reconcile as reconciling
from pipelines.reprocess import shell, terminal
from pipelines.reprocess.apply import apply
from pipelines.reprocess.reconcile import Reconciliation
from pipelines.reprocess.runs import Request, Run
from pipelines.reprocess.shell import console
from pipelines.run import json_output
from pipelines.run.pipeline_commands import BeamCommand, local_options

_SHOWN_IDS = 10
_FAULTS = ("missing", "not archived", "incomplete", "stray")
_NUMBERS = ("archived", "normalized", "partial", "ignored", "failed", *_FAULTS)


@click.command(cls=BeamCommand)
@shell.selecting
@click.option("--redrive", is_flag=True, help="Normalize again, from the archive, what is missing or incomplete.")
@click.option(
    "--list",
    "list_to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the ids of what is missing or incomplete here, for backfill plan --events.",
)
@json_output.option
@shell.from_archive
@click.pass_context
def reconcile(
    ctx: click.Context,
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    redrive: bool,
    list_to: Path | None,
    as_json: bool,
    reason: str | None,
    archive: str | None,
    files: str | None,
    quiet: bool,
) -> None:
    """Compare archive, ledger and rows: received = normalized + partial + ignored + failed.

    Events that arrive just now are in the archive first: leave the last minutes out with --to.
    Exit codes: 0 all agrees, 1 failed, 2 wrong usage, 4 part of the archive could not be read, 5 it differs.
    """
    where, warehouse = shell.connect()
    shell.check_sources(sources)
    root, selection = shell.archive_root(archive), Selection(start, end, sources)
    with shell.failures(), terminal.steps(quiet or as_json) as steps:
        found = reconciling.reconcile(
            warehouse, where, root, selection, local_options(ctx.args), files=files, steps=steps
        )
    lacking = frozenset([*found.missing, *found.incomplete])
    if not as_json:
        _show(found, quiet)
    if list_to is not None:
        list_to.write_text("".join(f"{event}\n" for event in sorted(lacking)), "utf-8")
    done = None
    if redrive and lacking:
        request = Request(root, Selection(events=lacking), shell.actor(), reason or "reconcile --redrive")
        run = shell.run_plan(ctx.args, where, warehouse, request, files, quiet)
        with shell.failures():
            done = apply(warehouse, where, run.run_id, request.actor, reason=request.reason)
        click.echo(f"run {done.run_id} is applied: {done.events} events were normalized again", err=as_json)
    if as_json:
        json_output.write(_described(found, done))
    if not found.agrees:
        sys.exit(shell.DIFFERENT)
    if found.damages:
        sys.exit(shell.DAMAGED)


def _described(found: Reconciliation, redriven: Run | None) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return {"agrees": found.agrees, **plain, "run_id": redriven.run_id if redriven else None}


def _show(found: Reconciliation, quiet: bool) -> None:
    if not quiet:
        table = Table("source", "day")
        for name in _NUMBERS:
            table.add_column(name, justify="right")
        for day in found.days:
            numbers = [getattr(day, name.replace(" ", "_")) for name in _NUMBERS]
            faults = [
                "red" if number and name in _FAULTS else "" for name, number in zip(_NUMBERS, numbers, strict=True)
            ]
            cells = [Text(f"{number:,}", style=style) for number, style in zip(numbers, faults, strict=True)]
            table.add_row(Text(day.source), str(day.day), *cells)
        console.print(table)
        for what, ids in (
            ("in the archive, not in the ledger", found.missing),
            ("in the ledger, not in the archive", found.not_archived),
            ("with other rows than the ledger says", found.incomplete),
            ("with rows, and in neither", found.stray),
        ):
            if ids:
                more = f" and {len(ids) - _SHOWN_IDS:,} more (--list)" if len(ids) > _SHOWN_IDS else ""
                console.print(f"[red]{len(ids):,} {what}[/red]: {', '.join(ids[:_SHOWN_IDS])}{more}")
    if found.broken:
        click.echo(
            f"{found.broken:,} archived requests have no usable id, source or time: "
            "parley dead-letters show --stage event"
        )
    if found.damages:
        click.echo(f"The archive is damaged:\n{describe(found.damages)}")
    click.echo("Archive, ledger and rows agree." if found.agrees else "Archive, ledger and rows differ.")
