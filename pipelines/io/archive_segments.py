"""Reads the archive: which segments hold a range, and every whole event of a segment, however damaged."""

import datetime as dt
import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

import fastavro
import msgspec
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from pipelines.io.archive_damages import Damage
from pipelines.io.archive_keys import ArchiveKeys, opened
from pipelines.io.archive_listing import is_there, list_files
from schemas.archive_layout import OPEN_SUFFIX, SUFFIX
from schemas.raw_event import EVENT_ID, InvalidRawEventError, RawEvent

GROUP_BYTES = 8 * 1024 * 1024
"""Segments are read together up to this size; a larger one is a unit of work by itself."""

_FOLDER = re.compile(r"(source|date|hour)=([^/]+)")
_SYNC_SIZE = 16
_AVRO_ERRORS = (EOFError, ValueError, IndexError, KeyError, StopIteration, OSError, OverflowError)


class Selection(msgspec.Struct, frozen=True):
    """Which raw events to read: of a half-open range of times of receipt, of some sources, or by id."""

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    sources: tuple[str, ...] = ()
    """Endpoints; empty for all."""
    events: frozenset[str] | None = None
    """Their ids; None for all."""

    def has(self, event: RawEvent) -> bool:
        """Return whether an event belongs to the selection; one that does not say when or whence, does."""
        if self.events is not None and event.attributes.get(EVENT_ID) not in self.events:
            return False
        if not self.sources and self.start is self.end is None:
            return True
        try:
            if self.sources and event.source not in self.sources:
                return False
            received_at = event.received_at
        except InvalidRawEventError:
            return True
        return (self.start is None or received_at >= self.start) and (self.end is None or received_at < self.end)

    def has_folder(self, path: str) -> bool:
        """Return whether a folder or a file may hold events of the selection, as far as its path says."""
        names = dict(_FOLDER.findall(path))
        if self.sources and names.get("source", self.sources[0]) not in self.sources:
            return False
        if "date" not in names:
            return True
        try:
            start = dt.datetime.fromisoformat(f"{names['date']}T{names.get('hour', '00')}:00:00+00:00")
        except ValueError:
            # Not a folder of ours, whatever it is called.
            return True
        end = start + (dt.timedelta(hours=1) if "hour" in names else dt.timedelta(days=1))
        return (self.start is None or end > self.start) and (self.end is None or start < self.end)


class Group(msgspec.Struct, frozen=True):
    """Segments that are read together, one after another: a unit of work."""

    segments: tuple[str, ...]
    size: int
    """Bytes."""

    @property
    def origin(self) -> str:
        """The name of the group: that of its first segment."""
        return origin(self.segments[0])


def find_groups(root: str, selection: Selection) -> list[Group]:
    """Return the segments that `find_segments` finds, small neighbours together.

    An archive of little traffic has a small segment for every hour and source, and what is done once for each
    unit of work takes longer there than its events.

    Raises:
        FileNotFoundError: as `find_segments`.
    """
    groups: list[list[FileMetadata]] = []
    size = GROUP_BYTES
    for entry in _find(root, selection):
        if size + entry.size_in_bytes > GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += entry.size_in_bytes
    return [Group(tuple(e.path for e in group), sum(e.size_in_bytes for e in group)) for group in groups]


def find_segments(root: str, selection: Selection) -> list[str]:
    """Return the files under an archive's root (a folder or `gs://…`) that may hold selected events.

    Segments that are still being written are among them: of these the whole blocks are read.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    return [entry.path for entry in _find(root, selection)]


def _find(root: str, selection: Selection) -> list[FileMetadata]:
    def may_hold(path: str) -> bool:
        return selection.has_folder(path.removeprefix(root))

    found = [e for e in list_files(root, may_hold) if e.path.endswith((SUFFIX, OPEN_SUFFIX))]
    if not found and not is_there(root):
        raise FileNotFoundError(f"no archive at {root}")
    return sorted(found, key=lambda entry: entry.path)


def read_segment(path: str, damages: list[Damage], keys: ArchiveKeys | None = None) -> Iterator[RawEvent]:
    """Yield every whole event of a segment, and note what could not be read.

    A torn tail is no damage in a segment that is still being written. Sealed events are opened, with the keys of
    the environment where none are given.

    Raises:
        ConfigurationError: there are sealed events, and no keys, or not these.
    """
    return opened(read_sealed(path, damages), path, damages, keys)


def read_sealed(path: str, damages: list[Damage]) -> Iterator[RawEvent]:
    """Yield every whole event of a segment as it lies there, sealed or not, and note what could not be read."""
    read = 0
    try:
        with _open(path) as file:
            for record in fastavro.reader(file):
                yield RawEvent.from_avro(record)
                read += 1
    except _AVRO_ERRORS:
        # Rare, and then nothing is to be lost: read again block by block, past what has been read.
        yield from _salvage(path, read, damages)


def _open(path: str) -> BinaryIO:
    try:
        return _open_exactly(path)
    except OSError:
        if not path.endswith(OPEN_SUFFIX):
            raise
        # Closed by the receiver since it was listed.
        return _open_exactly(path.removesuffix(OPEN_SUFFIX))


def _open_exactly(path: str) -> BinaryIO:
    file: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file


def _salvage(path: str, skip: int, damages: list[Damage]) -> Iterator[RawEvent]:
    with _open(path) as file:
        content = file.read()
    try:
        header, sync = _header(content)
    except _AVRO_ERRORS as error:
        if not (path.endswith(OPEN_SUFFIX) and len(content) < 4096):
            damages.append(Damage(path, 0, len(content), f"no Avro header: {error}"))
        return
    offset = len(header)
    while offset < len(content):
        end = content.find(sync, offset)
        if end < 0:
            if not path.endswith(OPEN_SUFFIX):
                damages.append(Damage(path, offset, len(content) - offset, "the file ends within a block"))
            return
        block = content[offset : end + _SYNC_SIZE]
        try:
            records = list(fastavro.reader(io.BytesIO(header + block)))
        except _AVRO_ERRORS as error:
            damages.append(Damage(path, offset, len(block), f"{type(error).__name__}: {error}"))
        else:
            for record in records[skip:]:
                yield RawEvent.from_avro(record)
            skip = max(0, skip - len(records))
        offset = end + _SYNC_SIZE


def _header(content: bytes) -> tuple[bytes, bytes]:
    """Return an Avro file's header and sync marker (Avro 1.12, object container files)."""
    if content[:4] != b"Obj\x01":
        raise ValueError("not an Avro file")
    file = io.BytesIO(content)
    fastavro.reader(file)
    header = content[: file.tell()]
    return header, header[-_SYNC_SIZE:]


def origin(path: str) -> str:
    """Return a segment's name without its root, the same whether it is still open or closed."""
    parts = PurePosixPath(path.removesuffix(OPEN_SUFFIX)).parts
    start = next((i for i, part in enumerate(parts) if part.startswith("source=")), len(parts) - 1)
    return "/".join(parts[start:])
