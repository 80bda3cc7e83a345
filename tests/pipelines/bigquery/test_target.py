from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from pipelines.bigquery.target import (
    GRPC_EMULATOR,
    REST_EMULATOR,
    ConfigurationError,
    Target,
    client,
    drop_dataset,
    write_client,
)


def test_names_come_from_the_environment() -> None:
    target = Target.from_environment({"PARLEY_PROJECT": "acme-prod", "PARLEY_DATASET_PREFIX": "x_"})

    assert target == Target("acme-prod", "x_parley_rows", "x_parley", "US")
    assert target.table("messages") == "acme-prod.x_parley_rows.messages"
    assert target.view("messages") == "acme-prod.x_parley.messages"
    assert target.write_stream("messages") == (
        "projects/acme-prod/datasets/x_parley_rows/tables/messages/streams/_default"
    )


def test_location_can_be_chosen() -> None:
    target = Target.from_environment({"PARLEY_PROJECT": "acme-prod", "PARLEY_LOCATION": "EU"})

    assert target.location == "EU"


@pytest.mark.parametrize("environ", [{}, {"PARLEY_PROJECT": ""}])
def test_a_missing_project_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="PARLEY_PROJECT"):
        Target.from_environment(environ)


@pytest.mark.parametrize(("project", "prefix"), [("Acme Prod", ""), ("acme`;--", ""), ("acme-prod", "x-")])
def test_names_that_bigquery_would_refuse_are_refused_at_once(project: str, prefix: str) -> None:
    with pytest.raises(ConfigurationError):
        Target.prefixed(project, prefix)


def test_domain_scoped_projects_are_projects() -> None:
    assert Target.prefixed("example.com:acme-prod").project == "example.com:acme-prod"


@pytest.mark.parametrize("present", [REST_EMULATOR, GRPC_EMULATOR])
@pytest.mark.parametrize("make", [client, write_client])
def test_half_an_emulator_never_sends_the_other_half_to_google(
    present: str, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REST_EMULATOR, raising=False)
    monkeypatch.delenv(GRPC_EMULATOR, raising=False)
    monkeypatch.setenv(present, "http://127.0.0.1:1")

    with pytest.raises(ConfigurationError, match=" is not set"):
        make(Target("acme-prod"))  # type: ignore[operator]


def test_an_emulator_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REST_EMULATOR, "http://127.0.0.1:1")
    monkeypatch.setenv(GRPC_EMULATOR, "127.0.0.1:2")

    with client(Target("acme-prod")) as rest:
        assert isinstance(rest._credentials, AnonymousCredentials)
    assert isinstance(write_client(Target("acme-prod")).transport.grpc_channel, grpc.Channel)


def test_a_wrong_query_is_an_error_however_it_is_asked(bigquery_client: bigquery.Client) -> None:
    with pytest.raises(GoogleAPICallError, match="nope"):
        bigquery_client.query_and_wait("SELECT nope")
    with pytest.raises(GoogleAPICallError, match="nope"):
        bigquery_client.query("SELECT nope").result()


def test_queries_take_parameters(bigquery_client: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("n", "INT64", 4)])

    assert [row.n for row in bigquery_client.query_and_wait("SELECT @n AS n", job_config=config)] == [4]


def test_a_dataset_that_is_not_there_is_dropped_by_who_may_delete_only_what_they_made() -> None:
    """As a batch job's account drops what an earlier attempt may have left, and an operator a preview."""
    there, deleted = {"a-project.parley_run_1"}, []

    def get_dataset(name: str) -> None:
        if name not in there:
            raise NotFound(name)

    def delete_dataset(name: str, **_: Any) -> None:
        if name not in there:
            raise Forbidden(f"bigquery.datasets.delete denied on dataset {name} (or it may not exist)")
        deleted.append(name)

    narrow: Any = SimpleNamespace(get_dataset=get_dataset, delete_dataset=delete_dataset)
    for name in ("a-project.parley_run_1", "a-project.parley_run_2"):
        drop_dataset(narrow, name)

    assert deleted == ["a-project.parley_run_1"]
