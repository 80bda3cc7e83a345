"""`parley erase`: plan, apply, verify."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from pipelines.erase.apply import Applied
from pipelines.erase.apply import apply as apply_erasure
from pipelines.erase.erasures import Erasures
from pipelines.erase.plan import Plan
from pipelines.erase.plan import plan as plan_erasure
from pipelines.erase.verify import Report, as_json
from pipelines.erase.verify import verify as verify_erasure
from pipelines.erase.who import asked_for, failures, who
from pipelines.reprocess import shell, terminal
from pipelines.run.pipeline_commands import BeamCommand, local_options

WAITS = 6
"""Exit code: all that can be erased now is; some has to wait, and the same is to be said again."""
_archive = click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE.")
_quiet = click.option("--quiet", is_flag=True, help="No progress; print only the erasure's id.")
_run = click.argument("run")


@click.group()
def erase() -> None:
    """Erase a person everywhere, and prove it. docs/privacy.md says what that means, and who may do it.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 5 verify has found something, 6 something has to wait:
    say the same again later.
    """


@erase.command("plan")
@who
@click.option(
    "--also", multiple=True, help="A contact_id of somebody else, erased by the same run; may be given again."
)
@click.option("--reason", required=True, help="Why: the number of the request. Nothing that names the person.")
@_archive
@_quiet
def plan_command(
    contact: str | None,
    source: str | None,
    source_contact: str | None,
    person: str | None,
    also: tuple[str, ...],
    reason: str,
    archive: str | None,
    quiet: bool,
) -> None:
    """Find a person by all their ids, and show what there is of them, where. Nothing is erased."""
    wanted = msgspec.structs.replace(asked_for(contact, source, source_contact, person), also=also)
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    with failures(), terminal.steps(quiet) as steps:
        planned = plan_erasure(warehouse, where, root, wanted, shell.actor(), reason, steps=steps)
    click.echo(planned.run_id if quiet else _planned(planned))


@erase.command("apply", cls=BeamCommand)
@_run
@click.option("--force", is_flag=True, help="Erase events whole in which others would lose something.")
@_archive
@_quiet
@click.pass_context
def apply_command(ctx: click.Context, run: str, force: bool, archive: str | None, quiet: bool) -> None:
    """Erase what was planned. Interrupted, or where something has to wait: say the same again."""
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    options = local_options(ctx.args)
    with failures(), terminal.steps(quiet) as steps:
        done = apply_erasure(warehouse, where, root, run, shell.actor(), options, forced=force, steps=steps)
    click.echo(done.run_id if quiet else _applied(done))
    if not done.is_done:
        sys.exit(WAITS)


@erase.command("verify")
@_run
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="A file that gets the report, as JSON."
)
@_archive
@_quiet
def verify_command(run: str, report: Path | None, archive: str | None, quiet: bool) -> None:
    """Search everything for every id of the person in every spelling, and say until when copies can exist."""
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    with failures(), terminal.steps(quiet) as steps:
        found = verify_erasure(warehouse, where, root, run, shell.actor(), steps=steps)
    if report is not None:
        report.write_text(as_json(found), "utf-8")
    click.echo(found.run_id if quiet else _verified(found))
    if not found.is_clean:
        sys.exit(shell.DIFFERENT)


@erase.command("list")
def list_command() -> None:
    """List all erasures, the newest last; they name nobody."""
    where, warehouse = shell.connect()
    with failures():
        for each in Erasures(warehouse, where).all():
            click.echo(
                f"{each.run_id}  {each.state:<8}  {each.state_at:%Y-%m-%d %H:%M}  {each.actor}  {each.reason}"
            )


def _planned(planned: Plan) -> str:
    lines = [f"Erasure {planned.run_id}: {planned.contacts} contacts"]
    lines += _lines(
        (planned.alone, "archived events are of that person alone: their bodies go"),
        (planned.beside, "archived events have items of others, too: only the person's items go"),
        (planned.mentions, "archived events have others speak of the person: that stays"),
        (len(planned.inseparable), "archived events cannot be parted: others in them would lose something"),
        (planned.damages, "places of the archive cannot be read"),
        (planned.kept_runs, "runs keep rows: those of these events go"),
        (planned.spooled, "segments on this machine's disk name the person"),
        (planned.conversations, "entries of the live chat's store go"),
        (planned.replies, "replies wait to be sent to the person, and never will be"),
        (planned.outcomes, "outcomes of replies are kept without whom they went to"),
        (planned.too_short, "ids are too short to be looked for in bytes"),
    )
    for title, counts in (
        ("rows of archived events", planned.archived_rows),
        ("stored rows", planned.stored_rows),
    ):
        lines.append(f"{title}:")
        lines += [f"  {name:<26} {count:>9,}" for name, count in counts.items()]
    lines.append(f"Nothing has changed yet. To erase it: parley erase apply {planned.run_id}")
    return "\n".join(lines)


def _applied(done: Applied) -> str:
    lines = [f"Erasure {done.run_id}:"]
    lines += _lines(
        (done.events, f"events erased, in {done.segments:,} segments of {done.bytes:,} bytes"),
        (done.deleted_rows, "rows deleted"),
        (done.rows_of_runs, "rows taken out of kept runs"),
        (done.conversations, "entries of the live chat's store removed"),
        (done.replies, "pending replies dropped"),
        (done.outcomes, "outcomes of replies kept without whom they went to"),
        (done.waiting_segments, "segments are being written: they close within minutes"),
        (done.waiting_rows, "rows are in BigQuery's write buffer, for half an hour"),
        (len(done.damaged), f"segments cannot be read: {', '.join(done.damaged)}"),
        (done.inseparable, "events cannot be parted: --force erases these whole, and what others say in them"),
    )
    if done.is_done:
        lines.append(f"All is erased. To prove it: parley erase verify {done.run_id}")
    else:
        lines.append(f"Some has to wait. Say it again: parley erase apply {done.run_id}")
    return "\n".join(lines)


def _verified(found: Report) -> str:
    lines = [f"Erasure {found.run_id}: looked for {found.ids} ids and numbers, in every spelling"]
    lines += [f"  {each.place:<40} {each.things:>9,} searched, {each.hits:,} hits" for each in found.searched]
    lines += [f"    {where}" for each in found.searched for where in each.where]
    lines += _lines(
        (found.mentions, "events have others speak of the person"),
        (found.later, "events name the person and came after the erasure"),
        (found.left_out, "ids are too short to be looked for"),
    )
    for copy in found.copies:
        kept = "for ever" if copy.days is None else f"{copy.days:g} days"
        lines.append(f"  copies: {copy.what}: {kept} ({copy.how})")
    lines.append(f"The last day on which a copy can exist: {found.last_day}")
    lines.append("Nothing was found." if found.is_clean else "Something is left: say `apply` again.")
    return "\n".join(lines)


def _lines(*counts: tuple[Any, str]) -> list[str]:
    return [f"  {count:,} {what}" for count, what in counts if count]
