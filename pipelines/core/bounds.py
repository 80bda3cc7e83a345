"""How much one raw event may make: its rows grow with the square of its body where each repeats what it is of.

Beyond a bound the event as a whole becomes one dead letter that says so, and costs nobody else anything; the
archive keeps it. The bounds are far above what any source sends, the longest history of WhatsApp included.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pipelines.core.rows import Row

MOST_ROWS: Final = 100_000
"""Rows that one event may make."""
MOST_TEXT: Final = 32 * 1024 * 1024
"""Characters, and bytes, that the rows of one event may hold together."""
MOST_LETTERS: Final = 1_000
"""Items of one event that have a dead letter each; one more tells how many others failed."""
ROW_OVERHEAD: Final = 200
"""What a row weighs beside its texts: numbers, times, and its place in a table."""
_NOT_WORTH_WEIGHING: Final = 256 * 1024
_FIXED: Final = 8 * 1024
_ROW_PER_BODY: Final = 16
"""How often a row holds a body at most: the columns that are text."""


class TooMuchError(Exception):
    """One event would make more rows than can be stored beside those of others."""


class TooManyFailuresError(Exception):
    """More items of one event failed than have a dead letter each."""


def weight(row: Row) -> int:
    """Return about how many bytes a row takes."""
    total = ROW_OVERHEAD
    for value in msgspec.structs.astuple(row):
        kind = type(value)
        if kind is str or kind is bytes:
            total += len(value)
        elif kind is tuple:
            total += sum(map(len, value))
    return total


def weights(rows: Sequence[Row], body_bytes: int) -> int:
    """Return about how many bytes the rows of one event take; exactly only where they could be many."""
    about = len(rows) * (ROW_OVERHEAD + body_bytes)
    return about if about < _NOT_WORTH_WEIGHING else sum(map(weight, rows))


class Allowance:
    """Watches the rows of one event while they are made.

    A row holds no more text than its body times a constant, so that rows of a usual event are never weighed:
    only once as many have been made as could be too much.
    """

    def __init__(self, body_bytes: int) -> None:
        self._largest_row = _ROW_PER_BODY * body_bytes + _FIXED
        self._weighed = 0
        self._weight = 0
        self.rows = 0
        """How many rows may be made before they have to be looked at (again)."""
        self._extend()

    def look(self, rows: list[Row]) -> None:
        """Weigh what has been made since the last look, and allow as much more as is certainly not too much.

        Raises:
            TooMuchError: it is too much already.
        """
        if len(rows) > MOST_ROWS:
            raise TooMuchError(f"more than {MOST_ROWS:,} rows of one event")
        self._weight += sum(map(weight, rows[self._weighed :]))
        self._weighed = len(rows)
        if self._weight > MOST_TEXT:
            raise TooMuchError(f"more than {MOST_TEXT:,} bytes of rows of one event")
        self._extend()

    def dropped(self, left: int) -> None:
        """Note that only the first rows are left; the work of making the others counts all the same."""
        self.rows -= max(0, self._weighed - left)
        self._weighed = min(self._weighed, left)

    def _extend(self) -> None:
        safe = (MOST_TEXT - self._weight) // self._largest_row
        self.rows = min(self._weighed + safe, MOST_ROWS)
