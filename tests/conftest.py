"""What tests of every package share."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from pipelines.local.pubsub import PubSubServer

if TYPE_CHECKING:
    from tests.googlesql.engine import Engine

pytest_plugins = ["bigquery_fixtures", "tests.googlesql.counting"]

# `make fuzz` takes the other one. No deadline: how fast a machine is, is not what these tests are about.
hypothesis.settings.register_profile("tests", max_examples=200, deadline=None)
hypothesis.settings.register_profile(
    "fuzz", max_examples=int(os.environ.get("PARLEY_FUZZ_EXAMPLES", "15000")), deadline=None
)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def googlesql() -> "Engine":
    """GoogleSQL: its analyzer and its reference implementation, once a process."""
    from tests.googlesql.engine import Engine

    return Engine()


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubServer]:
    """A Pub/Sub of the test's own, which official clients find through the environment."""
    with PubSubServer() as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
        yield server
