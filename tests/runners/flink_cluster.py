"""A local Flink cluster: a job manager and task managers, each a process, on loopback alone.

`make flink` runs it until Ctrl-C. The Flink distribution of PyPI has no start scripts, so the processes
are started here as its scripts would.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.bigquery_fixtures import free_ports

ROOT: Final = Path(__file__).parents[2]
ARTIFACTS: Final = ROOT / "build" / "runners"
FLINK: Final = ARTIFACTS / "pyflink" / "lib"
JOB_SERVER: Final = ARTIFACTS / "job-server" / "job-server.jar"
HOST: Final = "127.0.0.1"
TASK_MANAGERS: Final = ("task-manager-1", "task-manager-2")
SLOTS: Final = 2
"""Of each task manager: one alone can run what two were running."""

_START_SECONDS: Final = 600
# What Flink's own configuration opens to its serializers, from Java 17 on (env.java.opts.all).
_OPENED: Final = (
    *(f"java.base/java.{name}" for name in ("lang", "net", "io", "nio", "text", "time", "util")),
    *(f"java.base/java.{name}" for name in ("lang.reflect", "util.concurrent", "util.concurrent.atomic")),
    *(f"java.base/java.{name}" for name in ("util.concurrent.locks", "lang.invoke")),
    "java.base/sun.nio.ch",
)
_JOB_MANAGER: Final = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER: Final = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class FlinkCluster:
    """A running cluster; its processes' logs are in the folder it was given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._conf = folder / "conf"
        self._rpc, self._rest = free_ports(2)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def options(self) -> list[str]:
        """What Beam is told to run a pipeline here."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={HOST}:{self._rest}",
            f"--flink_job_server_jar={JOB_SERVER}",
            "--environment_type=PROCESS",
            f"--environment_options=process_command={ROOT / 'deploy/flink/worker.py'}",
            f"--parallelism={len(TASK_MANAGERS)}",
        ]

    def start(self) -> None:
        """Start every process and wait until all task managers have registered."""
        self._conf.mkdir(parents=True)
        lines = [f"{key}: {value}" for key, value in self._settings().items()]
        (self._conf / "config.yaml").write_text("\n".join(lines) + "\n")
        self._start("job-manager", 512, _JOB_MANAGER)
        for name in TASK_MANAGERS:
            self._start(name, 384, _TASK_MANAGER, f"-Dtaskmanager.resource-id={name}")
        wait_until(self._is_ready, _START_SECONDS, "the cluster to start")

    def stop(self) -> None:
        """End every process."""
        for process in self._processes.values():
            # The workers too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        self._processes[name].send_signal(signal.SIGKILL)
        self._processes[name].wait()

    def get(self, path: str) -> Any:
        """Return what Flink's REST API answers."""
        return self._ask(path, None)

    def post(self, path: str, asked: dict[str, object]) -> Any:
        """Ask Flink's REST API to do something, and return what it answers."""
        return self._ask(path, json.dumps(asked).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{HOST}:{self._rest}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        if ended:
            raise RuntimeError(f"{ended[0]} has ended: see {self._folder / ended[0]}.log")
        try:
            return bool(self.get("/overview")["taskmanagers"] == len(TASK_MANAGERS))
        except OSError:
            return False

    def _start(self, name: str, heap_mb: int, main: str, *arguments: str) -> None:
        opened = [f"--add-opens={module}=ALL-UNNAMED" for module in _OPENED]
        log = f"-Dlog4j.configurationFile={Path(__file__).with_name('log4j2.properties')}"
        java = ["java", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", *opened, log, "-cp", f"{FLINK}/*", main]
        # Beam's workers are the first `python` of their task manager's.
        path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        with (self._folder / f"{name}.log").open("wb") as file:
            self._processes[name] = subprocess.Popen(
                [*java, "--configDir", str(self._conf), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | path,
                start_new_session=True,
            )

    def _settings(self) -> dict[str, object]:
        return {
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": self._rpc,
            "jobmanager.bind-host": HOST,
            "rest.address": HOST,
            "rest.bind-address": HOST,
            "rest.port": self._rest,
            "taskmanager.host": HOST,
            "taskmanager.bind-host": HOST,
            "taskmanager.numberOfTaskSlots": SLOTS,
            "taskmanager.load-balance.mode": "SLOTS",
            "taskmanager.cpu.cores": SLOTS,
            # All of them, since there is no script that would derive one from the other.
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.framework.off-heap.size": "64m",
            "taskmanager.memory.task.heap.size": "256m",
            "taskmanager.memory.task.off-heap.size": "0m",
            "taskmanager.memory.managed.size": "64m",
            "taskmanager.memory.network.min": "64m",
            "taskmanager.memory.network.max": "64m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "128m",
            "taskmanager.memory.jvm-overhead.max": "128m",
            "io.tmp.dirs": self._folder / "tmp",
            # Shared storage: what is kept here outlives every process.
            "state.checkpoints.dir": (self._folder / "checkpoints").as_uri(),
            "state.savepoints.dir": (self._folder / "savepoints").as_uri(),
            "heartbeat.interval": 1_000,
            "heartbeat.timeout": 60_000,
            # Flink's own default is not to try again.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 3,
            "restart-strategy.fixed-delay.delay": "1 s",
        }


@contextlib.contextmanager
def flink_cluster(folder: Path) -> Iterator[FlinkCluster]:
    """Run a cluster for the time of a block."""
    cluster = FlinkCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it has not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def main() -> None:
    """Run a cluster until Ctrl-C, and say how a pipeline reaches it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="parley-flink-") as folder, flink_cluster(Path(folder)) as running:
        sys.stdout.write(f"Flink runs; its logs are in {folder}. Tell a pipeline:\n\n")
        sys.stdout.write(" \\\n".join(running.options) + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
