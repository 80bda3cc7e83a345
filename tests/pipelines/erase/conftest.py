"""A warehouse that is empty for every test, as those of reprocessing have it, and a key."""

import sys
from pathlib import Path

import pytest

from pipelines.bigquery import suppressed

# What tests of reprocessing share, wherever pytest was started.
sys.path.insert(0, str(Path(__file__).parents[1] / "reprocess"))
from tests.pipelines.reprocess.conftest import deployed, warehouse

__all__ = ["deployed", "warehouse"]
KEY = "a key of tests, and of nothing else in the world"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The operator's key, and nothing known of earlier tests."""
    monkeypatch.setenv(suppressed.KEY, KEY)
    suppressed.forget_known()
    # No live pipeline runs beside these tests, but for those that say so.
    monkeypatch.setattr(suppressed, "KNOWN_AFTER_SECONDS", 0.0)
    return KEY
