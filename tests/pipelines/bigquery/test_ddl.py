"""What `parley tables deploy --dry-run` prints is what a deployment does."""

import pytest
from click.testing import CliRunner
from google.api_core.exceptions import NotFound
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery

from pipelines.bigquery import ddl, deploy
from pipelines.bigquery.target import DATASET_PREFIX, PROJECT, Target
from pipelines.run import table_commands
from schemas import loader

pytestmark = pytest.mark.thorough

ENVIRONMENT = {PROJECT: "parley-test", DATASET_PREFIX: "nobodys_"}


def dry_run(environment: dict[str, str]) -> str:
    ran = CliRunner().invoke(
        table_commands.tables, ["deploy", "--dry-run"], env=environment, catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def of(target: Target) -> dict[str, str]:
    return {PROJECT: target.project, DATASET_PREFIX: target.rows_dataset.removesuffix("parley_rows")}


def test_it_prints_every_dataset_table_and_view_and_changes_nothing(
    empty_target: Target, bigquery_client: bigquery.Client
) -> None:
    printed = dry_run(of(empty_target))

    for name in (empty_target.rows_dataset, empty_target.views_dataset):
        assert f"CREATE SCHEMA IF NOT EXISTS `{empty_target.project}.{name}`" in printed
    for name in loader.tables():
        assert f"CREATE TABLE IF NOT EXISTS `{empty_target.table(name)}`" in printed
    for name in loader.views():
        assert f"CREATE OR REPLACE VIEW `{empty_target.view(name)}`" in printed
    with pytest.raises(NotFound):
        bigquery_client.get_dataset(empty_target.rows_dataset)


def test_a_views_query_is_printed_as_it_is_deployed(
    bigquery_target: Target, bigquery_client: bigquery.Client
) -> None:
    printed = ddl.script(
        statement
        for step in deploy.plan(deploy.EmptyProject(bigquery_target), bigquery_target)
        for statement in step.sql
    )

    for name in loader.views():
        assert f"\nAS\n{bigquery_client.get_table(bigquery_target.view(name)).view_query.rstrip()}\n;" in printed


def test_where_all_is_deployed_there_is_nothing_to_do(bigquery_target: Target) -> None:
    assert dry_run(of(bigquery_target)) == "-- nothing to do: all is deployed\n"


def test_of_what_is_there_only_the_changes_are_printed(
    bigquery_target: Target, bigquery_client: bigquery.Client
) -> None:
    table = bigquery_client.get_table(bigquery_target.table("channels"))
    table.description = "Something else."
    bigquery_client.update_table(table, ["description"])
    bigquery_client.delete_table(bigquery_target.view("channels"))

    printed = dry_run(of(bigquery_target))

    assert printed.count("\n;\n") == 2
    assert f"ALTER TABLE `{bigquery_target.table('channels')}` SET" in printed
    assert f"CREATE OR REPLACE VIEW `{bigquery_target.view('channels')}`" in printed
    assert bigquery_client.get_table(bigquery_target.table("channels")).description == "Something else."


def test_without_credentials_it_is_for_an_empty_project(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(target: Target) -> bigquery.Client:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(table_commands, "client", nobody)

    assert dry_run(ENVIRONMENT).count("CREATE ") == 2 + len(loader.tables()) + len(loader.views())


def test_the_script_makes_what_a_deployment_makes(empty_target: Target, bigquery_client: bigquery.Client) -> None:
    for step in deploy.plan(bigquery_client, empty_target):
        for statement in step.sql:
            bigquery_client.query_and_wait(statement)

    for name, spec in loader.tables().items():
        made = bigquery_client.get_table(empty_target.table(name))
        assert [(field.name, field.mode) for field in made.schema] == [
            (column.name, column.mode) for column in spec.columns
        ]
    for name in loader.views():
        assert bigquery_client.get_table(empty_target.view(name)).table_type == "VIEW"


def test_quotes_and_backslashes_of_a_description_stay_in_it() -> None:
    table = bigquery.Table("p-roject.d.t", [bigquery.SchemaField("a", "STRING", description='say "\\n"')])

    assert 'OPTIONS (description = "say \\"\\\\n\\"")' in ddl.create_table(table)


def test_a_property_without_a_statement_is_refused() -> None:
    table = bigquery.Table("p-roject.d.t", [bigquery.SchemaField("a", "STRING")])
    table.require_partition_filter = True

    with pytest.raises(ValueError, match="requirePartitionFilter"):
        ddl.create_table(table)
