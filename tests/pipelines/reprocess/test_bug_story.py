"""The bug story: wrong counts, a fix, a plan that shows exactly that, applied, taken back, applied again."""

from collections.abc import Iterable

import pytest
from reprocess_support import Warehouse, reaction

from pipelines.bigquery import appender
from pipelines.bigquery.bundle import Bundle
from pipelines.core.batches import NormalizedBatch
from pipelines.core.rows import TABLE_OF, Row
from pipelines.demo import miscounting
from pipelines.reprocess import diff
from pipelines.reprocess.runs import Staging
from pipelines.sources.normalization import normalize
from schemas.raw_event import RawEvent
from tests.raw_events import text_message


def miscounted(warehouse: Warehouse, events: Iterable[RawEvent]) -> None:
    """Archive and store events as the wrong generation does live."""
    received = list(events)
    warehouse.archived(received)
    made: dict[str, list[Row]] = {}
    for event in received:
        for row in miscounting.normalize(event):
            made.setdefault(TABLE_OF[type(row)], []).append(row)
    bundle = Bundle(appender.shared(warehouse.target))
    bundle.add(NormalizedBatch(received, made, "live"))
    bundle.finish()


def counts(warehouse: Warehouse) -> dict[str, int]:
    rows = warehouse.query("SELECT source_conversation_id AS contact, messages FROM `V.conversations`")
    return {row["contact"]: row["messages"] for row in rows}


@pytest.mark.timeout(240)
def test_wrong_counts_are_put_right_taken_back_and_put_right_again(warehouse: Warehouse):
    texts = [text_message(n) for n in range(14)]
    reactions = [reaction(n) for n in range(5)]
    assert len(miscounting.normalize(reactions[0])) == len(normalize(reactions[0])) + 1
    miscounted(warehouse, [*texts, *reactions])
    wrong = counts(warehouse)
    assert sum(wrong.values()) == 14 + 5

    run = warehouse.plan()

    assert run.differences()["messages"] == {"added": 0, "removed": 5, "changed": 0, "unchanged": 14}
    difference = diff.read(warehouse.client, Staging.of(warehouse.target, run.run_id), samples=100)
    assert {s.event_id for s in difference.samples if s.table == "messages"} == {e.event_id for e in reactions}
    # The ledger counted the wrong messages too: of a generation that counted otherwise that is not compared.
    assert run.differences()["events"] == {"added": 0, "removed": 0, "changed": 0, "unchanged": 19}
    assert counts(warehouse) == wrong

    arriving = [text_message(n) for n in range(14, 17)]
    warehouse.received(arriving[:1])
    warehouse.apply(run)
    right = counts(warehouse)
    assert sum(right.values()) == 14 + 1
    warehouse.received(arriving[1:2])
    warehouse.roll_back(run)
    assert sum(counts(warehouse).values()) == sum(wrong.values()) + 2
    warehouse.received(arriving[2:])
    warehouse.apply(run)
    assert counts(warehouse) == {f"contact-{n}": 3 if n < 3 else 2 for n in range(7)}
    assert warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM `V.counted_events`") == [
        {"n": 22, "ids": 22}
    ]
