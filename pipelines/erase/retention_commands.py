"""`parley retain`: lets go what was kept long enough; `parley hold`: what nobody may let go."""

import datetime as dt
import os
import sys
from datetime import datetime

import click

from pipelines.erase.erase_commands import WAITS
from pipelines.erase.holds import Holds, of_person
from pipelines.erase.plan import find_person, required_key
from pipelines.erase.retention import SETTING, Due, due, rules
from pipelines.erase.retention import retain as retain_source
from pipelines.erase.who import asked_for, failures, who
from pipelines.io.options import moment
from pipelines.reprocess import shell, terminal
from pipelines.run.pipeline_commands import BeamCommand, local_options

_archive = click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE.")
_until = click.option(
    "--until",
    type=moment,
    required=True,
    callback=lambda _, __, value: _in_future(value),
    help="Until when: a date or RFC 3339, UTC.",
)
_reason = click.option("--reason", required=True, help="Why. Nothing that names the person.")


@click.command(cls=BeamCommand)
@click.option("--apply", "is_applied", is_flag=True, help="Let it go; else only say what is due.")
@_archive
@click.option("--quiet", is_flag=True, help="No progress, only what was done.")
@click.pass_context
def retain(ctx: click.Context, is_applied: bool, archive: str | None, quiet: bool) -> None:
    """Let go bodies and rows that were kept for as long as PARLEY_RETENTION_DAYS says; every night, after settle.

    Without --apply nothing changes. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 6 something is left:
    held, being written, unreadable, or not in the archive.
    """
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    with failures(), terminal.steps(quiet) as steps:
        asked = rules(os.environ, dt.datetime.now(dt.UTC))
        if not is_applied:
            done = due(warehouse, where, asked)
        else:
            options = local_options(ctx.args)
            done = [
                retain_source(warehouse, where, root, each, shell.actor(), options, steps=steps) for each in asked
            ]
    for each in done:
        click.echo(_told(each, is_applied))
    if not done:
        click.echo(f"{SETTING} is not set: everything is kept")
    if any(each.left for each in done):
        sys.exit(WAITS)


def _told(each: Due, is_applied: bool) -> str:
    line = f"{each.source}: kept {each.days} days, so what was received before {each.before:%Y-%m-%d} goes: "
    if not is_applied:
        return line + f"{each.events:,} events are due" + (" (--apply lets them go)" if each.events else "")
    counts = ((each.held, "held"), (each.waiting, "segments wait"), (each.damaged, "segments cannot be read"))
    told = [f"{each.events - each.left:,} events let go, in {each.segments:,} segments of {each.bytes:,} bytes"]
    told += [f"{number:,} {what}" for number, what in (*counts, (each.left, "events are left")) if number]
    return line + "; ".join(told)


def _in_future(until: datetime) -> datetime:
    """Let nobody hold what would not be held."""
    if until <= dt.datetime.now(dt.UTC):
        raise click.BadParameter("that is past: nothing would be held")
    return until


@click.group()
def hold() -> None:
    """Legal holds: what nobody may erase, nor let go, until a day. docs/privacy.md says more."""


@hold.command("person")
@who
@_until
@_reason
@_archive
def hold_person(
    contact: str | None,
    source: str | None,
    source_contact: str | None,
    person: str | None,
    until: datetime,
    reason: str,
    archive: str | None,
) -> None:
    """Hold all that is known of a person."""
    wanted = asked_for(contact, source, source_contact, person)
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    with failures(), terminal.steps(True) as steps:
        meant = find_person(warehouse, where, root, wanted, steps)
        if not meant.contacts:
            raise click.ClickException("nobody knows that person")
        click.echo(Holds(root).add(shell.actor(), reason, until, **of_person(meant, required_key())).told())


@hold.command("range")
@click.option("--source", help="An endpoint; by default all.")
@shell.between
@_until
@_reason
@_archive
def hold_range(
    source: str | None,
    start: datetime | None,
    end: datetime | None,
    until: datetime,
    reason: str,
    archive: str | None,
) -> None:
    """Hold what was received in a range."""
    root = shell.archive_root(archive)
    shell.check_sources((source,) if source else ())
    click.echo(Holds(root).add(shell.actor(), reason, until, source=source, start=start, end=end).told())


@hold.command("release")
@click.argument("hold_id")
@_reason
@_archive
def hold_release(hold_id: str, reason: str, archive: str | None) -> None:
    """Take a hold back; that there was one stays known."""
    try:
        Holds(shell.archive_root(archive)).release(hold_id, shell.actor(), reason)
    except LookupError as error:
        raise click.ClickException(str(error.args[0])) from error


@hold.command("list")
@_archive
def hold_list(archive: str | None) -> None:
    """List every hold that there ever was, the newest last; they name nobody."""
    holds = Holds(shell.archive_root(archive))
    released = holds.releases()
    for each in holds.all():
        back = released.get(each.hold_id)
        click.echo(
            each.told() + (f"; taken back {back.at:%Y-%m-%d} by {back.actor} ({back.reason})" if back else "")
        )
