"""How far a batch pipeline is in the archive, on whatever runner: seen by the files that it has made."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from apache_beam.io.filesystems import FileSystems

from pipelines.bigquery.load import SUFFIX
from pipelines.io.archive_segments import Selection, find_groups
from pipelines.io.write_parquet import file_name
from pipelines.reprocess.steps import Steps

_POLL_SECONDS: Final = 0.5


@contextlib.contextmanager
def watched(archive: str, selection: Selection, made: str, what: str, steps: Steps) -> Iterator[None]:
    """Tell how far a pipeline is that runs in the block and makes files of every group of segments in a folder.

    Raises:
        FileNotFoundError: there is no archive.
    """
    sizes = _sizes(archive, selection)
    total = sum(sizes.values())
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            written = FileSystems.match([f"{made}/*{SUFFIX}"])[0].metadata_list
            done = sum(sizes.get(PurePosixPath(entry.path).name, 0) for entry in written)
            steps.progress(what, done, total, "bytes")

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    steps.progress(what, total, total, "bytes")


def _sizes(archive: str, selection: Selection) -> dict[str, int]:
    """Return the bytes of each group of segments by the name of the first file that is made of it."""
    return {file_name(group.origin, 0): group.size for group in find_groups(archive, selection)}
