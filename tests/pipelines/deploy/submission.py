"""What `parley deploy dataflow` sends to Google is a job whose workers can do its work.

Run by `make test-dataflow`, since each submission is a process that builds what it stages.
"""

import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import apache_beam as beam
import google_stand_in
import pytest
import worker_environment
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from bigquery_fixtures import Emulator, free_ports, running_emulator
from google.cloud import bigquery
from google_stand_in import BUCKET, PROJECT, REGION, Google

from pipelines.bigquery.deploy import deploy
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client
from pipelines.deploy import files
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import Request, State, plan
from pipelines.reprocess.runs import Runs
from tests.raw_events import raw_event, text_message, write_segment

ROOT = Path(__file__).parents[3]
IMAGE = "--sdk_container_image=europe-docker.pkg.dev/parley-test/parley/pipeline:1"


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with google_stand_in.running(tmp_path_factory.mktemp("google")) as services:
        yield services


def parley(google: Google, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "deploy", *arguments],
        env={**os.environ, **google.environment, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def deployed(google: Google, mode: str, name: str, *further: str, **environment: str) -> dict[str, Any]:
    done = parley(google, "dataflow", f"--mode={mode}", *common(google, name), *further, **environment)
    assert done.returncode == 0, done.stderr
    job = next(job for job in reversed(google.dataflow.jobs.values()) if job["name"] == name)
    assert f"{name} is submitted ({job['id']})" in done.stdout
    return job


def refused(google: Google, name: str, *further: str) -> str:
    before = len(google.dataflow.jobs)
    done = parley(google, "dataflow", "--mode=streaming", *common(google, name), *further)
    assert (done.returncode, len(google.dataflow.jobs)) == (1, before), done.stderr
    return done.stderr


def common(google: Google, name: str) -> list[str]:
    return [
        f"--region={REGION}",
        f"--temp_location=gs://{BUCKET}/dataflow",
        f"--job_name={name}",
        f"--dataflow_endpoint={google.dataflow.endpoint}",
    ]


def subscriptions(*sources: str) -> str:
    names = (f"projects/{PROJECT}/subscriptions/parley-{source}" for source in sources)
    return f"--subscription={','.join(names)}"


def leaves(pipeline: beam_runner_api_pb2.Pipeline) -> list[str]:
    return sorted(t.unique_name for t in pipeline.components.transforms.values() if not t.subtransforms)


def expected_steps(*sources: str) -> list[str]:
    steps = (ROOT / files.FOLDER / "steps.txt").read_text("utf-8").splitlines()
    return sorted({s.replace("<source>", o) for s in steps if not s.startswith("#") for o in sources})


def test_a_streaming_job_has_the_steps_packages_and_options_that_were_asked_for(google: Google):
    job = deployed(
        google,
        "streaming",
        "live",
        subscriptions("facebook", "twilio"),
        "--min_num_workers=2",
        "--max_num_workers=7",
        f"--service_account_email=worker@{PROJECT}.iam.gserviceaccount.com",
        "--no_use_public_ips",
        "--labels=team=messaging",
    )

    assert (job["type"], job["labels"]) == ("JOB_TYPE_STREAMING", {"team": "messaging"})
    environment = job["environment"]
    assert environment["serviceAccountEmail"] == f"worker@{PROJECT}.iam.gserviceaccount.com"
    assert set(environment["serviceOptions"]) == {"min_num_workers=2", "streaming_mode_at_least_once"}
    assert {"enable_streaming_engine", "use_runner_v2"} <= set(environment["experiments"])
    (pool,) = environment["workerPools"]
    assert pool["autoscalingSettings"] == {"algorithm": "AUTOSCALING_ALGORITHM_BASIC", "maxNumWorkers": 7}
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert pool["workerHarnessContainerImage"].endswith(f"/beam_python{version}_sdk:{beam.__version__}")
    options = environment["sdkPipelineOptions"]["options"]
    assert (options["mode"], options["bigquery_project"], options["streaming"]) == ("streaming", PROJECT, True)

    pipeline = google.pipeline(job)
    assert leaves(pipeline) == expected_steps("facebook", "twilio")
    assert subscriptions_read(pipeline) == {
        f"projects/{PROJECT}/subscriptions/parley-facebook": True,
        f"projects/{PROJECT}/subscriptions/parley-twilio": True,
    }
    assert google.dataflow.unauthorized == []


def subscriptions_read(pipeline: beam_runner_api_pb2.Pipeline) -> dict[str, bool]:
    """Return what is read from Pub/Sub, and whether with attributes."""
    found = {}
    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == "beam:transform:pubsub_read:v1":
            payload = beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload)
            found[payload.subscription] = payload.with_attributes
    return found


