from dataclasses import dataclass

import msgspec
import pytest
from google.cloud import bigquery
from row_samples import sample

from pipelines.bigquery import arrow, deploy
from pipelines.bigquery.appender import Appender
from pipelines.bigquery.target import Target, write_client
from schemas import loader

pytestmark = pytest.mark.thorough


@dataclass
class Schemas:
    """What `schemas/` says, open to change by a test."""

    tables: dict[str, loader.TableSpec]
    views: dict[str, str]

    def change(self, table: str, **values: object) -> None:
        self._set(table, {**self.tables[table].resource, **values})

    def add_column(self, table: str, **column: str) -> None:
        resource = self.tables[table].resource
        fields = [*resource["schema"]["fields"], {"description": "New.", "mode": "NULLABLE", **column}]
        self._set(table, {**resource, "schema": {"fields": fields}})

    def drop_column(self, table: str, name: str) -> None:
        resource = self.tables[table].resource
        fields = [field for field in resource["schema"]["fields"] if field["name"] != name]
        self._set(table, {**resource, "schema": {"fields": fields}})

    def _set(self, table: str, resource: dict[str, object]) -> None:
        self.tables[table] = loader._table(table, resource)


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> Schemas:
    changed = Schemas(dict(loader.tables()), dict(loader.views()))
    monkeypatch.setattr(loader, "tables", lambda: changed.tables)
    monkeypatch.setattr(loader, "views", lambda: changed.views)
    return changed


def test_everything_is_created_described(empty_target: Target, bigquery_client: bigquery.Client) -> None:
    done = deploy.deploy(bigquery_client, empty_target)

    assert len(done) == 2 + len(loader.tables()) + len(loader.views())
    for name, spec in loader.tables().items():
        table = bigquery_client.get_table(empty_target.table(name))
        told = [(field.name, field.mode, field.description) for field in table.schema]
        assert told == [(column.name, column.mode, column.description) for column in spec.columns]
        assert table.description == spec.description
    for name, sql in loader.views().items():
        view = bigquery_client.get_table(empty_target.view(name))
        assert (view.table_type, view.description) == ("VIEW", loader.view_description(sql))
        rows = list(bigquery_client.query_and_wait(f"SELECT * FROM `{empty_target.view(name)}`"))
        # The two inboxes of Meta are known without anybody naming them.
        assert len(rows) == (2 if name == "actor_names" else 0), name


def test_partitioning_and_clustering_are_deployed(
    bigquery_target: Target, bigquery_client: bigquery.Client
) -> None:
    table = bigquery_client.get_table(bigquery_target.table("messages"))

    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "sent_date")
    assert table.clustering_fields == ["conversation_id", "message_id"]


def test_a_second_deployment_does_nothing(bigquery_target: Target, bigquery_client: bigquery.Client) -> None:
    assert deploy.deploy(bigquery_client, bigquery_target) == []


def test_a_plan_changes_nothing(empty_target: Target, bigquery_client: bigquery.Client) -> None:
    first = [step.description for step in deploy.plan(bigquery_client, empty_target)]

    assert [step.description for step in deploy.plan(bigquery_client, empty_target)] == first != []


def test_a_new_column_is_added_and_takes_values(
    bigquery_target: Target, bigquery_client: bigquery.Client, schemas: Schemas
) -> None:
    schemas.add_column("channels", name="colour", type="STRING")
    schemas.add_column("channels", name="tags", type="STRING", mode="REPEATED")

    done = deploy.deploy(bigquery_client, bigquery_target)

    assert done == [
        "added channels.colour",
        "added channels.tags",
        "updated table channels: descriptions of new columns",
    ]
    table = bigquery_client.get_table(bigquery_target.table("channels"))
    assert [(field.name, field.description) for field in table.schema][-2:] == [
        ("colour", "New."),
        ("tags", "New."),
    ]
    bigquery_client.query_and_wait(
        f"INSERT INTO `{bigquery_target.table('channels')}` "
        "(channel_id, source, source_channel_id, seen_at, seen_date, event_id, received_at, generation,"
        " processed_at, colour, tags) VALUES ('c', 's', 'c', CURRENT_TIMESTAMP(), CURRENT_DATE(), 'e',"
        " CURRENT_TIMESTAMP(), 1, CURRENT_TIMESTAMP(), 'red', ['a', 'b'])"
    )
    query = f"SELECT colour, tags FROM `{bigquery_target.table('channels')}`"
    assert [row.values() for row in bigquery_client.query_and_wait(query)] == [("red", ["a", "b"])]
    assert deploy.deploy(bigquery_client, bigquery_target) == []


