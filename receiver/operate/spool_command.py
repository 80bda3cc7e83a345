"""The receiver's commands for operators."""

import os
from pathlib import Path

import click

from receiver.config import Config, ConfigError
from receiver.durable.drain import drain_folder
from receiver.durable.publisher import Publisher
from receiver.durable.refused import listed
from receiver.durable.refused import resend as resend_refused


@click.group("spool")
def spool_commands() -> None:
    """Events that Pub/Sub has not confirmed yet."""


@spool_commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def drain(folder: Path) -> None:
    """Publish what the receiver of FOLDER, which is gone, has left in its spool. May be repeated."""
    try:
        for source, count in drain_folder(folder, _publisher(folder)):
            click.echo(f"{source}: {count} events published")
    except (ConfigError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error


@spool_commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def refused(folder: Path) -> None:
    """List what was set aside of the spool in FOLDER, because Pub/Sub refuses it."""
    for each in listed(folder):
        click.echo(
            f"{each.source}  {each.event.event_id}  {each.event.received_at:%Y-%m-%d %H:%M:%S}  {each.bytes} bytes"
        )


@spool_commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
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
