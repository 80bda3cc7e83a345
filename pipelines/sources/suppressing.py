"""What `normalize` makes of an event, without those who were erased: for a redelivery, a spool, a replay."""

from typing import Final

import msgspec

from pipelines.core import rows
from pipelines.core.sightings import untold
from pipelines.core.suppression import Suppression
from pipelines.sources.erasing import InseparableError, without
from pipelines.sources.normalization import every_row, normalize
from schemas.raw_event import RawEvent

RUN: Final = "suppression"
"""What an event is said to be erased by of which it is not known which run did."""


def normalize_suppressed(event: RawEvent, suppression: Suppression) -> list[rows.Row]:
    """Return what `normalize` makes of what is left of an event.

    Raises:
        InvalidRawEventError: as `normalize`.
    """
    made = normalize(event)
    theirs = suppression.theirs(event)
    if not theirs.any(made):
        return made
    try:
        left = without(event, theirs, None, RUN)
    except InseparableError:
        # Others may lose their content's neighbour, but nothing that they tell.
        return _without_rows(made, untold([row for row in every_row(event)[1:] if not theirs(row)]))
    return made if left is None else normalize(left.event)


def _without_rows(made: list[rows.Row], left: list[rows.Row]) -> list[rows.Row]:
    ledger = made[0]
    if not isinstance(ledger, rows.Event):
        return left
    letters = sum(isinstance(row, rows.DeadLetter) for row in left)
    return [msgspec.structs.replace(ledger, rows=len(left) - letters), *left]
