"""Avro files that grow by whole, synced blocks: what both the archive and the spool consist of.

A segment ends in `.open` while it is being written and is locked by its writer; closing renames
it. A process that died leaves an unlocked `.open` file, which `recover` closes with
its whole blocks. Locks belong to open files, so they vanish with a killed process, and two live
processes never take each other's segments.
"""

import contextlib
import fcntl
import io
import itertools
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from fastavro.write import Writer

from receiver.durable import salvage
from schemas.archive_layout import OPEN_SUFFIX, SUFFIX, files_on_disk
from schemas.raw_event import AVRO_SCHEMA, RawEvent

CORRUPT_SUFFIX: Final = ".corrupt"
PART_SUFFIX: Final = ".part"
_ONLY_EXPLICIT_BLOCKS: Final = 1 << 62
_HOST: Final = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64]
_sequence = itertools.count()
_log = logging.getLogger(__name__)


Seal = Callable[[RawEvent], RawEvent]
"""Returns an event as it is written."""
Unseal = Callable[[list[RawEvent]], list[RawEvent]]
"""Returns those events as they were received that can be read."""


class LostNameError(OSError):
    """A segment's file is no longer found by its name, and its content could not be written elsewhere."""


class Segment:
    """One Avro file being written: `append` returns when its events are on the disk."""

    def __init__(self, folder: Path, seal: Seal | None = None) -> None:
        """Create and lock a new file in a folder, which is made where it is missing; `seal` events, if given.

        Raises:
            OSError: it cannot be written, for example because the disk is full.
        """
        self.seal = seal
        """To be set before anything is appended."""
        self._file, self.path = _create(folder)
        self._buffer = io.BytesIO()
        self.created = time.monotonic()
        self.events = 0
        self.size = 0
        try:
            self._writer = Writer(self._buffer, AVRO_SCHEMA, sync_interval=_ONLY_EXPLICIT_BLOCKS)
            self._write(self._take_buffer())
            sync_folder(folder)
        except OSError:
            self.path.unlink(missing_ok=True)
            self._file.close()
            raise

    def append(self, events: Sequence[RawEvent]) -> None:
        """Write events as one block and sync it to the disk, where the segment has its name.

        Raises:
            LostNameError: the file is no longer found by its name; it holds what it held, and can be tried again.
            OSError: nothing was written; the segment is as it was, but should be closed.
        """
        self._keep_name()
        if self.seal is not None:
            events = [self.seal(event) for event in events]
        for event in events:
            self._writer.write(event.to_avro())
        self._writer.flush()
        self._write(self._take_buffer())
        self.events += len(events)

    def undo(self, size: int, events: int) -> None:
        """Cut the segment back to an earlier size, best effort: its events were never confirmed."""
        try:
            os.ftruncate(self._file.fileno(), size)
        except OSError:
            return
        self.size, self.events = size, events

    def close(self) -> Path | None:
        """Give the segment its final name and return it; an empty one is removed.

        Raises:
            OSError: the folder cannot be written; the segment stays for `recover`.
        """
        self._keep_name()
        with self._file:
            return _finish(self.path, self.events > 0)

    def _keep_name(self) -> None:
        """Make sure that what was acknowledged can be found: a folder may be removed, or a disk exchanged.

        Raises:
            LostNameError: it cannot.
        """
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise LostNameError(*error.args) from error
        _log.error("segment is gone from its folder, and is written again: %s", self.path)
        try:
            content = _read_all(self._file.fileno(), self.size)
            file, path = _create(self.path.parent)
        except OSError as error:
            raise LostNameError(*error.args) from error
        gone, self._file = self._file, file
        try:
            size, self.size = self.size, 0
            self._write(content)
            sync_folder(path.parent)
        except OSError as error:
            self._file, self.size = gone, size
            path.unlink(missing_ok=True)
            file.close()
            raise LostNameError(*error.args) from error
        gone.close()
        self.path = path

    def _take_buffer(self) -> bytes:
        data = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return data

    def _write(self, data: bytes) -> None:
        descriptor = self._file.fileno()
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(descriptor, data[written:], self.size + written)
            os.fdatasync(descriptor)
        except OSError:
            self.undo(self.size, self.events)
            raise
        self.size += len(data)


