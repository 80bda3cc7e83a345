"""`parley export`: all that is known of a person, for that person."""

import os
from pathlib import Path

import click

from pipelines.erase.export import as_json, as_page
from pipelines.erase.export import export as export_person
from pipelines.erase.who import asked_for, failures, who
from pipelines.reprocess import shell, terminal

_MODE = 0o600


@click.command()
@who
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder that gets export.json and export.html; made, readable by you alone, where there is none.",
)
@click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE.")
@click.option("--quiet", is_flag=True, help="No progress.")
def export(
    contact: str | None,
    source: str | None,
    source_contact: str | None,
    person: str | None,
    folder: Path,
    archive: str | None,
    quiet: bool,
) -> None:
    """Give a person all that is known of them: rows, and what they are made of, as JSON and as a page.

    Nothing changes. docs/privacy.md says what is in it.
    """
    wanted = asked_for(contact, source, source_contact, person)
    root = shell.archive_root(archive)
    shell.check_sources(())
    where, warehouse = shell.connect()
    with failures(), terminal.steps(quiet) as steps:
        found = export_person(warehouse, where, root, wanted, steps=steps)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (("export.json", as_json(found)), ("export.html", as_page(found))):
        # Nobody else on the machine reads it, not even while it is written.
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    rows = sum(map(len, found.rows.values()))
    click.echo(
        f"{len(found.contacts)} contacts, {rows:,} rows, {len(found.received):,} events: {folder / 'export.html'}"
    )
