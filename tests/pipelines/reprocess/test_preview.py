"""A preview shows before apply, in every view, what apply makes true; and takes nothing from anybody."""

import datetime as dt
from collections import Counter

import pytest
from reprocess_support import Warehouse
from sms import sms

from pipelines.bigquery.target import Target
from pipelines.reprocess import RefusedError, previewing
from schemas import loader
from tests.raw_events import NOON, raw_event, text_message

MADE = {"placed_at", "decided_at", "run_id"}
LEFT_OUT = {"runs", "superseded"}
"""What a run itself leaves, which a preview cannot show yet."""


def shown(warehouse: Warehouse, where: Target) -> dict[str, Counter[str]]:
    return {
        view: Counter(
            repr(sorted((name, value) for name, value in row.items() if name not in MADE))
            for row in warehouse.client.query_and_wait(f"SELECT * FROM `{where.view(view)}`")
        )
        for view in loader.views()
        if view not in LEFT_OUT
    }


def test_every_view_of_a_preview_is_what_it_is_after_apply(warehouse: Warehouse):
    midnight = NOON.replace(hour=0) + dt.timedelta(days=1)
    warehouse.received([*map(text_message, range(5)), raw_event(b"no json", number=90)])
    warehouse.received([sms(1, midnight - dt.timedelta(minutes=1), 21)])
    # Known from the archive alone: told in the next partition as well, so that the run has something to retell.
    warehouse.archived([text_message(7), sms(1, midnight + dt.timedelta(minutes=1), 22)])
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong', message_id = 'other' WHERE direction = 'inbound'")
    before, images = warehouse.stored(), warehouse.images()
    run = warehouse.plan()

    preview = previewing.make(warehouse.client, warehouse.target, run)
    (day, *_) = previewing.messages(warehouse.client, warehouse.target, run)
    assert (day.source, day.day, day.before, day.after) == ("facebook", NOON.date(), 1, 6)
    seen = shown(warehouse, preview)
    # Live goes on, and is in both.
    warehouse.received([text_message(8)])
    assert sum(shown(warehouse, preview)["messages"].values()) == sum(seen["messages"].values()) + 1
    seen = shown(warehouse, preview)

    assert warehouse.apply(run).state == "applied"
    now = shown(warehouse, warehouse.target)
    for view, rows in seen.items():
        assert rows == now[view], (view, list(rows - now[view])[:2], list(now[view] - rows)[:2])

    with pytest.raises(RefusedError, match="is applied"):
        previewing.make(warehouse.client, warehouse.target, warehouse.run(run.run_id))
    warehouse.roll_back(run)
    warehouse.discard(run)
    datasets = {dataset.dataset_id for dataset in warehouse.client.list_datasets()}
    assert not {preview.rows_dataset, preview.views_dataset} & datasets
    assert before["runs"] == 0
    assert images["messages"].startswith("6 rows")
