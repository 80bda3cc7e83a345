"""Reads a segment block by block, however damaged: one bad bit costs the block that it hit, and no other.

Avro ends each block by the file's sync marker, so that a reader can find the next block behind one that it
cannot read: https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

import io
from pathlib import Path
from typing import Any, Final

import fastavro
import msgspec
from fastavro.write import Writer

from schemas.raw_event import AVRO_SCHEMA, RawEvent

MARKER_BYTES: Final = 16
ALIKE_BITS: Final = 8
"""Two markers that differ by no more bits are one that was damaged: random ones differ by about 64."""


class Block(msgspec.Struct, frozen=True):
    """A whole block: its events, and its bytes without the marker."""

    events: list[RawEvent]
    data: bytes


class Damage(msgspec.Struct, frozen=True):
    """Bytes of a file that cannot be read, or a marker that is not what it was."""

    offset: int
    size: int
    error: str


class Content(msgspec.Struct):
    """What a segment holds."""

    header: bytes = b""
    """A whole one, marker included, that fits the blocks."""
    blocks: list[Block] = []
    damages: list[Damage] = []
    end: int = 0
    """Where the last whole block ends, in bytes; what follows without a marker is a torn tail."""
    size: int = 0


def read(content: bytes, source: str = "") -> Content:
    """Return the whole blocks and the damages of a segment, whose events are all of `source`, if given."""
    found = Content(size=len(content))
    start = _read_header(content, found)
    if not start:
        return found
    marker = found.header[-MARKER_BYTES:]
    schema = (
        AVRO_SCHEMA
        if found.header.startswith(_HEADER)
        else fastavro.reader(io.BytesIO(found.header)).writer_schema
    )
    offset = start
    while offset < len(content):
        try:
            block, end = _block(content, offset, marker, schema, source)
        except Exception as error:
            # fastavro has no error of its own for what is not Avro, and nothing is read here but memory.
            next_marker = content.find(marker, offset)
            if next_marker < 0:
                break
            end = next_marker + MARKER_BYTES
            found.damages.append(Damage(offset, end - offset, f"{type(error).__name__}: {error}"))
        else:
            found.blocks.append(block)
            found.end = end
            if content[end - MARKER_BYTES : end] != marker:
                found.damages.append(Damage(end - MARKER_BYTES, MARKER_BYTES, "the marker is damaged"))
        offset = end
    return found


def write(content: Content) -> bytes:
    """Return a segment that holds the whole blocks, and nothing that is damaged."""
    marker = content.header[-MARKER_BYTES:]
    return content.header + b"".join(block.data + marker for block in content.blocks)


def source_of(path: Path) -> str:
    """Return the source in whose folder a segment lies; empty where there is none."""
    return next((part.removeprefix("source=") for part in path.parts[::-1] if part.startswith("source=")), "")


def _read_header(content: bytes, found: Content) -> int:
    """Note a header that fits the blocks, and return where they begin; 0 where there is no whole header."""
    start = len(_HEADER) + MARKER_BYTES
    if len(content) >= start and _alike(content[: len(_HEADER)], _HEADER):
        if not content.startswith(_HEADER):
            found.damages.append(Damage(0, len(_HEADER), "the header is damaged"))
        marker = _marker(content, start)
        if content[start - MARKER_BYTES : start] != marker:
            found.damages.append(Damage(start - MARKER_BYTES, MARKER_BYTES, "the header's marker is damaged"))
        found.header = _HEADER + marker
    elif len(content) >= start or not _HEADER.startswith(content):
        # Of another version, or no Avro at all.
        file = io.BytesIO(content)
        try:
            fastavro.reader(file)
        except Exception as error:
            if content.strip(b"\0"):
                found.damages.append(Damage(0, len(content), f"no Avro header: {error}"))
            return 0
        start = file.tell()
        found.header = content[:start]
    else:
        return 0
    found.end = start
    return start


def _marker(content: bytes, start: int) -> bytes:
    """Return the file's marker: the header's, or the first block's where the header's is damaged."""
    marker = content[start - MARKER_BYTES : start]
    if content.find(marker, start) < 0:
        try:
            _, size, data = _head(content, start)
        except ValueError:
            return marker
        other = content[data + size : data + size + MARKER_BYTES]
        if _alike(marker, other) and content.count(other) > 1:
            return other
    return marker


def _block(content: bytes, offset: int, marker: bytes, schema: Any, source: str) -> tuple[Block, int]:
    """Return the block at an offset, and where it ends.

    Raises:
        Exception: it is damaged.
    """
    count, size, start = _head(content, offset)
    end = start + size
    if not _alike(content[end : end + MARKER_BYTES], marker):
        raise ValueError("no marker at the block's end")
    file = io.BytesIO(content[start:end])
    events = [RawEvent.from_avro(_record(file, schema)) for _ in range(count)]
    if file.tell() != size:
        raise ValueError(f"{size - file.tell()} bytes are left in the block")
    if not all(event.event_id and event.source == (source or event.source) for event in events):
        raise ValueError("an event without its id or of another source")
    return Block(events, content[offset:end]), end + MARKER_BYTES


def _record(file: io.BytesIO, schema: Any) -> dict[str, Any]:
    record: Any = fastavro.schemaless_reader(file, schema, None)
    return record  # type: ignore[no-any-return]


def _head(content: bytes, offset: int) -> tuple[int, int, int]:
    """Return a block's number of events, its bytes, and where these begin.

    Raises:
        ValueError: these cannot be.
    """
    count, offset = _long(content, offset)
    size, offset = _long(content, offset)
    if not 0 < count <= size <= len(content) - offset:
        raise ValueError(f"a block of {count} events in {size} bytes")
    return count, size, offset


def _long(content: bytes, offset: int) -> tuple[int, int]:
    """Return a number in Avro's variable-length zig-zag coding, and the offset behind it."""
    value = 0
    for index, byte in enumerate(content[offset : offset + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), offset + index + 1
    raise ValueError("no number")


def _alike(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() <= ALIKE_BITS


def _own_header() -> bytes:
    buffer = io.BytesIO()
    Writer(buffer, AVRO_SCHEMA)
    return buffer.getvalue()[:-MARKER_BYTES]


_HEADER: Final = _own_header()
