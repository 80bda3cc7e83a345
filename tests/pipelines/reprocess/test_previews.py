"""A preview is what apply makes true: each view of it is the view afterwards, whatever live stores meanwhile.

Over generated histories, of which live has missed a part, stored another twice, and a third by an older version.
The profile `fuzz` of hypothesis reads every view, over more of them. `make test` reads those of which all others
are made, and sees that the others are the same SQL: the local BigQuery takes seconds to translate some of them.
"""

import random
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from histories import History, history
from reprocess_support import Warehouse

from pipelines.bigquery.target import Target
from pipelines.reprocess import Run, State, previewing, staging
from pipelines.reprocess.runs import Staging
from schemas import loader
from schemas.raw_event import RawEvent

pytestmark = pytest.mark.thorough

IS_FUZZ = hypothesis.settings.default.max_examples > 1_000
WORLDS, CONVERSATIONS, PLANS = (5, 40, 3) if IS_FUZZ else (1, 15, 1)

VIEWS = sorted(loader.views().keys() - {"runs", "superseded"})
"""What a run makes true; the two others tell of runs."""
_BASE = ("alias", "counted_", "events", "dead_letters", "identities", "retold")
BASE = [view for view in VIEWS if view.startswith(_BASE) or view.endswith("_as_told")]
"""Those that read tables, and what all others are made of."""
OF_MOVES = {"placed_at", "decided_at"}
"""Columns that say when a run put its rows in place."""


def shown(warehouse: Warehouse, where: Target) -> dict[str, list[str]]:
    """Return the rows of every view, or of those that all others are made of."""
    found = {}
    for view in VIEWS if IS_FUZZ else BASE:
        rows = warehouse.client.query_and_wait(f"SELECT * FROM `{where.view(view)}`")
        found[view] = sorted(repr([item for item in row.items() if item[0] not in OF_MOVES]) for row in rows)
    return found


def some(chance: random.Random, events: Sequence[RawEvent]) -> list[RawEvent]:
    """Take a few from a list of events, those that live has missed and some that it stores once more."""
    return [event for event in events if chance.random() < 0.1]


def made_of(warehouse: Warehouse, where: Target, view: str) -> str:
    """Return the SQL of a view, with the names that the datasets have in `schemas/views`."""
    sql = warehouse.client.get_table(where.view(view)).view_query
    named = sql.replace(where.view(""), "views.").replace(where.table(""), "rows.")
    assert where.project not in named, (view, "reads what is not its own")
    return named


def a_run(warehouse: Warehouse, chance: random.Random, told: History, number: int) -> Run:
    """Plan all or a part of history; apply every second run and take it back first."""
    first, last = told.archived[0].received_at, told.archived[-1].received_at
    parts: list[dict[str, Any]] = [
        {"start": first, "end": first + (last - first) * chance.random()},
        {"sources": ("twilio", "whatsapp")},
        {"events": frozenset(event.event_id for event in told.archived if chance.random() < 0.5)},
    ]
    run = warehouse.plan(**({} if number == 0 else chance.choice(parts)))
    if number % 2:
        warehouse.apply(run)
        run = warehouse.roll_back(run)
    return run


@pytest.mark.hypothesis
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(WORLDS))
def test_every_view_of_a_preview_is_what_apply_makes_of_it(warehouse: Warehouse, seed: int):
    told, chance = history(seed, CONVERSATIONS), random.Random(seed)
    warehouse.archived(told.archived)
    third = len(told.heard) // 3
    warehouse.live_of_an_older_version(told.heard[:third])
    warehouse.live([event for event in told.heard[third:] if chance.random() < 0.7])

    for number in range(PLANS):
        run = a_run(warehouse, chance, told, number)
        warehouse.live(some(chance, told.heard))
        preview = previewing.make(warehouse.client, warehouse.target, run)
        # And while somebody looks at it.
        warehouse.live(some(chance, told.heard))

        planned = shown(warehouse, preview)
        assert warehouse.apply(run).state is State.APPLIED
        applied = shown(warehouse, warehouse.target)

        assert number or staging.affected(warehouse.client, Staging.of(warehouse.target, run.run_id))
        for view, rows in applied.items():
            assert planned[view] == rows, (view, run.selection)
        for view in set(VIEWS) - set(BASE):
            assert made_of(warehouse, preview, view) == made_of(warehouse, warehouse.target, view)
        previewing.drop(warehouse.client, warehouse.target, run.run_id)
