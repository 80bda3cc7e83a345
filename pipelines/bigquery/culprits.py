"""Finds the rows that are to blame for a refused request, where BigQuery does not say, and stores the others.

A request can be refused for one bad row or for a table that is not what the rows are made for, in the same words
(INVALID_ARGUMENT). Taken for the rows' fault, the second would turn a whole stream into dead letters. So a row is
only refused for good where the table is seen to take others: after a request that was sent later than the first
refusal was stored, the row is sent once more, and refused again. Until then all of it waits, like the rows of a
table that is missing.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.bigquery.chunks import RefusedRow, cut
from pipelines.bigquery.faults import RequestRefusedError, RequestTooLargeError, RowRefusedError, RowTooLargeError
from pipelines.bigquery.lane import Lane
from pipelines.core.rows import Row

_FEWEST_PIECES = 16
"""Into how many pieces a request is cut at first. Each round in which none is stored cuts twice as fine, so that
many bad rows are found, and a table that takes nothing is not asked for each row at once."""


class _Piece(NamedTuple):
    """Rows that were refused together."""

    rows: Sequence[Row]
    error: RequestRefusedError


def find_culprits(lane: Lane, table: str, rows: Sequence[Row], error: RequestRefusedError) -> Sequence[RefusedRow]:
    """Store what BigQuery takes of the rows of a refused request, and return the rows that it never will.

    Raises:
        TableUnavailableError: the table took no row, of these or others, for too long.
        AppenderClosedError: the appender was closed meanwhile.
    """
    search = _Search(lane, table)
    started, rounds = time.monotonic(), 0
    left = search.narrow(search.refused(rows, error), _FEWEST_PIECES)
    while left:
        certain = search.table_takes_rows()
        if not certain:
            rounds += 1
            lane.wait_for_setup(left[0].error, rounds, time.monotonic() - started)
        left = search.send([row for piece in left for row in piece.rows])
        left = search.narrow(left, _FEWEST_PIECES << rounds)
        if certain:
            search.culprits += [
                RefusedRow(row, RowRefusedError(str(piece.error))) for piece in left for row in piece.rows
            ]
            break
    return search.culprits


class _Search:
    def __init__(self, lane: Lane, table: str) -> None:
        self.culprits: list[RefusedRow] = []
        """The rows that are known to be bad, whatever becomes of the others."""
        self._lane = lane
        self._table = table
        self._began = lane.last_sent()

    def table_takes_rows(self) -> bool:
        """Return whether anything that was sent since the first refusal has been stored."""
        return self._lane.took_since(self._began)

    def narrow(self, refused: list[_Piece], most: int) -> list[_Piece]:
        """Send the halves of what was refused, down to single rows, and return what is still refused.

        It ends at so many pieces where nothing has been stored yet.
        """
        while any(len(piece.rows) > 1 for piece in refused):
            if 2 * len(refused) > most and not self.table_takes_rows():
                break
            refused = [smaller for piece in refused for smaller in self._halves_of(piece)]
        return refused

    def _halves_of(self, piece: _Piece) -> list[_Piece]:
        middle = len(piece.rows) // 2
        return [*self.send(piece.rows[:middle]), *self.send(piece.rows[middle:])] if middle else [piece]

    def send(self, rows: Sequence[Row]) -> list[_Piece]:
        """Send rows and wait; return what is refused."""
        # One request after the other: a refusal may end the connection, and with it all that is under way.
        refused = []
        while rows:
            chunks, unfit = cut(self._table, rows, time.time_ns() // 1_000)
            self.culprits += unfit
            rows = []
            for chunk in chunks:
                try:
                    blamed = self._lane.confirm(self._lane.send(chunk))
                except RequestRefusedError as error:
                    refused += self.refused(chunk.rows, error)
                    continue
                if blamed:
                    self.culprits += [RefusedRow(chunk.rows[index], error) for index, error in blamed.items()]
                    rows = [*rows, *(row for index, row in enumerate(chunk.rows) if index not in blamed)]
        return refused

    def refused(self, rows: Sequence[Row], error: RequestRefusedError) -> list[_Piece]:
        """Return the piece that refused rows are; none where it is a row alone that is too large."""
        if len(rows) == 1 and isinstance(error, RequestTooLargeError):
            self.culprits.append(RefusedRow(rows[0], RowTooLargeError(str(error))))
            return []
        return [_Piece(rows, error)]