def test_workers_get_this_checkout_and_its_pinned_requirements(google: Google):
    packages = google.packages(deployed(google, "streaming", "packages"))

    assert packages["requirements.txt"] == (ROOT / "deploy/dataflow/requirements.txt").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packages["workflow.tar.gz"])) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    ours = {
        str(path.relative_to(ROOT))
        for folder in ("pipelines", "schemas")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in {".py", ".sql", ".json", ".avsc"}
    }
    assert ours - packed == set()


def test_the_plain_command_that_a_dry_run_shows_submits_the_job(google: Google):
    asked = [*common(google, "plain"), subscriptions("twilio"), IMAGE, "--labels=team=customer care"]
    shown = parley(google, "dataflow", "--mode=streaming", *asked, "--dry_run").stdout
    _, *arguments = shlex.split(shown.partition("makes a job of these steps:")[0])

    subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **google.environment, "PARLEY_PROJECT": ""},
        cwd=ROOT,
        check=True,
        timeout=120,
    )

    (job,) = [job for job in google.dataflow.jobs.values() if job["name"] == "plain"]
    assert job["labels"] == {"team": "customer care"}
    assert leaves(google.pipeline(job)) == expected_steps("twilio")


def test_with_an_image_nothing_is_installed_at_start(google: Google):
    job = deployed(google, "streaming", "image", IMAGE)

    assert set(google.packages(job)) <= {"submission_environment_dependencies.txt"}
    (pool,) = job["environment"]["workerPools"]
    assert pool["workerHarnessContainerImage"] == IMAGE.partition("=")[2]


def test_a_running_job_is_only_replaced_on_request_and_by_one_with_its_steps(google: Google):
    first = deployed(google, "streaming", "updated", subscriptions("facebook"), IMAGE)
    assert f"is JOB_STATE_RUNNING ({first['id']})" in refused(google, "updated", subscriptions("facebook"), IMAGE)
    assert "no active job is called 'other'" in refused(google, "other", IMAGE, "--update")

    lost = refused(google, "updated", subscriptions("google"), IMAGE, "--update")
    assert "Read/Read parley-facebook/Read\n" in lost
    assert "Read/Unwrap\n" not in lost

    second = deployed(google, "streaming", "updated", subscriptions("facebook", "google"), IMAGE, "--update")
    assert second["replaceJobId"] == first["id"]
    assert google.dataflow.jobs[first["id"]]["currentState"] == "JOB_STATE_UPDATED"

    renamed = {
        step: step.replace("facebook", "twilio") for step in expected_steps("facebook") if "facebook" in step
    }
    third = deployed(
        google,
        "streaming",
        "updated",
        subscriptions("twilio", "google"),
        IMAGE,
        "--update",
        f"--transform_name_mapping={json.dumps(renamed)}",
    )
    assert (third["replaceJobId"], third["transformNameMapping"]) == (second["id"], renamed)


