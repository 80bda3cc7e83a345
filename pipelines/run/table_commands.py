"""The commands around tables, and the target of every command; they need no Beam."""

import click
from google.api_core.exceptions import GoogleAPICallError

from pipelines.bigquery.deploy import DestructiveChangeError, deploy
from pipelines.bigquery.target import ConfigurationError, Target, client
from pipelines.run import local_stack


def target() -> Target:
    """Return the target of the environment, or of the stack that runs in this folder.

    Raises:
        click.ClickException: there is neither.
    """
    local_stack.adopt()
    try:
        return Target.from_environment()
    except ConfigurationError as error:
        raise click.ClickException(f"{error}; or start the local stack here: parley run") from error


@click.group()
def tables() -> None:
    """The tables and views in BigQuery."""


@tables.command("deploy")
def deploy_tables() -> None:
    """Create or extend the datasets, tables and views; never destroys anything."""
    where = target()
    try:
        done = deploy(client(where), where)
    except (DestructiveChangeError, GoogleAPICallError) as error:
        raise click.ClickException(str(error)) from error
    for line in done or ["nothing to do: all is deployed"]:
        click.echo(line)
