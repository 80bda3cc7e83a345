"""The commands around tables, and the target of every command; they need no Beam."""

import os
from itertools import chain

import click
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import DefaultCredentialsError

from pipelines.bigquery import ddl
from pipelines.bigquery.deploy import DestructiveChangeError, EmptyProject, Step, deploy, plan
from pipelines.bigquery.target import PROJECT, ConfigurationError, Target, client
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
        raise click.ClickException(_hint(str(error))) from error


def _hint(said: str) -> str:
    if os.environ.get(PROJECT):
        return said
    if local_stack.is_held():
        return f"the stack in {local_stack.DEFAULT_FOLDER} is not ready yet: its terminal says when it is"
    return f"{said}; or start the local stack here: parley run"


@click.group()
def tables() -> None:
    """The tables and views in BigQuery."""


@tables.command("deploy")
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done, as a GoogleSQL script.")
def deploy_tables(dry_run: bool) -> None:
    """Create or extend the datasets, tables and views; never destroys anything.

    Without credentials, --dry-run prints the deployment into an empty project.
    """
    where = target()
    try:
        if dry_run:
            click.echo(_script(_planned(where)), nl=False)
            return
        done = deploy(client(where), where)
    except (DestructiveChangeError, GoogleAPICallError) as error:
        raise click.ClickException(str(error)) from error
    for line in done or ["nothing to do: all is deployed"]:
        click.echo(line)


def _planned(where: Target) -> list[Step]:
    try:
        present = client(where)
    except DefaultCredentialsError:
        click.echo("There are no credentials: this is for a project that has nothing yet.", err=True)
        present = EmptyProject(where)
    return plan(present, where)


def _script(steps: list[Step]) -> str:
    commented = ([f"-- {step.description}\n{step.sql[0]}", *step.sql[1:]] for step in steps)
    return ddl.script(chain.from_iterable(commented)) or "-- nothing to do: all is deployed\n"
