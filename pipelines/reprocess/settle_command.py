"""`parley settle`: the one command for every night."""

import datetime as dt
import sys
from datetime import datetime

import click

from pipelines.reprocess import settle as settling
from pipelines.reprocess import shell, terminal
from pipelines.reprocess.settle import Summary
from pipelines.run import json_output
from pipelines.run.pipeline_commands import BeamCommand, local_options


@click.command(cls=BeamCommand)
@shell.between
@json_output.option
@click.option("--files", metavar="FOLDER", help="Where rows lie before they are loaded: gs://… for a cluster.")
@click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE.")
@click.option("--quiet", is_flag=True, help="No progress, only the summary.")
@click.pass_context
def settle(
    ctx: click.Context,
    start: datetime | None,
    end: datetime | None,
    as_json: bool,
    files: str | None,
    archive: str | None,
    quiet: bool,
) -> None:
    """Bring yesterday in order, or the days from --from to --to: every night, and whenever you like.

    Plans, and applies where anything differs; lets each event and each message count once; deletes rows that count
    no more; compares archive, ledger and rows. Where nothing is to be done it writes nothing.

    Exit codes: 0 all agrees, 1 failed, 2 wrong usage, 3 refused (nothing has changed), 4 part of the archive could
    not be read, 5 archive, ledger and rows differ.
    """
    root = shell.archive_root(archive)
    shell.check_sources(())
    start, end = _range(start, end)
    where, warehouse = shell.connect()
    with shell.failures(), terminal.steps(quiet or as_json) as steps:
        done = settling.settle(
            warehouse,
            where,
            root,
            start,
            end,
            local_options(ctx.args),
            actor=shell.actor(),
            files=files,
            steps=steps,
        )
    if as_json:
        json_output.write(done)
    else:
        click.echo(_told(done))
    if not done.agrees:
        sys.exit(shell.DIFFERENT)
    if done.damages:
        sys.exit(shell.DAMAGED)


def _range(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = start or (end or today) - dt.timedelta(days=1), end or today
    if start >= end:
        raise click.UsageError("--from is not before --to")
    return start, end


def _told(done: Summary) -> str:
    lines = [f"Received from {done.start:%Y-%m-%d %H:%M} to {done.end:%Y-%m-%d %H:%M} UTC:"]
    if done.run_id:
        lines.append(f"  run {done.run_id} has replaced the rows of {done.changed_events:,} events")
    for number, what in (
        (done.older_generations, "events were stored by two versions: the newer counts"),
        (done.retold, "messages and metadata are told in several partitions: shown in the first"),
        (done.resolved, "contacts, by day, are resolved anew"),
        (done.deleted_rows, "rows that no longer counted are deleted"),
        (done.missing, "events are in the archive, not in the ledger"),
        (done.not_archived, "events are in the ledger, not in the archive"),
        (done.incomplete, "events have other rows than the ledger says"),
        (done.stray, "events have rows, and are in neither"),
        (done.damages, "places of the archive could not be read"),
    ):
        if number:
            lines.append(f"  {number:,} {what}")
    if len(lines) == 1:
        lines.append("  nothing was to be done")
    lines.append("Archive, ledger and rows agree." if done.agrees else "Archive, ledger and rows differ.")
    return "\n".join(lines)
