"""Events that Pub/Sub refuses for good: out of the spool's way, kept, counted, and sent again when somebody asks.

They lie beside the spool, in segments of the same form: `refused/source=<source>`. The archive has them as well.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from receiver.durable.publisher import Publisher, PublishError, published_size
from receiver.durable.spool import Spool, sources
from schemas.raw_event import RawEvent

FOLDER: Final = "refused"


class Refused(NamedTuple):
    """An event that was set aside."""

    source: str
    event: RawEvent

    @property
    def bytes(self) -> int:
        """What it takes in a request."""
        return published_size(self.event)


def root_of(spool_root: Path) -> Path:
    """Return where the events lie that were set aside of a spool."""
    return spool_root.parent / FOLDER


def set_aside(spool: Spool, events: Sequence[RawEvent]) -> None:
    """Make events durable beside their spool.

    Raises:
        OSError: they are not.
    """
    beside = Spool(root_of(spool.root), spool.source)
    beside.append(events)
    beside.seal()


def listed(spool_root: Path) -> Iterator[Refused]:
    """Yield what was set aside, by source and the oldest first."""
    root = root_of(spool_root)
    for source in sources(root):
        spool = Spool(root, source)
        for path in spool.closed():
            with spool.take(path) as taken:
                for event in taken or ():
                    yield Refused(source, event)


def resend(spool_root: Path, publisher: Publisher, seconds: float = 10.0) -> Iterator[tuple[str, int, int]]:
    """Publish again what was set aside; yield each source, how many events went and how many stay.

    What fails for whatever reason stays. Each event goes by itself, so that none keeps back others.
    """
    root = root_of(spool_root)
    for source in sources(root):
        spool = Spool(root, source)
        sent = stay = 0
        for path in spool.closed():
            with spool.take(path) as taken:
                if taken is None:
                    continue
                events = list(taken)
                left = [event for event in events if not _goes(publisher, source, event, seconds)]
                sent, stay = sent + len(events) - len(left), stay + len(left)
                if len(left) == len(events):
                    continue
                if left:
                    # First kept, then removed: between the two an event is there twice, and never not at all.
                    spool.append(left)
                taken.finish()
        spool.seal()
        yield source, sent, stay


def _goes(publisher: Publisher, source: str, event: RawEvent, seconds: float) -> bool:
    try:
        publisher.publish(source, [event], seconds)
    except PublishError:
        return False
    return True
