"""A run over an archive of which much cannot be read is recorded: BigQuery takes a megabyte of text at most."""

from unittest.mock import Mock

import pytest
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.generation import GENERATION
from pipelines.io.archive_damages import Damage, damages_folder, write_damages
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import diff, staging
from pipelines.reprocess.plan import _planned
from pipelines.reprocess.runs import Change, Request, Run, Runs, State
from pipelines.reprocess.steps import Steps

LONGEST_STATEMENT = 1_024 * 1_000
"""https://cloud.google.com/bigquery/quotas#query_jobs."""


def damage(number: int) -> Damage:
    path = f"gs://archive/raw/source=facebook/date=2026-03-01/hour=10/{number:032x}.avro"
    return Damage(path, 0, 4_096, f'37 events are sealed with the data key "{number:032x}", which was destroyed')


def planned(tmp_path, monkeypatch: pytest.MonkeyPatch, damages: list[Damage]) -> str:
    """Return the statement that records a run as planned."""
    run_id = "0195f4a0-0000-7000-8000-000000000000"
    request = Request("gs://archive/raw", Selection(), "me")
    begun = Run(run_id, GENERATION, request.as_json(), (Change(State.PLANNING, Mock(), "me", None),))
    output = str(tmp_path)
    write_damages(damages_folder(output), "segment", damages)
    monkeypatch.setattr(Runs, "get", lambda *_: begun)
    monkeypatch.setattr(staging, "events", lambda *_: 0)
    monkeypatch.setattr(diff, "read", lambda *_, **__: Mock(by_table=dict))
    client = Mock(spec=bigquery.Client)
    _planned(client, Target.prefixed("parley-test"), run_id, output, Steps())
    return str(client.query_and_wait.call_args.args[0])


def test_a_run_with_many_damages_fits_into_a_statement(tmp_path, monkeypatch: pytest.MonkeyPatch):
    # A segment for each of seven sources and hour of a year.
    recorded = planned(tmp_path, monkeypatch, [damage(number) for number in range(61_320)])

    assert len(recorded) < LONGEST_STATEMENT
    assert damage(0).path in recorded
    assert "places more, from here on, cannot be read" in recorded


def test_few_damages_are_all_recorded(tmp_path, monkeypatch: pytest.MonkeyPatch):
    recorded = planned(tmp_path, monkeypatch, [damage(number) for number in range(100)])

    assert all(damage(number).path in recorded for number in range(100))
    assert "from here on" not in recorded
