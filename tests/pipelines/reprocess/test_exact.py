"""Every base view is a plain recount of what the archive tells, whatever was stored, applied, undone and settled.

And every view, recipe and number of the dashboard is what it is where nothing but the archive was ever told, each
event once and in its order: such a world's views are recounted in `test_recount_of_a_generated_world`.

Of 60 conversations by default; of 15,000 with `make fuzz`; or as `PARLEY_RECOUNT_HISTORIES` says, 2,000 with
`make recount`. They share a warehouse and a random order of moves, and
the seed tells which they were.
"""

import datetime as dt
import os
import random
from collections import Counter
from collections.abc import Iterable

import hypothesis
import pytest
from histories import History, history
from reprocess_support import ACTOR, Warehouse, options
from same_answers import answers

from pipelines.bigquery import resolving
from pipelines.core import rows
from pipelines.reprocess import State, superseding
from pipelines.reprocess.runs import Runs
from pipelines.reprocess.settle import settle
from pipelines.sources.normalization import every_row, normalize
from schemas.raw_event import RawEvent
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

SEED = 17
FEW = 60
EXAMPLES = hypothesis.settings.default.max_examples
HISTORIES = int(os.environ.get("PARLEY_RECOUNT_HISTORIES") or (EXAMPLES if EXAMPLES > 1_000 else FEW))
WITH_RECIPES = "PARLEY_RECOUNT_HISTORIES" in os.environ
"""The recipes ask only views, which are always compared."""
MOVES = 6
KEYS = {
    "messages": "message_id",
    "metadata": "metadata_id",
    "channels": "channel_id",
    "events": "event_id",
}
"""Base views, each with what its rows are known by; who is known by several ids is one contact in others."""


def recounted(archived: Iterable[RawEvent]) -> dict[str, set[str]]:
    """Return the ids that the archive tells, by view."""
    found: dict[str, set[str]] = {view: set() for view in KEYS}
    for event in archived:
        for row in every_row(event):
            if (view := rows.TABLE_OF[type(row)]) in KEYS:
                found[view].add(getattr(row, KEYS[view]))
    return found


def check(warehouse: Warehouse, told: History) -> None:
    for view, ids in recounted(told.archived).items():
        shown = Counter(row["id"] for row in warehouse.query(f"SELECT {KEYS[view]} AS id FROM `V.{view}`"))
        assert shown.keys() == ids, (view, list(shown.keys() - ids)[:3], list(ids - shown.keys())[:3])
        assert max(shown.values()) == 1, (view, shown.most_common(3))
    counted = warehouse.query("SELECT SUM(messages) AS n FROM `V.conversations`")
    assert counted == warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`")
    outcomes = Counter(normalize(event)[0].outcome for event in told.archived)
    ledger = warehouse.query("SELECT outcome, COUNT(*) AS n FROM `V.events` GROUP BY outcome")
    assert {row["outcome"]: row["n"] for row in ledger} == outcomes


def settled(warehouse: Warehouse, told: History) -> None:
    start, end = told.archived[0].received_at, told.archived[-1].received_at + dt.timedelta(seconds=1)
    done = settle(warehouse.client, warehouse.target, str(warehouse.archive), start, end, options(), actor=ACTOR)
    assert done.agrees
    check(warehouse, told)


def move(warehouse: Warehouse, chance: random.Random, told: History) -> None:
    """Plan a part of history and apply it, or take back what was applied last."""
    applied = [run for run in Runs(warehouse.client, warehouse.target).all() if run.state is State.APPLIED]
    if applied and chance.random() < 0.4:
        warehouse.roll_back(applied[-1])
        return
    first, last = told.archived[0].received_at, told.archived[-1].received_at
    start = first + (last - first) * chance.random()
    sources = chance.choice([(), (), ("facebook",), ("twilio", "whatsapp")])
    warehouse.apply(warehouse.plan(start=start, end=start + dt.timedelta(days=3), sources=sources))


def as_if_told_once(warehouse: Warehouse, told: History) -> None:
    once = Analyst()
    once.tell(*told.archived)
    resolving.keep(once.client, once.target)
    first, last = told.archived[0].received_at, told.archived[-1].received_at
    superseding.retold_lately(once.client, once.target, first, last + dt.timedelta(seconds=1))
    days = first.date(), last.date()
    expected = answers(once.client, once.target, *days, with_recipes=WITH_RECIPES)
    once.close()
    found = answers(warehouse.client, warehouse.target, *days, with_recipes=WITH_RECIPES)
    differing = {
        question: (Counter(expected[question]) - Counter(rows), Counter(rows) - Counter(expected[question]))
        for question, rows in found.items()
        if rows != expected[question]
    }
    assert found.keys() == expected.keys()
    assert {question: [list(side)[:2] for side in sides] for question, sides in differing.items()} == {}


@pytest.mark.hypothesis
@pytest.mark.timeout(7_200)
def test_readers_are_told_a_plain_recount_whatever_has_happened(warehouse: Warehouse):
    told = history(SEED, HISTORIES)
    chance = random.Random(SEED)
    warehouse.archived(told.archived)
    heard = list(told.heard)
    # The first third came while an older version ran, which miscounts; what was under way then came to both. And
    # some was never stored.
    older = heard[: len(heard) // 3]
    warehouse.live_of_an_older_version(older)
    both = [event for event in older if chance.random() < 0.1]
    newer = [event for event in heard[len(heard) // 3 :] if chance.random() > 0.02]
    warehouse.live(both)
    warehouse.live(newer[: len(newer) // 2])

    for _ in range(MOVES // 2):
        move(warehouse, chance, told)
    warehouse.live(newer[len(newer) // 2 :])
    settled(warehouse, told)
    for _ in range(MOVES // 2):
        move(warehouse, chance, told)
    settled(warehouse, told)
    as_if_told_once(warehouse, told)
