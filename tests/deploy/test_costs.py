"""The tables of costs in the documents are those that the script computes, and it computes rightly."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy"
costs = runpy.run_path(str(FOLDER / "costs.py"))


def test_the_tables_are_in_the_page():
    assert costs["tables"]() in (FOLDER / "README.md").read_text("utf-8"), "put the output of costs.py there"


def test_pubsub_is_charged_for_what_is_published_and_delivered():
    (line,) = (line for line in costs["lines"](10_000) if line.what == "Pub/Sub")
    bytes_ = 10_000 * 730 * 3600 * 700 * 2

    assert line.dollars == pytest.approx((bytes_ / 2**40 - 10 / 1024) * 40)


@pytest.mark.parametrize(("rate", "receivers", "workers"), [(1, 2, 1), (100, 2, 1), (2_001, 3, 2), (10_000, 6, 5)])
def test_machines_grow_with_the_rate(rate: int, receivers: int, workers: int):
    assert (costs["receivers"](rate), costs["workers"](rate)) == (receivers, workers)


def test_machines_are_those_that_terraform_makes():
    variables = (FOLDER / "terraform" / "variables.tf").read_text("utf-8")
    _, machine, _ = costs["PRICES"]["machine"]

    assert f'default     = "{machine.split(",")[0]}"' in variables
    assert 'optional(string, "n1-standard-2")' in variables
