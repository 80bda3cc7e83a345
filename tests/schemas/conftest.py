"""What tests of views and of their documentation share."""

from collections.abc import Iterator

import pytest
from analyst import Analyst
from bigquery_fixtures import Emulator
from sample_world import fill

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from tests.googlesql.engine import Engine


@pytest.fixture(scope="session")
def emulator_environment(bigquery_emulator: Emulator) -> Iterator[None]:
    """The session's local BigQuery, which official clients find through the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        yield


@pytest.fixture(scope="session")
def sample_world(emulator_environment: None, googlesql: Engine) -> Iterator[Analyst]:
    """An analyst of two weeks of a shop; nobody writes to these tables."""
    someone = Analyst(googlesql)
    fill(someone)
    yield someone
    someone.close()


@pytest.fixture(scope="session")
def somebody(emulator_environment: None, googlesql: Engine) -> Iterator[Analyst]:
    """An analyst for all tests, since tables and views take a second to make."""
    someone = Analyst(googlesql)
    yield someone
    someone.close()


@pytest.fixture
def analyst(somebody: Analyst) -> Analyst:
    """An analyst whose tables are empty."""
    somebody.forget()
    return somebody
