import uuid
from collections.abc import Iterator

import pytest
from bigquery_fixtures import PROJECT, Emulator
from dashboard_shop import Shop
from dashboard_world import DashboardWorld
from flask.testing import FlaskClient

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target
from tests.schemas.analyst import Analyst


@pytest.fixture(scope="session")
def world(bigquery_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardWorld]:
    """A generated world, which nobody changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        made = DashboardWorld(
            Target.prefixed(PROJECT, f"d{uuid.uuid4().hex[:12]}_"), tmp_path_factory.mktemp("world") / "archive"
        )
        yield made
        made.client.close()


@pytest.fixture
def page(world: DashboardWorld) -> FlaskClient:
    """Whoever looks at the dashboard."""
    return world.app.test_client()


@pytest.fixture(scope="session")
def analyst_of_shops(bigquery_emulator: Emulator) -> Iterator[Analyst]:
    """An analyst for all shops, since tables and views take a second to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        someone = Analyst()
        yield someone
        someone.close()


@pytest.fixture
def shop(bigquery_environment: Emulator, analyst_of_shops: Analyst) -> Shop:
    """A shop of which nothing has been told yet."""
    analyst_of_shops.forget()
    return Shop(analyst_of_shops)
