"""Writes a sample world as an archive: segments as the receiver would have left them."""

import datetime as dt
import multiprocessing
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from fastavro.write import Writer

from pipelines.core.times import from_micros
from pipelines.generate import delivery
from pipelines.generate.delivery import Delivery
from pipelines.generate.story import World
from schemas import archive_layout
from schemas.raw_event import AVRO_SCHEMA

BLOCK_BYTES: Final = 256 * 1024
_HOUR: Final = 3_600_000_000


def write(world: World, root: Path, processes: int) -> Iterator[int]:
    """Write a world's archive day by day, and yield how many events each day has.

    Raises:
        FileExistsError: the folder is not empty.
        OSError: it cannot be written.
    """
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"not empty: {root}")
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(partial(write_day, world, root), range(world.days))


def write_day(world: World, root: Path, day: int) -> int:
    """Write the segments of the conversations that begin on a day; return how many events they have."""
    deliveries = delivery.of_day(world, day)
    write_segments(deliveries, root, f"sample-{day}")
    return len(deliveries)


def write_segments(deliveries: Iterable[Delivery], root: Path, name: str) -> None:
    """Write deliveries into an archive, a segment for each endpoint and hour; a segment of that name is replaced.

    Raises:
        OSError: it cannot be written.
    """
    for (endpoint, hour), group in groupby(sorted(deliveries, key=_segment), key=_segment):
        moment = from_micros(hour * _HOUR)
        folder = root / archive_layout.folder(endpoint, moment)
        folder.mkdir(parents=True, exist_ok=True)
        _write_segment(folder / f"{name}-{moment:%Y%m%dT%H}-0{archive_layout.SUFFIX}", group)


def day_of(moment: dt.datetime) -> int:
    """Return the first moment of a time's day, in microseconds since 1970."""
    return int(moment.timestamp()) // 86_400 * 86_400 * 1_000_000


def _segment(item: Delivery) -> tuple[str, int]:
    return item.webhook.endpoint, item.received // _HOUR


def _write_segment(path: Path, deliveries: Iterable[Delivery]) -> None:
    # The marker between blocks is random otherwise, and two makings of a world would differ.
    marker = sha256(path.name.encode()).digest()[:16]
    # Whoever reads the archive meanwhile sees whole segments only.
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        writer = Writer(file, AVRO_SCHEMA, sync_interval=BLOCK_BYTES, sync_marker=marker)
        for item in deliveries:
            writer.write(item.event.to_avro())
        writer.flush()
    part.replace(path)
