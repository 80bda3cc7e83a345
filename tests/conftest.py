"""What tests of every package share."""

from collections.abc import Iterator

import pytest

from pipelines.local.pubsub import PubSubServer

pytest_plugins = ["bigquery_fixtures"]


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubServer]:
    """A Pub/Sub of the test's own, which official clients find through the environment."""
    with PubSubServer() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        yield server
