"""Histories as they happen, read by the local BigQuery and by GoogleSQL's reference implementation.

Of an eighth as many conversations as the profile of hypothesis has examples, 25 by default, but at most 100 (with
`make fuzz`): the reference implementation compares each row with each. Some events are there in an older
generation as well, which took some of their messages for others.
"""

from collections.abc import Iterator
from random import Random

import hypothesis
import pytest
from analyst import Analyst
from msgspec import structs

from pipelines.core.rows import Message, Row
from pipelines.sources.normalization import normalize
from tests.googlesql.engine import Engine
from tests.pipelines.reprocess.histories import history

pytestmark = pytest.mark.thorough

SEED = 11
MOST = 100
BASE = ("messages", "metadata", "events", "dead_letters", "contacts", "conversations", "channels")
"""Views that read rows. What further views make of these, other tests compare."""


@pytest.fixture(scope="module")
def analyst_of_histories(emulator_environment: None, googlesql: Engine) -> Iterator[Analyst]:
    """An analyst of what live heard; each query is asked of both."""
    random = Random(SEED)
    someone = Analyst(googlesql)
    rows: list[Row] = []
    for event in history(SEED, min(hypothesis.settings.default.max_examples // 8, MOST)).heard:
        made = list(normalize(event))
        rows += made
        if random.random() < 0.3:
            rows += [_as_it_was(random, row) for row in made]
    someone.load(rows)
    yield someone
    someone.close()


def _as_it_was(random: Random, row: Row) -> Row:
    """Return a row of an older generation, which took some messages for something else."""
    older = structs.replace(row, generation=row.generation - 1)
    return (
        structs.replace(older, kind="unknown") if isinstance(older, Message) and random.random() < 0.5 else older
    )


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("view", BASE)
def test_a_view_of_histories_is_the_same_in_the_reference_implementation(analyst_of_histories: Analyst, view: str):
    assert analyst_of_histories.query(f"SELECT * FROM parley.{view}")


def test_the_histories_have_what_views_must_choose_from(analyst_of_histories: Analyst):
    def stored(table: str) -> int:
        name = analyst_of_histories.target.table(table)
        return int(next(iter(analyst_of_histories.client.query_and_wait(f"SELECT COUNT(*) FROM `{name}`")))[0])

    def shown(view: str) -> int:
        return int(analyst_of_histories.query(f"SELECT COUNT(*) AS n FROM parley.{view}")[0]["n"])

    assert stored("messages") > 1.2 * shown("messages")
    assert stored("metadata") > 1.2 * shown("metadata")
    generations = "SELECT COUNT(DISTINCT kind) AS n FROM parley.messages WHERE kind = 'unknown'"
    assert analyst_of_histories.query(generations) == [{"n": 0}]
