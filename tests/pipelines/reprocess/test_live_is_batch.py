"""What analysts read is the same, whether live made it or a reprocessing.

Of as many conversations as the profile of hypothesis has examples: 200 by default, 15,000 with `make fuzz`. They
share a warehouse, as they would, and the seed tells which they were.
"""

import random
from collections import Counter

import hypothesis
import pytest
from histories import history
from reprocess_support import Warehouse

from pipelines.reprocess import State
from schemas import loader

pytestmark = pytest.mark.thorough

SEED = 5
MADE = {"processed_at", "generation", "traceback", "median_processing_delay", "p95_processing_delay"}
"""Columns that tell when and by which code rows were made."""


def shown(warehouse: Warehouse) -> dict[str, Counter[str]]:
    """Return what every view shows; of runs, naturally, there are more afterwards."""
    return {
        view: Counter(
            repr({name: value for name, value in row.items() if name not in MADE})
            for row in warehouse.query(f"SELECT * FROM `V.{view}`")
        )
        for view in loader.views()
        if view != "runs"
    }


@pytest.mark.hypothesis
@pytest.mark.timeout(3_600)
def test_views_show_after_streaming_what_they_show_after_reprocessing(warehouse: Warehouse):
    told = history(SEED, hypothesis.settings.default.max_examples)
    warehouse.archived(told.archived)
    chunks = random.Random(SEED)
    waiting = told.heard
    while waiting:
        size = chunks.randrange(1, 1_000)
        warehouse.live(waiting[:size])
        waiting = waiting[size:]
    live = shown(warehouse)

    run = warehouse.plan()

    moved = {t: d for t, d in run.differences().items() if d["added"] or d["removed"] or d["changed"]}
    assert moved == {}
    assert run.events == len(told.archived)
    assert warehouse.apply(run).state is State.APPLIED
    again = shown(warehouse)
    for view, rows in live.items():
        assert rows == again[view], (list(rows - again[view])[:3], list(again[view] - rows)[:3])


def test_the_histories_have_what_goes_wrong_in_the_world(warehouse: Warehouse):
    told = history(SEED, hypothesis.settings.get_profile("tests").max_examples)
    warehouse.live(told.archived)

    events = Counter(event.attributes["event_id"] for event in told.heard)
    days = warehouse.query("SELECT DISTINCT received_date FROM `V.events`")
    outcomes = {row["outcome"] for row in warehouse.query("SELECT DISTINCT outcome FROM `V.events`")}
    sources = {row["source"] for row in warehouse.query("SELECT DISTINCT source FROM `V.events`")}
    conversations = warehouse.query(
        "SELECT conversation_id FROM `V.messages` GROUP BY conversation_id HAVING COUNT(DISTINCT sent_date) > 1"
    )
    assert max(events.values()) == 2
    assert told.heard[: len(told.archived)] != told.archived
    assert len(days) >= 4
    assert outcomes >= {"normalized", "partial", "failed"}
    assert sources == {"facebook", "whatsapp", "twilio", "google", "chatplugin", "airy", "replies"}
    assert len(conversations) >= 10
    repeated = "SELECT body_sha256 FROM `V.events` GROUP BY body_sha256 HAVING COUNT(*) > 1"
    assert len(warehouse.query(repeated)) >= 10
