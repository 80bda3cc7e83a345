"""Runs the live pipeline as a job of a Flink cluster."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flink_cluster import FlinkCluster, wait_until

from pipelines.bigquery.target import Target

_SECONDS = 900


class LiveJob:
    """A job that reads Pub/Sub until it is stopped."""

    def __init__(self, cluster: FlinkCluster, log: Path) -> None:
        self._cluster = cluster
        self._log = log
        self._known = {job["id"] for job in cluster.get("/jobs")["jobs"]}

    def wait_until_it_runs(self) -> None:
        """Wait until each part of it runs on the cluster, and a checkpoint is complete."""
        wait_until(self._is_there, _SECONDS, f"the job: see {self._log}")
        wait_until(lambda: self.checkpoints() > 0, _SECONDS, "a checkpoint")

    def checkpoints(self) -> int:
        """Return how many are complete."""
        return int(self._cluster.get(f"{self.path}/checkpoints")["counts"]["completed"])

    def restarts(self) -> int:
        """Return how often it was restored from a checkpoint or savepoint."""
        return int(self._cluster.get(f"{self.path}/checkpoints")["counts"]["restored"])

    def stop_with_savepoint(self) -> str:
        """Stop it; return where its savepoint is."""
        asked = self._cluster.post(f"{self.path}/savepoints", {"cancel-job": True})["request-id"]
        path = f"{self.path}/savepoints/{asked}"
        wait_until(lambda: bool(self._cluster.get(path)["status"]["id"] == "COMPLETED"), _SECONDS, "a savepoint")
        done: dict[str, Any] = self._cluster.get(path)["operation"]
        assert "location" in done, done
        wait_until(lambda: bool(self._cluster.get(self.path)["state"] == "CANCELED"), _SECONDS, "the job's end")
        return str(done["location"])

    @property
    def path(self) -> str:
        """The job in Flink's REST API."""
        (new,) = {job["id"] for job in self._cluster.get("/jobs")["jobs"]} - self._known
        return f"/jobs/{new}"

    def _is_there(self) -> bool:
        if {job["id"] for job in self._cluster.get("/jobs")["jobs"]} == self._known:
            return False
        job = self._cluster.get(self.path)
        started = all(part["status"] in ("RUNNING", "FINISHED") for part in job["vertices"])
        return bool(job["state"] == "RUNNING" and started)


@contextlib.contextmanager
def live_job(
    cluster: FlinkCluster, where: Target, subscriptions: Sequence[str], log: Path, more: Sequence[str] = ()
) -> Iterator[LiveJob]:
    """Launch the documented command; what launched it is ended with the block, and the job is not."""
    command = [sys.executable, "-m", "pipelines.normalize", "--mode=streaming", "--live_reader=pull"]
    command += ["--live_readers=4", f"--subscription={','.join(subscriptions)}", "--checkpointing_interval=1000"]
    command += [f"--bigquery_project={where.project}", *cluster.options, *more]
    command += [f"--dataset_prefix={where.rows_dataset.removesuffix('parley_rows')}"]
    # A job server would take a quarter of the machine's memory.
    environment = os.environ | {"JAVA_TOOL_OPTIONS": "-Xmx512m"}
    job = LiveJob(cluster, log)
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            yield job
        finally:
            # The job server too.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
