"""A warehouse of each test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.cloud import bigquery
from reprocess_support import Warehouse

from pipelines.bigquery.target import Target


@pytest.fixture
def warehouse(bigquery_client: bigquery.Client, bigquery_target: Target, tmp_path: Path) -> Warehouse:
    return Warehouse(bigquery_client, bigquery_target, tmp_path / "archive")


@pytest.fixture
def generation(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the number of the normalization logic."""

    def set_to(number: int) -> None:
        for module in ("pipelines.events", "pipelines.item", "pipelines.reprocess.runs"):
            monkeypatch.setattr(f"{module}.GENERATION", number)

    return set_to