def recover(
    root: Path, keep: Callable[[list[RawEvent]], None] | None = None, unseal: Unseal | None = None
) -> None:
    """Close the segments that dead processes left open under a folder.

    A torn tail is cut. A segment that is damaged elsewhere is set aside whole as `.corrupt`, and its whole
    blocks take its place. `keep` is called with the events of each segment's last block, before the segment
    is closed: those may not have been published, since a process publishes after it has written. Everything
    before has been. They are opened by `unseal`, where they are sealed.

    Raises:
        OSError: a segment cannot be read or closed, or `keep` or `unseal` has failed; it stays as it is, and all
            others are closed nevertheless.
    """
    failure: OSError | None = None
    for path in files_on_disk(root, f"{SUFFIX}{OPEN_SUFFIX}"):
        try:
            _recover(path, keep, unseal)
        except OSError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def _recover(path: Path, keep: Callable[[list[RawEvent]], None] | None, unseal: Unseal | None) -> None:
    with lock(path) as file:
        if file is None:
            return
        content = salvage.read(file.read(), salvage.source_of(path))
        if content.blocks and keep is not None:
            last = content.blocks[-1].events
            opened = last if unseal is None else unseal(last)
            if opened:
                keep(opened)
        if content.damages:
            report(path, content.damages)
            _set_aside(path, content)
        else:
            file.truncate(content.end)
            os.fsync(file.fileno())
            _finish(path, bool(content.blocks))


def report(path: Path, damages: Sequence[salvage.Damage]) -> None:
    """Log each damage of a segment."""
    for damage in damages:
        _log.error("damaged segment %s: %d bytes at offset %d: %s", path, damage.size, damage.offset, damage.error)


def _set_aside(path: Path, content: salvage.Content) -> None:
    """Close a damaged segment with what is whole of it, beside the damaged file."""
    with contextlib.suppress(FileExistsError):
        # It is there already where a process died between this and the next step.
        os.link(path, path.with_name(path.name + CORRUPT_SUFFIX))
    sync_folder(path.parent)
    if not content.blocks:
        path.unlink()
        return
    part = path.with_name(path.name + PART_SUFFIX)
    with part.open("w+b") as file:
        # Locked before it has the segment's name: another process may look for it just then.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(salvage.write(content))
        file.flush()
        os.fsync(file.fileno())
        part.replace(path)
        _finish(path, True)


class lock:  # noqa: N801 - reads as a function
    """Opens and locks a file for the time of a `with` block; gives None where another holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> BinaryIO | None:
        try:
            file = self._path.open("r+b")
        except FileNotFoundError:
            return None
        if not _lock(file, self._path):
            file.close()
            return None
        self._file = file
        return file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each entry synced so that it outlives a power failure."""
    missing = list(itertools.takewhile(lambda path: not path.is_dir(), (folder, *folder.parents)))
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    content = b""
    while len(content) < size and (part := os.pread(descriptor, size - len(content), len(content))):
        content += part
    return content


def _create(folder: Path) -> tuple[BinaryIO, Path]:
    """Create a file of a name that was never used, and lock it before anyone can recover it."""
    while True:
        stem = f"{_HOST}-{os.getpid()}-{time.time_ns()}-{next(_sequence)}"
        path = folder / f"{stem}{SUFFIX}{OPEN_SUFFIX}"
        try:
            file = path.open("x+b", buffering=0)
        except FileExistsError:
            continue
        except FileNotFoundError:
            # An uploader may have just removed the folder, which was empty.
            make_folder(folder)
            continue
        if _lock(file, path):
            return file, path
        file.close()


def _lock(file: BinaryIO, path: Path) -> bool:
    """Lock an open file; False where another has it, or had it and has renamed or removed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _finish(path: Path, keep: bool) -> Path | None:
    """Rename an open segment to its final name, or remove it."""
    if not keep:
        path.unlink()
        return None
    closed = path.with_name(path.name.removesuffix(OPEN_SUFFIX))
    path.rename(closed)
    sync_folder(path.parent)
    return closed