def test_rows_of_a_pipeline_that_does_not_know_a_new_column_yet_are_stored(
    bigquery_target: Target, bigquery_client: bigquery.Client, schemas: Schemas
) -> None:
    old, row = arrow.schema("channels"), sample("channels")
    schemas.add_column("channels", name="colour", type="STRING")
    deploy.deploy(bigquery_client, bigquery_target)
    assert arrow.schema("channels") is old

    appender = Appender(write_client(bigquery_target), bigquery_target)
    assert appender.append("channels", [row]).result() == []
    appender.close()

    query = f"SELECT colour FROM `{bigquery_target.table('channels')}`"
    assert [row.values() for row in bigquery_client.query_and_wait(query)] == [(None,)]


def test_changed_descriptions_and_views_are_deployed(
    bigquery_target: Target, bigquery_client: bigquery.Client, schemas: Schemas
) -> None:
    schemas.change("channels", description="Changed.")
    schemas.views["channels"] = "-- Changed too.\nSELECT 1 AS one FROM `${rows}.channels`"

    assert deploy.deploy(bigquery_client, bigquery_target) == [
        "updated table channels: description",
        "updated view channels",
    ]
    assert bigquery_client.get_table(bigquery_target.table("channels")).description == "Changed."
    assert bigquery_client.get_table(bigquery_target.view("channels")).description == "Changed too."
    assert deploy.deploy(bigquery_client, bigquery_target) == []


def test_destructive_changes_are_refused_all_at_once_and_nothing_is_changed(
    bigquery_target: Target, bigquery_client: bigquery.Client, schemas: Schemas
) -> None:
    schemas.drop_column("channels", "display_name")
    schemas.change("contacts", clustering={"fields": ["source"]})
    schemas.add_column("metadata", name="harmless", type="STRING")

    with pytest.raises(deploy.DestructiveChangeError) as refused:
        deploy.deploy(bigquery_client, bigquery_target)

    assert refused.value.problems == [
        "channels.display_name exists but schemas/ does not know it",
        "contacts is clustered by ['contact_id'], schemas/ says ['source']",
    ]
    table = bigquery_client.get_table(bigquery_target.table("metadata"))
    assert "harmless" not in [field.name for field in table.schema]


def test_another_location_is_refused(bigquery_target: Target, bigquery_client: bigquery.Client) -> None:
    elsewhere = msgspec.structs.replace(bigquery_target, location="EU")

    with pytest.raises(deploy.DestructiveChangeError, match="is in US, not in EU"):
        deploy.deploy(bigquery_client, elsewhere)


def test_a_table_where_a_view_should_be_is_refused(empty_target: Target, bigquery_client: bigquery.Client) -> None:
    bigquery_client.create_dataset(empty_target.views_dataset)
    schema = [bigquery.SchemaField("a", "STRING")]
    bigquery_client.create_table(bigquery.Table(empty_target.view("messages"), schema))

    with pytest.raises(deploy.DestructiveChangeError, match=r"messages is a TABLE, not a view"):
        deploy.deploy(bigquery_client, empty_target)


def test_views_come_after_the_views_that_they_read() -> None:
    views = {
        "a": "SELECT * FROM `${views}.b`",
        "b": "SELECT * FROM `${views}.c` JOIN `${views}.d`",
        "c": "SELECT 1",
        "d": "SELECT * FROM `${views}.c`",
    }

    assert deploy.in_dependency_order(views) == ["c", "d", "b", "a"]


def test_views_that_read_each_other_in_a_circle_are_an_error() -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        deploy.in_dependency_order({"a": "`${views}.b`", "b": "`${views}.a`"})
