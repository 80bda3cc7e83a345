"""A warehouse that is empty for every test, in tables that a module's tests share."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bigquery_fixtures import PROJECT, Emulator
from google.cloud import bigquery
from reprocess_support import Warehouse

from pipelines.bigquery import deploy
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client
from pipelines.reprocess import streamed


@pytest.fixture(scope="module")
def deployed(bigquery_emulator: Emulator) -> Iterator[tuple[bigquery.Client, Target]]:
    """A client, and datasets with all tables and views: the local BigQuery translates a query only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        # Tests store and replace at once; `test_streamed` waits as Google makes one wait.
        patch.setenv(streamed.MINUTES, "0")
        target = Target.prefixed(PROJECT, f"t{uuid.uuid4().hex[:12]}_")
        with client(target) as opened:
            deploy.deploy(opened, target)
            yield opened, target


@pytest.fixture
def warehouse(deployed: tuple[bigquery.Client, Target], tmp_path: Path) -> Warehouse:
    """BigQuery without a row, and no archive yet."""
    warehouse = Warehouse(*deployed, tmp_path / "archive")
    warehouse.empty()
    return warehouse


@pytest.fixture
def generation(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the number of the normalization logic."""

    def set_to(number: int) -> None:
        for module in ("pipelines.sources.normalization", "pipelines.core.item", "pipelines.reprocess.runs"):
            monkeypatch.setattr(f"{module}.GENERATION", number)

    return set_to
