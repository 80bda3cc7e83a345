"""A Flink cluster plans a reprocessing, and loses a task manager meanwhile: the rows are the local runner's."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flink_cluster import FLINK, JOB_SERVER, TASK_MANAGERS, FlinkCluster, flink_cluster, wait_until
from google.cloud import bigquery
from planning import Written, plan

from pipelines.bigquery.target import Target
from pipelines.reprocess.runs import Runs, State

pytestmark = pytest.mark.thorough

CONVERSATIONS = 4_000
"""Several units of work for each task manager."""


@pytest.fixture
def cluster(bigquery_target: Target, tmp_path: Path) -> Iterator[FlinkCluster]:
    """A cluster whose workers find the test's BigQuery in their environment."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java, which Flink runs on")
    if missing := [path.name for path in (FLINK, JOB_SERVER) if not path.exists()]:
        pytest.skip(f"{missing} not there: make runners (needs Java 17 and Maven)")
    with flink_cluster(tmp_path / "flink") as running:
        yield running


def test_a_cluster_makes_the_rows_of_the_local_runner(
    cluster: FlinkCluster,
    bigquery_client: bigquery.Client,
    bigquery_target: Target,
    archive: Path,
    here: Written,
    tmp_path: Path,
):
    with plan(archive, tmp_path, bigquery_target, cluster.options) as job:
        run_id = job.wait()

    expected = here.rows()
    assert job.written().rows() == expected
    run = Runs(bigquery_client, bigquery_target).get(run_id)
    assert (run.state, run.events, len(run.damages)) == (State.PLANNED, expected["events"].total(), 1)
    assert task_managers(cluster, "FINISHED") == set(TASK_MANAGERS)
    assert failures(cluster) == []


def test_a_task_manager_that_is_killed_changes_nothing(
    cluster: FlinkCluster,
    bigquery_client: bigquery.Client,
    bigquery_target: Target,
    archive: Path,
    here: Written,
    tmp_path: Path,
):
    with plan(archive, tmp_path, bigquery_target, cluster.options) as job:
        wait_until(lambda: job.written().ledgers() > 0, 300, "the first file")
        cluster.kill(TASK_MANAGERS[0])
        assert job.written().ledgers() < here.ledgers()
        run_id = job.wait()

    expected = here.rows()
    assert job.written().rows() == expected
    run = Runs(bigquery_client, bigquery_target).get(run_id)
    assert (run.state, run.events, len(run.damages)) == (State.PLANNED, expected["events"].total(), 1)
    assert task_managers(cluster, "FINISHED") == {TASK_MANAGERS[1]}
    assert any(TASK_MANAGERS[0] in failure for failure in failures(cluster))


def task_managers(cluster: FlinkCluster, state: str) -> set[str]:
    """Return who has parts of the cluster's one job in a state."""
    path = the_job(cluster)
    steps = [cluster.get(f"{path}/vertices/{step['id']}/taskmanagers") for step in cluster.get(path)["vertices"]]
    return {who["taskmanager-id"] for step in steps for who in step["taskmanagers"] if who["status-counts"][state]}


def failures(cluster: FlinkCluster) -> list[str]:
    """Return why the cluster's one job had to start again."""
    history: list[dict[str, Any]] = cluster.get(f"{the_job(cluster)}/exceptions")["exceptionHistory"]["entries"]
    return [entry["stacktrace"] for entry in history]


def the_job(cluster: FlinkCluster) -> str:
    (job,) = cluster.get("/jobs")["jobs"]
    return f"/jobs/{job['id']}"
