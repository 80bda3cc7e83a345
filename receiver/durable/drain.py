"""Empties the spool of a receiver that is gone, from wherever its disk is mounted now."""

from collections.abc import Iterator
from pathlib import Path

from receiver.durable import spool
from receiver.durable.outbox import Outbox
from receiver.durable.publisher import Publisher


def drain_folder(folder: Path, publisher: Publisher, publish_seconds: float = 10.0) -> Iterator[tuple[str, int]]:
    """Publish a spool folder's events, yielding each source and how many events it had.

    Waits for as long as Pub/Sub does not confirm. What a live receiver holds is left to it.

    Raises:
        FileNotFoundError: the folder holds no spool.
    """
    sources = spool.sources(folder)
    if not sources:
        raise FileNotFoundError(f"no spool in {folder}: there is no folder {spool.SOURCE_FOLDER}… in it")
    for source in sources:
        yield source, Outbox(spool.Spool(folder, source), publisher, publish_seconds).drain()
