"""One judge for all tests of this folder."""

import pytest

from tests.googlesql.engine import Engine
from tests.googlesql.judge import Judge


@pytest.fixture(scope="session")
def judge(googlesql: Engine) -> Judge:
    """GoogleSQL that knows the tables and, once each is accepted, the views."""
    made = Judge(googlesql)
    made.add_views()
    return made
