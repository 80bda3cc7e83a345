"""Rewrites segments: block by block into a new file, which takes the old one's place only when it is whole.

Blocks in which nothing changes are copied byte for byte. Whoever is killed leaves the old file, or the new one;
and beside it perhaps a part, which the next who rewrites the segment replaces.

Of a sealed archive everything in a segment is sealed anew, with a new data key, and the old one is destroyed: then
nobody reads the old file any more, wherever a copy of it lies.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import fastavro
import msgspec
from fastavro.write import Writer

from pipelines.erase import retiring
from receiver.durable.envelope import LostError, is_tombstone
from receiver.durable.keyring import Keyring, not_configured
from receiver.durable.segments import lock, sync_folder
from schemas.archive_layout import OPEN_SUFFIX
from schemas.raw_event import DATA_KEY, RawEvent

Change = Callable[[RawEvent], RawEvent | None]
"""Returns what takes an event's place; None where it stays."""
PART_SUFFIX: Final = ".erasing"
_BUCKET: Final = "gs://"
_MARKER: Final = 16
_CHUNK: Final = 1024 * 1024
_TIMEOUT: Final = 60.0


class Rewritten(msgspec.Struct, frozen=True):
    """What became of one segment."""

    events: int = 0
    """How many of its events changed; none where the file is as it was."""
    bytes: int = 0
    """The new file's, where there is one."""
    waits: bool = False
    """Whether somebody writes it, or has replaced it meanwhile, so that it must be tried again."""
    damage: str = ""
    """Why it cannot be read, and so not be rewritten."""


def rewrite(
    path: str, change: Change, before: Callable[[], None] = lambda: None, keys: Keyring | None = None
) -> Rewritten:
    """Let what `change` returns take the place of a segment's events; `path` is a file or `gs://…`.

    `before` is called when the new file is whole, and has not taken the old one's place. With `keys` a segment of
    which anything changes is sealed with a new key.

    Raises:
        KeysError: the segment is sealed, and there are no keys, or not these.
        OSError, google.api_core.exceptions.GoogleAPICallError: it could not be written; it is as it was.
    """
    copying = Copying(change) if keys is None else Sealing(change, keys, path)
    return _rewrite(path, copying, before)


def seal(path: str, keys: Keyring) -> Rewritten:
    """Seal a segment in which something is not sealed; what it says stays.

    Raises:
        OSError, google.api_core.exceptions.GoogleAPICallError: as `rewrite`.
    """
    return _rewrite(path, Sealing(lambda _: None, keys, path, seals_plain=True), lambda: None)


def _rewrite(path: str, copying: "Copying", before: Callable[[], None]) -> Rewritten:
    try:
        if path.startswith(_BUCKET):
            return _rewrite_object(path, copying, before)
        return _rewrite_file(Path(path), copying, before)
    except (_UnreadableError, LostError) as error:
        return Rewritten(damage=str(error))


class _UnreadableError(Exception):
    """A segment is damaged."""


def _rewrite_file(path: Path, copying: "Copying", before: Callable[[], None]) -> Rewritten:
    if path.name.endswith(OPEN_SUFFIX):
        # Its writer holds it open, whoever has it: nothing can take its place before it is closed.
        return Rewritten(waits=_changes(path, copying))
    with lock(path) as file:
        if file is None:
            return Rewritten(waits=True)
        part = path.with_name(path.name + PART_SUFFIX)
        try:
            with part.open("wb") as new:
                events = copying.copy(file, new)
                if events:
                    new.flush()
                    os.fsync(new.fileno())
            if events:
                size = part.stat().st_size
                before()
                copying.replaces()
                part.replace(path)
                sync_folder(path.parent)
                copying.replaced()
                return Rewritten(events, size)
        finally:
            part.unlink(missing_ok=True)
    return Rewritten()


def _changes(path: Path, copying: "Copying") -> bool:
    """Return whether anything in the whole blocks of a segment that is being written would change."""
    try:
        with path.open("rb") as file:
            return copying.changes(file)
    except (FileNotFoundError, LostError, _UnreadableError):
        # Closed just now; or torn: it is read again when it is closed.
        return True


def _rewrite_object(path: str, copying: "Copying", before: Callable[[], None]) -> Rewritten:
    # Half a second, that only who has a bucket should spend.
    from google.api_core.exceptions import NotFound, PreconditionFailed  # noqa: PLC0415
    from google.cloud import storage  # noqa: PLC0415

    bucket, _, name = path.removeprefix(_BUCKET).partition("/")
    blob = storage.Client().bucket(bucket).blob(name)
    try:
        blob.reload(timeout=_TIMEOUT)
        with tempfile.TemporaryFile() as old, tempfile.TemporaryFile() as new:
            blob.download_to_file(old, if_generation_match=blob.generation, timeout=_TIMEOUT)
            old.seek(0)
            events = copying.copy(old, new)
            if not events:
                return Rewritten()
            size = new.tell()
            new.seek(0)
            before()
            copying.replaces()
            blob.upload_from_file(
                new,
                size=size,
                content_type=blob.content_type or "application/avro",
                if_generation_match=blob.generation,
                checksum="crc32c",
                timeout=_TIMEOUT,
            )
    except (NotFound, PreconditionFailed):
        # It may be ours all the same, by an attempt whose answer was lost: the next who erases finds that out.
        return Rewritten(waits=True)
    copying.replaced()
    return Rewritten(events, size)


