"""What travels between the pipeline's steps: batches, since a Beam element per row costs more than the row."""

from collections.abc import Sequence

import msgspec

from pipelines.core.rows import Row
from schemas.raw_event import RawEvent


class EventBatch(msgspec.Struct, frozen=True):
    """Raw events that were read together."""

    events: Sequence[RawEvent]
    origin: str
    """Where they were read: an archive file, or a subscription."""
    index: int = 0
    """Which batch of its origin this is, counted from 0."""
    fatal: bool = False
    """Whether processes have died on these events, so that they must not be read again."""


class NormalizedBatch(msgspec.Struct, frozen=True):
    """The same events and every row that they made, by table."""

    events: Sequence[RawEvent]
    rows: dict[str, list[Row]]
    origin: str
    index: int = 0
    part: int = 0
    """Which part of what was read together, where its rows are too many for one."""
    weight: int = 0
    """About how many bytes the rows take."""
