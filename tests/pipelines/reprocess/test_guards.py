"""What two runs were asked for tells that they are apart; and contention ends in words."""

import datetime as dt
import json
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest

from pipelines.bigquery.target import Target
from pipelines.reprocess import RefusedError, guards
from pipelines.reprocess.apply import _until_unmoved
from pipelines.reprocess.runs import Change, Run, Runs, State

PLANNED = (Change(State.PLANNED, dt.datetime(2026, 3, 14, tzinfo=dt.UTC), "test", None),)
MARCH = {"from": "2026-03-01T00:00:00+00:00", "to": "2026-04-01T00:00:00+00:00"}
APRIL = {"from": "2026-04-01T00:00:00+00:00", "to": "2026-05-01T00:00:00+00:00"}


def run(**selection: Any) -> Run:
    return Run("01890000-aaaa-7000-8000-000000000001", 1, json.dumps(selection), PLANNED)


@pytest.mark.parametrize(
    ("one", "two", "are_apart"),
    [
        ({}, {}, False),
        (MARCH, APRIL, True),
        (MARCH, MARCH, False),
        (MARCH, {"from": "2026-03-31T23:59:59+00:00"}, False),
        ({"to": MARCH["to"]}, {"from": MARCH["to"]}, True),
        (MARCH, {"events": 3}, False),
        ({"sources": ["google"]}, {"sources": ["twilio", "airy"]}, True),
        ({"sources": ["google"]}, {"sources": ["twilio", "google"]}, False),
        ({"sources": ["google"]}, {}, False),
    ],
)
def test_runs_are_apart_by_what_was_asked_for(one: dict[str, Any], two: dict[str, Any], are_apart: bool):
    assert guards.apart(run(**one), run(**two)) is are_apart
    assert guards.apart(run(**two), run(**one)) is are_apart


def test_contention_without_end_is_refused_in_words(monkeypatch: pytest.MonkeyPatch):
    tried = []
    monkeypatch.setattr(Runs, "get", lambda runs, name: run())

    def attempt(found: Run, runs: Runs) -> None:
        tried.append(found)
        raise BadRequest("Transaction is aborted due to concurrent update")

    with pytest.raises(RefusedError, match="5 times in a row"):
        _until_unmoved(None, Target("a-project"), "latest", attempt)
    assert len(tried) == 5
