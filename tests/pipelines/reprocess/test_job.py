"""A plan as one job leaves what a plan leaves, whatever happens to the job's last step."""

import getpass
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from reprocess_support import ACTOR, Warehouse, options

from pipelines import launch
from pipelines.bigquery.target import ConfigurationError
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import State, job
from pipelines.reprocess.job import FinishPlan
from pipelines.reprocess.runs import Request
from tests.raw_events import NOON, raw_event, text_message

pytestmark = pytest.mark.thorough


@pytest.fixture
def history(warehouse: Warehouse) -> Warehouse:
    """A warehouse that lacks the last of its archived events, and has a changed row."""
    events = [text_message(n) for n in range(5)] + [raw_event(b"no json", number=100)]
    warehouse.received(events)
    warehouse.archived([text_message(7)])
    warehouse.query(f"UPDATE `T.messages` SET kind = 'x' WHERE event_id = '{events[0].event_id}'")
    return warehouse


def arguments(warehouse: Warehouse, files: Path) -> list[str]:
    prefix = warehouse.target.rows_dataset.removesuffix("parley_rows")
    return [
        "--runner=FnApiRunner",
        "--mode=batch",
        f"--archive={warehouse.archive}",
        f"--output={files}",
        f"--bigquery_project={warehouse.target.project}",
        f"--dataset_prefix={prefix}",
    ]


def test_the_job_plans_as_the_command_does(history: Warehouse, tmp_path: Path):
    before = history.images()

    launch.main([*arguments(history, tmp_path / "files"), "--from=2026-03-14", "--reason=nightly"])

    made, planned = history.run("latest"), history.plan(start=NOON.replace(hour=0))
    assert [change.state for change in made.history] == [State.PLANNING, State.PLANNED]
    assert {(change.actor, change.reason) for change in made.history} == {(getpass.getuser(), "nightly")}
    assert (made.differences(), made.events) == (planned.differences(), 7)
    assert made.selection == planned.selection
    assert history.images() == before
    assert history.apply(made).state is State.APPLIED


def test_what_cannot_be_read_is_kept_with_the_run(history: Warehouse, tmp_path: Path):
    damaged = history.archived([text_message(n) for n in range(20, 24)])
    damaged.write_bytes(damaged.read_bytes()[:-20])

    launch.main(arguments(history, tmp_path / "files"))

    assert [damage.path for damage in history.run("latest").damages] == [str(damaged)]


def test_a_range_without_events_is_a_plan_without_differences(history: Warehouse, tmp_path: Path):
    launch.main([*arguments(history, tmp_path / "files"), "--to=2020-01-01"])

    run = history.run("latest")
    assert (run.state, run.events) == (State.PLANNED, 0)


def start(warehouse: Warehouse, files: Path) -> str:
    request = Request(str(warehouse.archive), Selection(), ACTOR)
    return job.start(warehouse.target, request, options(), str(files)).run_id


def finish_again(warehouse: Warehouse, run_id: str, files: Path) -> None:
    with beam.Pipeline(options=options()) as pipeline:
        _ = pipeline | beam.Create(["a file"]) | FinishPlan(warehouse.target, run_id, f"{files}/{run_id}")


def test_a_last_step_that_is_tried_again_counts_nothing_twice(
    history: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as broken, pytest.raises(RuntimeError, match="no more"):
        broken.setattr("pipelines.reprocess.diff.compare", fail)
        start(history, tmp_path)
    run_id = history.run("latest").run_id
    assert history.run(run_id).state is State.PLANNING

    finish_again(history, run_id, tmp_path)

    assert history.run(run_id).differences() == history.plan().differences()


def fail(*arguments):
    raise RuntimeError("no more")


def test_a_last_step_that_comes_too_late_changes_nothing(history: Warehouse, tmp_path: Path):
    run_id = start(history, tmp_path)
    history.discard(history.run(run_id))

    finish_again(history, run_id, tmp_path)

    assert history.run(run_id).state is State.DISCARDED


def test_what_is_missing_is_named(tmp_path: Path):
    for given, missing in (
        ([], "--bigquery_project"),
        (["--project=a-project", "--mode=batch"], "--archive"),
        (["--project=a-project", "--mode=batch", f"--archive={tmp_path}"], "--output"),
    ):
        with pytest.raises(ConfigurationError, match=missing):
            launch.start(PipelineOptions(given))
