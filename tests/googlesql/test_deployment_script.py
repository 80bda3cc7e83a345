"""Every statement that `parley tables deploy --dry-run` prints is accepted by GoogleSQL."""

import pytest
from google.cloud import bigquery

from pipelines.bigquery import ddl, deploy
from pipelines.bigquery.target import Target
from schemas import loader
from tests.googlesql.judge import PROJECT, Judge

pytestmark = pytest.mark.thorough

TARGET = Target.prefixed(PROJECT)
STEPS = deploy.plan(deploy.EmptyProject(TARGET), TARGET)


def test_each_step_is_printed():
    assert len(STEPS) == 2 + len(loader.tables()) + len(loader.views())
    assert all(step.sql for step in STEPS)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.description)
def test_a_deployment_into_an_empty_project_is_accepted(judge: Judge, step: deploy.Step):
    for statement in step.sql:
        judge.analyze(statement)


def test_what_is_refused_is_noticed(judge: Judge):
    table = bigquery.Table(TARGET.table("events"), [bigquery.SchemaField("a", "STRING")])
    table.clustering_fields = ["no_such_column"]

    with pytest.raises(Exception, match="no_such_column"):
        judge.analyze(ddl.create_table(table))


def test_changes_of_what_is_there_are_accepted(judge: Judge):
    resource = loader.tables()["messages"].resource
    reference = bigquery.TableReference.from_string(TARGET.table("messages")).to_api_repr()
    wanted = bigquery.Table.from_api_repr({**resource, "tableReference": reference})
    fields = [bigquery.SchemaField(field.name, field.field_type, "REQUIRED") for field in wanted.schema]
    present = bigquery.Table(TARGET.table("messages"), fields)

    dataset = bigquery.Dataset(f"{PROJECT}.parley_rows")
    dataset.description = 'Rows, "as told".'

    statements = [
        *ddl.update_table(present, wanted),
        ddl.add_column(TARGET.table("messages"), bigquery.SchemaField("new", "STRING", "REPEATED")),
        ddl.describe_schema(dataset),
    ]

    assert any("DROP NOT NULL" in statement for statement in statements)
    for statement in statements:
        judge.analyze(statement)
