"""The folder in which a plan keeps the files that it makes until they are loaded, also where it is interrupted."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from apache_beam.io.filesystems import FileSystems

from pipelines.io.archive_segments import Selection
from pipelines.reprocess.runs import RefusedError

_EVENTS: Final = "events.json"


@contextlib.contextmanager
def kept(files: str | None, run_id: str) -> Iterator[str]:
    """Give the block a run's folder, below `files` or on this machine, where it is deleted if the block succeeds.

    Raises:
        RefusedError: somebody on this machine is at it.
    """
    if files is not None:
        yield f"{files.rstrip('/')}/{run_id}"
        return
    path = _here(run_id)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise RefusedError(f"{path} is another user's: plan again")
    with (path / "lock").open("w") as lock:
        try:
            # The kernel gives it back of whoever is killed.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RefusedError(f"run {run_id} is being planned by another process: let it end") from error
        yield str(path)
        drop(run_id)


def drop(run_id: str) -> None:
    """Delete a run's folder on this machine; nothing where there is none."""
    shutil.rmtree(_here(run_id), ignore_errors=True)


def note_events(output: str, selection: Selection) -> None:
    """Note which events were asked for, where they were named: the run itself only says how many."""
    if selection.events is not None:
        with FileSystems.create(f"{output}/{_EVENTS}", mime_type="application/json") as file:
            file.write(msgspec.json.encode(sorted(selection.events)))


def read_events(output: str) -> frozenset[str]:
    """Return which events were asked for by name.

    Raises:
        RefusedError: that is not known here.
    """
    path = f"{output}/{_EVENTS}"
    if not FileSystems.exists(path):
        raise RefusedError(f"which events were asked for is not in {output}: discard the run and plan again")
    with FileSystems.open(path) as file:
        return frozenset(msgspec.json.decode(file.read(), type=list[str]))


def _here(run_id: str) -> Path:
    return Path(tempfile.gettempdir()) / f"parley-{run_id}"
