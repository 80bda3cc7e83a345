"""Plans a reprocessing as a job of some runner, and reads what it has written."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow.parquet as pq

from pipelines.bigquery.target import Target
from pipelines.core.rows import TABLES

_SECONDS = 1_200


class Written(NamedTuple):
    """What a batch run has written so far."""

    folder: Path

    def ledgers(self) -> int:
        """Return how many files the ledger has, one for each unit of work."""
        return len(list(self.folder.glob("events/*.parquet")))

    def rows(self) -> dict[str, Counter[str]]:
        """Return the rows of every table, `processed_at` left aside."""
        found = {}
        for table in TABLES:
            files = self.folder.glob(f"{table}/*.parquet")
            made = (pq.read_table(file).drop_columns("processed_at").to_pylist() for file in files)
            found[table] = Counter(repr(row) for rows in made for row in rows)
        return found


class Job(NamedTuple):
    """The process that has launched a job, the folder that the job writes to, and what was logged."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path

    def wait(self) -> str:
        """Wait for the job's end; return the id of the run that it has planned."""
        code = self.process.wait(_SECONDS)
        assert code == 0, self.log.read_text()[-8_000:]
        return self.written().folder.name

    def written(self) -> Written:
        """Return what the job's one run has written."""
        runs = list(self.folder.glob("*"))
        assert len(runs) <= 1
        return Written(runs[0] if runs else self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def plan(
    archive: Path,
    folder: Path,
    where: Target,
    options: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Job:
    """Start the documented command as a process of its own."""
    command = [sys.executable, "-m", "pipelines.normalize", "--mode=batch", *options]
    command += [f"--archive={archive}", f"--output={folder / 'rows'}", f"--bigquery_project={where.project}"]
    command += [f"--dataset_prefix={where.rows_dataset.removesuffix('parley_rows')}"]
    # A job server would take a quarter of the machine's memory.
    changed = os.environ | {"JAVA_TOOL_OPTIONS": "-Xmx512m"} | (environment or {})
    log = folder / "launch.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=changed)
    return Job(process, folder / "rows", log)
