"""What a job on Dataflow is given, checked against Beam's own definitions of its options."""

import logging
import subprocess
import sys
from pathlib import Path

import click
import pytest
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.portability.api import beam_runner_api_pb2
from click.testing import CliRunner

from pipelines.bigquery.target import ConfigurationError
from pipelines.deploy import dataflow
from pipelines.deploy.deploy_commands import deploy_dataflow, drain
from pipelines.deploy.jobs import steps
from pipelines.io.options import BATCH, STREAMING, ParleyOptions

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[3]
JOB = dataflow.Job(STREAMING, "a-project", "a-region", "gs://a-bucket/temp", "a-job", 2, 7)
PLAN = dataflow.Job(BATCH, "a-project", "a-region", "gs://a-bucket/temp", "a-job", 1, 10)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize(
    ("job", "further"),
    [(JOB, []), (PLAN, ["--from=2026-03-01"]), (JOB, ["--update", '--transform_name_mapping={"a": "b"}'])],
)
def test_beam_knows_every_argument_and_finds_nothing_wrong(job: dataflow.Job, further: list[str]):
    assert dataflow.problems(dataflow.arguments(job, further)) == []


def test_beam_understands_what_is_meant():
    options = PipelineOptions(dataflow.arguments(JOB, ["--no_use_public_ips"]))

    google = options.view_as(GoogleCloudOptions)
    assert (google.project, google.region, google.job_name) == ("a-project", "a-region", "a-job")
    assert google.dataflow_service_options == ["min_num_workers=2", "streaming_mode_at_least_once"]
    workers = options.view_as(WorkerOptions)
    assert (workers.max_num_workers, workers.autoscaling_algorithm) == (7, "THROUGHPUT_BASED")
    assert workers.use_public_ips is False
    standard = options.view_as(StandardOptions)
    assert (standard.runner, standard.streaming) == ("DataflowRunner", True)
    assert standard.no_wait_until_finish is True
    setup = options.view_as(SetupOptions)
    assert (Path(setup.setup_file), Path(setup.requirements_file)) == (
        ROOT / "setup.py",
        ROOT / "deploy/dataflow/requirements.txt",
    )


def test_batch_is_not_a_mode_of_streaming():
    options = PipelineOptions(dataflow.arguments(PLAN, [])).view_as(GoogleCloudOptions)

    assert options.dataflow_service_options == ["min_num_workers=1"]


@pytest.mark.parametrize(
    ("further", "problem"),
    [
        (["--max_workers=3"], "neither Beam nor the pipeline has an option --max_workers"),
        (["--min_num_worker", "3"], "neither Beam nor the pipeline has an option --min_num_worker"),
        (["--temp_location=a-bucket/temp"], "Invalid GCS path"),
        (["--job_name=A job"], "Invalid job_name"),
        (["--archive=raw"], "workers do not have the folder raw"),
        (["--output=/rows"], "workers do not have the folder /rows"),
        (["--num_workers=9"], "num_workers (9) cannot exceed max_num_workers (7)"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(further: list[str], problem: str):
    assert any(problem in said for said in dataflow.problems(dataflow.arguments(JOB, further)))


@pytest.mark.parametrize(
    "further",
    [["--sdk_container_image=an-image"], ["--sdk_container_image", "an-image"], ["--extra_package", "a.whl"]],
)
def test_whoever_brings_packages_gets_no_others(further: list[str], tmp_path: Path):
    assert dataflow.packages(further, tmp_path) == []


def test_without_a_checkout_an_image_is_asked_for(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="--sdk_container_image"):
        dataflow.packages([], tmp_path)


def test_only_a_step_that_is_gone_is_lost():
    running, new = {"Read a", "Normalize", "Write"}, {"Read b", "Normalize", "Write", "Count"}

    assert dataflow.lost_steps(running, new, None) == ["Read a"]
    assert dataflow.lost_steps(running, new, {"Read a": "Read b"}) == []
    assert dataflow.lost_steps(running, new, {"Read a": "Read c"}) == ["Read a"]


def test_steps_are_what_runners_carry_out():
    transform = beam_runner_api_pb2.PTransform
    pipeline = beam_runner_api_pb2.Pipeline(
        components=beam_runner_api_pb2.Components(
            transforms={
                "1": transform(unique_name="Read", subtransforms=["2"]),
                "2": transform(unique_name="Read/Impulse"),
            }
        )
    )

    assert steps(pipeline) == {"Read/Impulse"}


@pytest.mark.parametrize("command", [deploy_dataflow, drain])
def test_the_commands_own_options_are_beams_or_the_pipelines_or_its_own(command: click.Command):
    own = {"min_num_workers", "force", "help"}
    known = PipelineOptions([]).get_all_options() | {"archive": None}

    assert {parameter.name for parameter in command.params} - own - known.keys() == set()


def test_a_dry_run_shows_the_plain_command_and_the_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARLEY_PROJECT", "a-project")
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", "x_")
    asked = ["--mode=streaming", "--region=a-region", "--temp_location=gs://a-bucket/temp", "--dry_run"]

    shown = CliRunner().invoke(deploy_dataflow, [*asked, "--subscription=projects/a-project/subscriptions/one"])

    assert shown.exit_code == 0, shown.output
    command, _, found = shown.output.partition("makes a job of these steps:\n")
    assert command.splitlines()[:2] == ["python -m pipelines.normalize", "  --runner=DataflowRunner"]
    given = PipelineOptions([line.strip() for line in command.splitlines()[1:]])
    assert given.view_as(ParleyOptions).target().rows_dataset == "x_parley_rows"
    assert {"  Normalize", "  Read/Read one/Read"} <= set(found.splitlines())


@pytest.mark.parametrize("wrong", [["--mode=streaming", "--machine_typ=x"], ["--mode=batch", "--update"]])
def test_what_cannot_be_meant_is_refused(wrong: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARLEY_PROJECT", "a-project")

    shown = CliRunner().invoke(
        deploy_dataflow, ["--region=a-region", "--temp_location=gs://a-bucket/temp", *wrong]
    )

    assert (shown.exit_code, wrong[1].partition("=")[0] in shown.output) == (2, True)


def test_where_dataflows_client_is_missing_the_extra_is_named():
    code = (
        "import sys; sys.modules['google.cloud.dataflow_v1beta3'] = None; from pipelines.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "deploy", "drain"], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 1
    assert "needs the package google.cloud.dataflow_v1beta3" in done.stderr
    assert "parley[dataflow]" in done.stderr
