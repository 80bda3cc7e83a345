"""One judge for all tests: starting it takes longer than most of what it is asked."""

import pytest

from tests.googlesql.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Judge:
    """GoogleSQL that knows the tables and, once each is accepted, the views."""
    made = Judge()
    made.add_views()
    return made
