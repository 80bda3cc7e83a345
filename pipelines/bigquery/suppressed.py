"""The table of what is suppressed, as those know it who make rows: read at their start, and again and again."""

import datetime as dt
import logging
import os
import threading
import time
from typing import Final

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from pipelines.bigquery.target import ConfigurationError, Target, client
from pipelines.core.suppression import Entry, Key, Suppression

TABLE: Final = "suppressions"
KEY: Final = "PARLEY_ERASURE_KEY"
"""The setting: the operator's secret, with which what stands for people is made."""
LOOKS_AGAIN_SECONDS: Final = 30.0
_TIMEOUT_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_known: dict[tuple[Target, str], tuple[float, Suppression | None]] = {}


def key_from_environment() -> Key | None:
    """Return the operator's key; None where there is none.

    Raises:
        ConfigurationError: it is too short.
    """
    secret = os.environ.get(KEY, "")
    try:
        return Key(secret) if secret else None
    except ValueError as error:
        raise ConfigurationError(f"{KEY}: {error}") from error


class Suppressed:
    """Gives what is suppressed in a target; it travels to workers with the key that was set where it was made."""

    def __init__(self, where: Target, secret: str | None = None) -> None:
        """Take the key of the environment, unless another is given.

        Raises:
            ConfigurationError: it is too short.
        """
        self._where = where
        self._secret = os.environ.get(KEY, "") if secret is None else secret
        if self._secret:
            self._key()

    def current(self) -> Suppression | None:
        """Return what is suppressed by now, as known for half a minute at most; None where nothing is.

        Raises:
            ConfigurationError: something is, and the key is missing or another.
        """
        with _lock:
            at, known = _known.get((self._where, self._secret), (float("-inf"), None))
            if time.monotonic() - at < LOOKS_AGAIN_SECONDS:
                return known
            try:
                known = self.read()
            except (GoogleAPICallError, OSError):
                # BigQuery is away, and takes no rows either; `verify` finds what may come back of this moment.
                _log.warning("what is suppressed cannot be read; what was known holds", exc_info=True)
                if at == float("-inf"):
                    return None
            _known[self._where, self._secret] = (time.monotonic(), known)
            return known

    def read(self) -> Suppression | None:
        """Return what is suppressed as the table has it now, as `current` does."""
        with client(self._where) as warehouse:
            entries = _entries(warehouse, self._where, self._key().id if self._secret else None)
        return Suppression(self._key(), entries) if entries else None

    def _key(self) -> Key:
        try:
            return Key(self._secret)
        except ValueError as error:
            raise ConfigurationError(f"{KEY}: {error}") from error


def forget_known() -> None:
    """Let the next question be answered by the table."""
    with _lock:
        _known.clear()


def _entries(warehouse: bigquery.Client, where: Target, key_id: str | None) -> list[Entry]:
    try:
        # Listed, not queried: that costs nothing, however often it is done.
        found = list(warehouse.list_rows(where.table(TABLE), retry=None, timeout=_TIMEOUT_SECONDS))
    except NotFound:
        # Of an earlier version, until its next `parley tables deploy`.
        return []
    now = dt.datetime.now(dt.UTC)
    valid = [row for row in found if row["expires_at"] > now]
    if others := {row["key_id"] for row in valid} - {key_id}:
        raise ConfigurationError(
            f"people were erased with a key that is not set here ({', '.join(sorted(others))}): set {KEY}, or "
            "their rows would come back"
        )
    return [Entry(row["kind"], row["hash"], row["until"]) for row in valid]
