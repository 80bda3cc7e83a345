"""The tables of costs in the documents are those that the script computes, and it computes rightly."""

import datetime as dt
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from pipelines.dashboard.warehouse import questions
from pipelines.generate import volume as volume_module
from schemas import loader
from schemas.scans import Scan

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def costs() -> dict[str, Any]:
    """What the script defines: half a minute of computing, so only where it is asked for."""
    return runpy.run_path(str(FOLDER / "costs.py"))


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?")


def rows(text: str) -> dict[str, list[float]]:
    """Return by the words of each row of a table, without its numbers, its numbers."""
    return {
        _NUMBER.sub("#", line): [float(number.replace(",", "")) for number in _NUMBER.findall(line)]
        for line in text.splitlines()
        if line.startswith("|")
    }


def test_the_tables_are_in_the_page_and_hardly_differ(costs):
    """A parser or a view that changes a little need not change the page."""
    page = rows((FOLDER / "README.md").read_text("utf-8"))
    computed = rows(costs["tables"]())

    assert computed.keys() - page.keys() == set(), "put the output of costs.py there"
    for words, numbers in computed.items():
        assert page[words] == pytest.approx(numbers, rel=0.15, abs=1.1), "put the output of costs.py there"


def test_what_a_column_costs_is_what_google_documents():
    size = volume_module._size

    assert [size(value) for value in (None, "", "äb", b"abc", 5, ("a", "bc"))] == [0, 2, 5, 5, 8, 7]


def test_an_event_is_what_it_is_in_the_generated_world(costs):
    event = costs["volume"]()

    assert event.rows["events"] == pytest.approx(1)
    assert event.rows["dead_letters"] == pytest.approx(0.01)
    assert event.body < event.published < event.archived
    # Ids are 36 characters and two bytes.
    assert event.columns["events"]["event_id"] == pytest.approx(38)
    for table, columns in event.columns.items():
        known = {column.name: column.mode for column in loader.tables()[table].columns}
        assert columns.keys() <= known.keys()
        # What only a run of reprocessing sets.
        assert {known[name] for name in known.keys() - columns.keys()} <= {"NULLABLE"}


def test_a_query_is_billed_for_the_days_and_columns_that_it_reads(costs):
    event = costs["volume"]()
    days = frozenset(dt.date(2026, 3, day) for day in (1, 2))
    scan = Scan("events", frozenset({"event_id", "received_at"}), days)

    assert event.scanned([scan], 1_000_000) == pytest.approx(2_000_000 * (38 + 8))
    assert event.scanned([scan, scan], 1) == 2 * 10 * 2**20
    assert event.scanned([Scan("runs", frozenset({"run_id"}), None)], 1_000_000) == 10 * 2**20


def test_every_view_of_the_cookbook_and_every_question_has_its_cost(costs):
    assert {query.what for query in costs["VIEWS"]} <= set(loader.views())
    assert {query.what for query in costs["QUESTIONS"]} == set(questions())
    assert len(costs["VIEWS"]) >= 14
    whole = {query.what for query in costs["VIEWS"] if "all of it" in query.of}
    assert "conversations" in whole
    assert whole.isdisjoint({"messages", "message_texts", "metadata", "events", "daily_activity"})


def test_pubsub_is_charged_for_what_is_published_and_delivered(costs):
    (line,) = (line for line in costs["lines"](10_000) if line.what == "Pub/Sub")
    bytes_ = 10_000 * 730 * 3600 * costs["volume"]().published * 2

    assert line.dollars == pytest.approx((bytes_ / 2**40 - 10 / 1024) * 40)


@pytest.mark.parametrize(("rate", "receivers", "workers"), [(1, 2, 1), (100, 2, 1), (2_001, 3, 2), (10_000, 6, 5)])
def test_machines_grow_with_the_rate(costs, rate: int, receivers: int, workers: int):
    assert (costs["receivers"](rate), costs["workers"](rate)) == (receivers, workers)


def test_machines_are_those_that_terraform_makes(costs):
    variables = (FOLDER / "terraform" / "variables.tf").read_text("utf-8")
    _, machine, _ = costs["PRICES"]["machine"]

    assert f'default     = "{machine.split(",")[0]}"' in variables
    assert 'optional(string, "n1-standard-2")' in variables
