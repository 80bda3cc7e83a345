"""The spool: events of one source that are durable here because Pub/Sub has not confirmed them."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import fastavro
import msgspec

from receiver.durable import salvage
from receiver.durable.segment_log import SegmentLog
from receiver.durable.segments import CORRUPT_SUFFIX, lock, recover, report
from schemas.archive_layout import OPEN_SUFFIX, SUFFIX, files_on_disk
from schemas.raw_event import RawEvent

SEGMENT_BYTES: Final = 8 * 1024 * 1024
SOURCE_FOLDER: Final = "source="

_log = logging.getLogger(__name__)


class Spool:
    """One process's part of a source's spool, and the way to take over what others left there."""

    def __init__(self, root: Path, source: str) -> None:
        """Use `<root>/source=<source>`; nothing is made before there is an event to keep."""
        self.root = root
        self.source = source
        self._folder = folder(root, source)
        self._segments = SegmentLog(lambda _: self._folder, SEGMENT_BYTES, float("inf"))
        self._lock = threading.Lock()
        self._failure = ""

    def append(self, events: Sequence[RawEvent]) -> None:
        """Make events durable, all or none.

        Raises:
            OSError: none of them is.
        """
        with self._lock:
            self._segments.append(events)
            self._segments.rotate()

    def seal(self) -> None:
        """Close the segments in use, of this process and of dead ones, so they can be taken."""
        with self._lock:
            self._segments.close()
        try:
            recover(self._folder)
        except OSError as error:
            # It stays for the next time: the other segments do not wait for it.
            if str(error) != self._failure:
                _log.exception("segment of a dead process not taken over", extra={"source": self.source})
            self._failure = str(error)
        else:
            self._failure = ""

    def closed(self) -> list[Path]:
        """Return the segments that can be taken, oldest first."""
        return sorted(self._folder.glob(f"*{SUFFIX}"), key=_created)

    @contextmanager
    def take(self, path: Path) -> Iterator["Taken | None"]:
        """Give a closed segment, locked; None where another process has it or has emptied it."""
        with lock(path) as file:
            yield None if file is None else Taken(path, file)


class Taken:
    """A segment that is being emptied: iterate over its events, then call `finish`."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._content: salvage.Content | None = None

    def __iter__(self) -> Iterator[RawEvent]:
        """Yield the events of all whole blocks, also of those behind a damaged one.

        Raises:
            OSError: the segment cannot be read; it must not be finished.
        """
        self._content = salvage.read(self._file.read(), salvage.source_of(self._path))
        for block in self._content.blocks:
            yield from block.events

    def finish(self) -> None:
        """Remove the segment, whose events are all published; set it aside where it is damaged."""
        content = self._content or salvage.Content()
        damages = list(content.damages)
        if content.end < content.size:
            # A closed segment has no torn tail.
            damages.append(salvage.Damage(content.end, content.size - content.end, "the file ends within a block"))
        if damages:
            report(self._path, damages)
            self._path.rename(self._path.with_name(self._path.name + CORRUPT_SUFFIX))
        else:
            self._path.unlink()


class Measure(msgspec.Struct, frozen=True):
    """How much waits in a folder of segments."""

    events: int
    segments: int
    bytes: int
    oldest_seconds: float


def measure(root: Path) -> Measure:
    """Measure all segments under a folder, open ones and those of other processes included."""
    paths = files_on_disk(root, SUFFIX, f"{SUFFIX}{OPEN_SUFFIX}")
    before, counted = _counted.get(root, {}), {}
    events = size = 0
    oldest = time.time()
    for path in paths:
        with suppress(FileNotFoundError):
            file_size = path.stat().st_size
            known_size, count = before.get(path, (-1, 0))
            if known_size != file_size:
                count = _count(path)
            counted[path] = file_size, count
            events += count
            size += file_size
            if count:
                oldest = min(oldest, _created(path) / 1e9)
    _counted[root] = counted
    return Measure(events, len(paths), size, max(0.0, time.time() - oldest))


_counted: Final[dict[Path, dict[Path, tuple[int, int]]]] = {}
"""Of each folder that is measured: its segments' sizes and events at the last look, so that none is read twice.

However many there are: when uploads fail for days, whoever looks must not read all of them each time.
"""


def _count(path: Path) -> int:
    count = 0
    # fastavro has no error of its own for what is not Avro; a damage is told elsewhere.
    with path.open("rb") as file, suppress(Exception):
        for block in fastavro.block_reader(file):
            count += block.num_records
    return count


def damaged(root: Path) -> list[str]:
    """Return the segments under a folder that were set aside because they are damaged."""
    return sorted(path.name for path in files_on_disk(root, CORRUPT_SUFFIX))


def _created(path: Path) -> int:
    """Return when a segment was made, in nanoseconds, from its name (see `receiver.durable.segments`)."""
    words = path.name.removesuffix(OPEN_SUFFIX).removesuffix(SUFFIX).rsplit("-", 2)
    return int(words[-2]) if len(words) == 3 and words[-2].isdigit() else 0


def folder(root: Path, source: str) -> Path:
    """Return the folder of a source's segments."""
    return root / f"{SOURCE_FOLDER}{source}"


def sources(root: Path) -> list[str]:
    """Return the sources that have a folder in a spool."""
    return sorted(path.name.removeprefix(SOURCE_FOLDER) for path in root.glob(f"{SOURCE_FOLDER}*"))