def test_an_update_without_the_staged_pipeline_of_the_running_job_needs_force(google: Google):
    first = deployed(google, "streaming", "cleaned", IMAGE)
    url = first["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    google.bucket.delete_blob(url.removeprefix(f"gs://{BUCKET}/"))

    assert "cannot be compared" in refused(google, "cleaned", IMAGE, "--update")
    second = deployed(google, "streaming", "cleaned", IMAGE, "--update", "--force")
    assert second["replaceJobId"] == first["id"]


def test_a_job_is_drained_by_name(google: Google):
    job = deployed(google, "streaming", "drained", IMAGE)
    where = [f"--region={REGION}", f"--dataflow_endpoint={google.dataflow.endpoint}"]

    for _ in range(2):
        done = parley(google, "drain", *where, "--job_name=drained")
        assert done.returncode == 0, done.stderr
        assert f"drained is draining ({job['id']})" in done.stdout
        assert google.dataflow.jobs[job["id"]]["currentState"] == "JOB_STATE_DRAINING"

    assert "is JOB_STATE_DRAINING" in refused(google, "drained", IMAGE, "--update")
    missing = parley(google, "drain", *where, "--job_name=missing")
    assert (missing.returncode, "'missing'" in missing.stderr) == (1, True)


def test_the_launcher_of_a_template_writes_the_job_and_starts_none(google: Google):
    before = len(google.dataflow.jobs)
    subprocess.run(
        [
            sys.executable,
            ROOT / files.FOLDER / "launch.py",
            "--runner=DataflowRunner",
            f"--project={PROJECT}",
            *common(google, "templated"),
            f"--template_location=gs://{BUCKET}/launched/job_object",
            subscriptions("facebook"),
            IMAGE,
        ],
        env={**os.environ, **google.environment},
        check=True,
        timeout=120,
    )

    job = json.loads(google.read(f"gs://{BUCKET}/launched/job_object"))
    assert (job["name"], len(google.dataflow.jobs)) == ("templated", before)
    assert leaves(google.pipeline(job)) == expected_steps("facebook")


@pytest.fixture(scope="module")
def warehouse(google: Google, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A BigQuery that loads from the bucket."""
    folder = tmp_path_factory.mktemp("warehouse")
    (folder / "gcs").symlink_to(google.objects)
    with running_emulator(folder, *free_ports(2)) as emulator:
        yield emulator


@pytest.fixture
def live(google: Google, warehouse: Emulator, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name, value in {
        **google.environment,
        REST_EMULATOR: warehouse.rest,
        GRPC_EMULATOR: warehouse.rpc,
    }.items():
        monkeypatch.setenv(name, value)
    target = Target.prefixed(PROJECT)
    with client(target) as opened:
        deploy(opened, target)
    return target


def test_a_worker_with_the_staged_packages_alone_plans_the_reprocessing(
    google: Google, live: Target, tmp_path: Path
):
    events = [text_message(n) for n in range(9)] + [raw_event(b"no json", number=100)]
    for number, part in enumerate((events[:5], events[5:])):
        path = write_segment(tmp_path / "raw", part, f"host-1-0-{number}.avro")
        google.bucket.blob(str(path.relative_to(tmp_path))).upload_from_filename(path)

    job = deployed(
        google, "batch", "planned", f"--archive=gs://{BUCKET}/raw", "--to=2026-03-15", "--reason=nightly"
    )
    assert job["type"] == "JOB_TYPE_BATCH"
    with client(live) as opened:
        (run,) = Runs(opened, live).all()
        assert run.state is State.PLANNING
        work(google, job, tmp_path)
        run = Runs(opened, live).get(run.run_id)
        assert (run.state, run.events, run.history[-1].reason) == (State.PLANNED, 10, "nightly")
        assert run.differences() == planned_here(opened, live, tmp_path)
    assert run.differences()["messages"] == {"added": 9, "removed": 0, "changed": 0, "unchanged": 0}
    written = [blob.name for blob in google.bucket.list_blobs(prefix=f"dataflow/rows/{run.run_id}/messages/")]
    assert {PurePosixPath(name).suffix for name in written} == {".parquet"}


def work(google: Google, job: dict[str, Any], folder: Path) -> None:
    """Do the work of a job as Dataflow does: the staged packages in a clean environment, the staged pipeline."""
    python = worker_environment.create(folder / "worker")
    package = folder / "parley.tar.gz"
    package.write_bytes(google.packages(job)["workflow.tar.gz"])
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([python, "-P", "-c", "import pipelines"], check=True, capture_output=True, cwd=folder)
    worker_environment.install(python, package)
    pipeline = google.pipeline(job)
    command = f"cd {folder} && exec {python} -P -m apache_beam.runners.worker.sdk_worker_main"
    for environment in pipeline.components.environments.values():
        environment.CopyFrom(
            beam_runner_api_pb2.Environment(
                urn=python_urns.SUBPROCESS_SDK,
                payload=command.encode(),
                capabilities=environment.capabilities,
            )
        )
    # Protobuf writes every number of a Struct as a float.
    given = json.dumps(job["environment"]["sdkPipelineOptions"]["options"])
    options = json.loads(given, parse_float=lambda text: int(float(text)))
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions.from_dictionary(options)).wait_until_finish()


def planned_here(opened: bigquery.Client, live: Target, folder: Path) -> dict[str, dict[str, int]]:
    request = Request(str(folder / "raw"), Selection(), "test")
    return plan(opened, live, request, PipelineOptions(["--runner=FnApiRunner"])).differences()