class Copying:
    """Writes a segment as it is to be."""

    def __init__(self, change: Change) -> None:
        self._change = change

    def changes(self, file: BinaryIO) -> bool:
        """Return whether anything in the whole blocks of a segment would change."""
        return any(self.change(RawEvent.from_avro(record)) is not None for _, record in _records(file))

    def change(self, event: RawEvent) -> RawEvent | None:
        """Return what takes an archived event's place; None where it stays.

        Raises:
            KeysError: it is sealed.
        """
        if DATA_KEY in event.attributes:
            raise not_configured()
        return self._change(event)

    def copy(self, old: BinaryIO, new: BinaryIO) -> int:
        """Write the new segment; return how many events changed."""
        return _copy(old, new, self.change)

    def replaces(self) -> None:
        """Note that the new segment is whole, and about to take the old one's place."""

    def replaced(self) -> None:
        """Note that it has taken that place, durably."""


class Sealing(Copying):
    """Writes a segment with everything sealed by a new data key, if anything changes at all."""

    def __init__(self, change: Change, keys: Keyring, path: str, *, seals_plain: bool = False) -> None:
        """Take the segment's keys and its path; `seals_plain` takes an event that is not sealed for a change."""
        super().__init__(change)
        self._keys = keys
        self._path = path
        self._seals_plain = seals_plain
        self._old: set[str] = set()
        self._has_plain = False

    def change(self, event: RawEvent) -> RawEvent | None:
        """Return what takes an archived event's place, opened.

        Raises:
            LostError, KeysError: it cannot be opened.
        """
        key_id = event.attributes.get(DATA_KEY)
        if key_id is not None:
            self._old.add(key_id)
            return self._change(self._keys.open(event))
        is_plain = not is_tombstone(event)
        self._has_plain |= is_plain
        left = self._change(event)
        return event if left is None and is_plain and self._seals_plain else left

    def copy(self, old: BinaryIO, new: BinaryIO) -> int:
        """Write the new segment; return how many events changed."""
        # First what changes, once: whoever is asked counts.
        left = [self.change(RawEvent.from_avro(record)) for _, record in _records(old)]
        changed = sum(each is not None for each in left)
        if changed:
            key = self._keys.new(is_local=not self._path.startswith(_BUCKET))
            following = iter(left)
            old.seek(0)
            _copy(old, new, lambda event: key.seal(next(following) or self._keys.open(event)))
        return changed

    def replaces(self) -> None:
        """Note which keys are to be destroyed, so that whoever comes after a kill finishes that."""
        if self._has_plain:
            retiring.note_plain(self._keys)
        for key_id in self._old:
            retiring.note(self._keys, key_id, self._path)

    def replaced(self) -> None:
        """Destroy them."""
        for key_id in self._old:
            retiring.destroy(self._keys, key_id)


def _copy(old: BinaryIO, new: BinaryIO, change: Change) -> int:
    """Write a segment as it is to be; return how many events changed."""
    changed = 0
    with _readable():
        reader = fastavro.block_reader(old)
        codec, schema = reader.metadata.get("avro.codec", "null"), reader.writer_schema
    header_end = old.tell()
    old.seek(0)
    header = old.read(header_end)
    new.write(header)
    at = header_end
    old.seek(at)
    for block in _blocks(reader):
        after = old.tell()
        records = list(block)
        left = [change(RawEvent.from_avro(record)) for record in records]
        touched = sum(each is not None for each in left)
        if touched:
            changed += touched
            mine = [_as_record(record, each) for record, each in zip(records, left, strict=True)]
            new.write(_block(mine, schema, codec, header[-_MARKER:]))
        else:
            old.seek(block.offset)
            new.write(old.read(block.size))
        at = block.offset + block.size
        old.seek(after)
    return changed


def _records(file: BinaryIO) -> Iterator[tuple[Any, Any]]:
    with _readable():
        reader = fastavro.block_reader(file)
    for block in _blocks(reader):
        for record in block:
            yield block, record


def _blocks(reader: Any) -> Iterator[Any]:
    while True:
        with _readable():
            block = next(reader, None)
            if block is None:
                return
            # Read whole, so that what is damaged in it shows here.
            block = _Whole(list(block), block.offset, block.size)
        yield block


class _Whole(list[Any]):
    """The records of a block, and where it lies in its file, in bytes."""

    def __init__(self, records: list[Any], offset: int, size: int) -> None:
        super().__init__(records)
        self.offset = offset
        self.size = size


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # fastavro has no error of its own for what is not Avro.
        raise _UnreadableError(f"{type(error).__name__}: {error}") from error


def _block(records: list[dict[str, Any]], schema: Any, codec: str, marker: bytes) -> bytes:
    """Return records as one block of a file that has a marker."""
    buffer = io.BytesIO()
    writer = Writer(buffer, schema, codec=codec, sync_interval=1 << 62, sync_marker=marker)
    start = buffer.tell()
    for record in records:
        writer.write(record)
    writer.flush()
    return buffer.getvalue()[start:]


def _as_record(record: dict[str, Any], event: RawEvent | None) -> dict[str, Any]:
    """Return an archive's record with what is left of its event; all else it says of it stays."""
    return record if event is None else {**record, "data": event.data, "attributes": dict(event.attributes)}
