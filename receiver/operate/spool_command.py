"""The receiver's commands for operators."""

import os
from pathlib import Path

import click

from receiver.config import Config, ConfigError
from receiver.durable import spool
from receiver.durable.drain import drain_folder
from receiver.durable.publisher import Publisher
from receiver.durable.refused import listed, root_of
from receiver.durable.refused import resend as resend_refused

_FOLDER = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
"""Whole: what was set aside lies beside it."""


@click.group("spool")
def spool_commands() -> None:
    """Events that Pub/Sub has not confirmed yet."""


@spool_commands.command()
@click.argument("folder", type=_FOLDER)
def drain(folder: Path) -> None:
    """Publish what the receiver of FOLDER, which is gone, has left in its spool. May be repeated.

    Exit code 1 where something stays: Pub/Sub refuses it, or a receiver that lives holds it.
    """
    try:
        stayed = 0
        for source, count in drain_folder(folder, _publisher(folder)):
            stay = sum(spool.measure(spool.folder(root, source)).events for root in (folder, root_of(folder)))
            click.echo(f"{source}: {count} events published" + (f", {stay} stay" if stay else ""))
            stayed += stay
    except (ConfigError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    if stayed:
        raise click.exceptions.Exit(1)


@spool_commands.command()
@click.argument("folder", type=_FOLDER)
def refused(folder: Path) -> None:
    """List what was set aside of the spool in FOLDER, because Pub/Sub refuses it."""
    for each in listed(folder):
        click.echo(
            f"{each.source}  {each.event.event_id}  {each.event.received_at:%Y-%m-%d %H:%M:%S}  {each.bytes} bytes"
        )


@spool_commands.command()
@click.argument("folder", type=_FOLDER)
def resend(folder: Path) -> None:
    """Publish what was set aside of the spool in FOLDER, once its reason is gone. What is refused again stays."""
    try:
        stayed = 0
        for source, sent, stay in resend_refused(folder, _publisher(folder)):
            click.echo(f"{source}: {sent} events published, {stay} stay")
            stayed += stay
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if stayed:
        raise click.exceptions.Exit(1)


def _publisher(folder: Path) -> Publisher:
    # Of the receiver's settings only the project and the topics' names matter here.
    environ = {"PARLEY_ARCHIVE": "none", "PARLEY_DATA_DIR": str(folder), **os.environ}
    config = Config.from_environ(environ)
    return Publisher(config.project, config.topic_prefix)
