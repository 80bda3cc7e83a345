"""The commands around tables and queries; they need no Beam."""

from itertools import chain

import click
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.bigquery import QueryJobConfig
from google.cloud.bigquery.table import RowIterator
from rich.console import Console
from rich.table import Table

from pipelines.bigquery import ddl
from pipelines.bigquery.deploy import DestructiveChangeError, EmptyProject, Step, deploy, plan
from pipelines.bigquery.target import ConfigurationError, Target, client
from pipelines.run import local_stack

_NARROWEST_COLUMN = 9


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


@click.command()
@click.argument("sql")
@click.option("--limit", default=50, show_default=True, help="Rows shown at most.")
def query(sql: str, limit: int) -> None:
    """Run SQL and print what it gives. `messages` stands for Parley's view of that name, and so on."""
    where = target()
    config = QueryJobConfig(default_dataset=f"{where.project}.{where.views_dataset}")
    try:
        rows = client(where).query(sql, job_config=config).result()
    except GoogleAPICallError as error:
        raise click.ClickException(error.message or str(error)) from error
    show(rows, limit)


def show(rows: RowIterator, limit: int = 50, title: str | None = None) -> None:
    """Print rows of a query as a table; where that is too narrow for the columns, one below the other."""
    console = Console()
    names = [field.name for field in rows.schema]
    wide = len(names) * _NARROWEST_COLUMN > console.width
    shown = 0
    table = Table(*names, title=title, title_justify="left")
    for row in rows:
        if shown == limit:
            break
        shown += 1
        values = ["" if value is None else str(value) for value in row.values()]
        if wide:
            table = Table("column", "value", title=f"row {shown}", title_justify="left")
            for pair in zip(names, values, strict=True):
                table.add_row(*pair)
            console.print(table, markup=False)
        else:
            table.add_row(*values)
    if not wide:
        console.print(table, markup=False)
    if rows.total_rows and rows.total_rows > shown:
        console.print(f"{shown} of {rows.total_rows} rows; --limit shows more")
