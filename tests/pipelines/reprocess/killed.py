"""Plans, applies, rolls back or discards in a process that is killed at a step, or some time after it."""

import multiprocessing
import os
import signal
import threading
from pathlib import Path

from reprocess_support import InterruptAt, Warehouse

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client

_PATIENCE_SECONDS = 120

# Forked from a process that has imported this and done nothing else: an import costs more than what is tested.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    ["pipelines.reprocess", "pipelines.bigquery.bundle", "apache_beam.runners.portability.fn_api_runner.fn_runner"]
)


def killed(warehouse: Warehouse, command: str, run: str, step: str, milliseconds: int = 0) -> bool:
    """Run a command that is killed with SIGKILL; tell whether it was, or had not reached the step."""
    environ = {name: os.environ[name] for name in (REST_EMULATOR, GRPC_EMULATOR)}
    arguments = (environ, warehouse.target, warehouse.archive, command, run, step, milliseconds)
    process = _processes.Process(target=_work, args=arguments)
    process.start()
    process.join(_PATIENCE_SECONDS)
    return process.exitcode == -signal.SIGKILL


def _work(
    environ: dict[str, str], where: Target, archive: Path, command: str, run: str, step: str, milliseconds: int
) -> None:
    os.environ.update(environ)
    warehouse = Warehouse(client(where), where, archive)
    doomed = threading.Event()

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_soon() -> None:
        doomed.set()
        if milliseconds == 0:
            die()
        threading.Timer(milliseconds / 1_000, die).start()

    steps = InterruptAt(step, die_soon)
    if command == "plan":
        warehouse.plan(steps)
    else:
        act = {"apply": warehouse.apply, "rollback": warehouse.roll_back, "discard": warehouse.discard}[command]
        act(warehouse.run(run), steps=steps)
    if doomed.is_set():
        # What it was about is done by now.
        threading.Event().wait()
