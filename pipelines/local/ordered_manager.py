"""Ends the local stack in order: first the parts that use a server, and then the servers."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from honcho.manager import Manager
from honcho.printer import Printer

from pipelines.local import keeper

# Less than what Honcho leaves the parts from the first one's end until it kills the others: 5 s.
_PATIENCE: Final = 3.0
_PAUSE: Final = 0.02


class OrderedManager(Manager):
    """A manager whose servers end when those that use them have, or have had their time.

    A pipeline whose Pub/Sub and BigQuery went with it could neither store what it has read nor give it back, and
    its client of Pub/Sub waits for some seconds for a server that comes again.
    """

    def __init__(self, printer: Printer, users: Sequence[Path]) -> None:
        """Take the state files of the keepers of all parts that use others."""
        super().__init__(printer)
        self._users = users
        self._ends = False

    def terminate(self) -> None:
        """End the users, and the other parts after them; return at once, since a signal's handler calls it."""
        if not self._ends:
            self._ends = True
            threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        ending = [keeper.end(each) for each in self._users]
        until = time.monotonic() + _PATIENCE
        while any(each is not None and keeper.lives(each) for each in ending) and time.monotonic() < until:
            time.sleep(_PAUSE)
        super().terminate()
