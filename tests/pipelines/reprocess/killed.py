"""Run as a program: plans, applies or rolls back, and is killed at a step or some milliseconds after it."""

import os
import signal
import sys
import threading
from pathlib import Path

from reprocess_support import InterruptAt, Warehouse

from pipelines.bigquery.target import Target, client


def main(command: str, archive: str, run: str, step: str, milliseconds: str) -> None:
    where = Target.from_environment()
    warehouse = Warehouse(client(where), where, Path(archive))

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_soon() -> None:
        if milliseconds == "0":
            die()
        threading.Timer(int(milliseconds) / 1_000, die).start()

    steps = InterruptAt(step, die_soon)
    if command == "plan":
        warehouse.plan(steps)
    else:
        act = warehouse.apply if command == "apply" else warehouse.roll_back
        act(warehouse.run(run), steps=steps)
    # Whatever is done by now, is done.
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
