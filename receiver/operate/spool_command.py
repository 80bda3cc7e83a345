"""The receiver's commands for operators."""

import os
from pathlib import Path

import click

from receiver.config import Config, ConfigError
from receiver.durable.drain import drain_folder
from receiver.durable.publisher import Publisher


@click.group("spool")
def spool_commands() -> None:
    """Events that Pub/Sub has not confirmed yet."""


@spool_commands.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def drain(folder: Path) -> None:
    """Publish what the receiver of FOLDER, which is gone, has left in its spool. May be repeated."""
    # Of the receiver's settings only the project and the topics' names matter here.
    environ = {"PARLEY_ARCHIVE": "none", "PARLEY_DATA_DIR": str(folder), **os.environ}
    try:
        config = Config.from_environ(environ)
        publisher = Publisher(config.project, config.topic_prefix)
        for source, count in drain_folder(folder, publisher):
            click.echo(f"{source}: {count} events published")
    except (ConfigError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
