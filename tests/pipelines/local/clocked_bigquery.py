"""The local BigQuery with a clock that a test sets: a file says how many minutes it is ahead."""

import datetime as dt
import functools
import os
from pathlib import Path
from typing import Final

from bqemulator import server
from bqemulator.domain.clock import SystemClock

from pipelines.local import bigquery

AHEAD: Final = "PARLEY_TEST_MINUTES_AHEAD"
"""The variable that names the file."""


class _Clock(SystemClock):
    def now(self) -> dt.datetime:
        """Return the time, and the minutes of the file later."""
        return super().now() + dt.timedelta(minutes=float(Path(os.environ[AHEAD]).read_text("utf-8")))


if __name__ == "__main__":
    setattr(server, "EmulatorServer", functools.partial(server.EmulatorServer, clock=_Clock()))  # noqa: B010
    bigquery.main()
