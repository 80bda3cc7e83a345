"""What generation 3 has stored differs in nothing because messages tell sightings since."""

from pipelines.bigquery import appender
from pipelines.bigquery.bundle import Bundle
from pipelines.core.batches import NormalizedBatch
from pipelines.core.rows import TABLE_OF, Row
from pipelines.sources import PARSERS
from pipelines.sources.normalization import every_row
from schemas import loader
from tests import material, seen

EVENTS = [known.event for known in material.samples() if known.event.source in PARSERS]


def stored_by_generation_3(warehouse, events):
    warehouse.archived(events)
    made: dict[str, list[Row]] = {}
    for event in events:
        for row in seen.as_earlier(every_row(event)):
            made.setdefault(TABLE_OF[type(row)], []).append(row)
    bundle = Bundle(appender.shared(warehouse.target))
    bundle.add(NormalizedBatch(events, made, "live"))
    bundle.finish()


def moved(run) -> dict[str, dict[str, int]]:
    counts = {t: {k: v for k, v in d.items() if k != "unchanged" and v} for t, d in run.differences().items()}
    return {table: numbers for table, numbers in counts.items() if numbers}


def test_rows_of_generation_3_differ_in_nothing_by_where_sightings_lie(warehouse):
    stored_by_generation_3(warehouse, EVENTS)

    run = warehouse.plan()

    assert moved(run) == {}
    assert all(run.differences()[table]["unchanged"] > 10 for table in loader.SIGHTINGS)


def test_a_sighting_that_generation_3_had_otherwise_does(warehouse):
    stored_by_generation_3(warehouse, EVENTS)
    warehouse.query("UPDATE `T.channels` SET display_name = 'wrong' WHERE TRUE")
    warehouse.query("UPDATE `T.events` SET `rows` = `rows` + 1 WHERE TRUE")

    changed = moved(warehouse.plan())

    # How many rows an event had is another number anyway.
    assert changed.keys() == {"channels"}
