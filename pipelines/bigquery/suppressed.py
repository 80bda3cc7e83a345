"""The table of what is suppressed, as those know it who make rows: read at their start, and again and again."""

import datetime as dt
import itertools
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.cloud import bigquery

from pipelines.bigquery.secret import checked, read
from pipelines.bigquery.target import ConfigurationError, Target, client
from pipelines.core.suppression import Entry, Key, Suppression

TABLE: Final = "suppressions"
KEY: Final = "PARLEY_ERASURE_KEY"
"""The setting: the operator's secret, with which what stands for people is made."""
KEY_FILE: Final = f"{KEY}_FILE"
LOOKS_AGAIN_SECONDS: Final = 30.0
KNOWN_AFTER_SECONDS = 45.0
"""After so long every worker knows of what is suppressed, and what it made before that is stored."""
_TIMEOUT_SECONDS: Final = 10.0
FIRST_PATIENCE_SECONDS: Final = 30.0
"""How long a process that has never read the table tries to, until its bundle fails."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_TOLD_EACH: Final = 10
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_given_up = threading.Event()
_known: dict[tuple[Target, str], tuple[float, Suppression | None]] = {}
_read: dict[str, Key] = {}
"""Keys that were read, by the name of the secret: one is kept as long as the archive, and never changes."""


def secret_from_environment() -> str:
    """Return the operator's secret: as it is set, or as the file has it that `PARLEY_ERASURE_KEY_FILE` names.

    Raises:
        ConfigurationError: the file cannot be read or holds nothing, or both are set.
    """
    secret, path = os.environ.get(KEY, ""), os.environ.get(KEY_FILE, "")
    if not path:
        return secret
    if secret:
        raise ConfigurationError(f"{KEY} and {KEY_FILE} are both set: keep one")
    try:
        secret = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{KEY_FILE} cannot be read: {error}") from error
    if not secret:
        raise ConfigurationError(f"{KEY_FILE} names a file without a secret: {path}")
    return secret


def key_from_environment() -> Key | None:
    """Return the operator's key; None where there is none.

    Raises:
        ConfigurationError: it is too short, or its file cannot be read.
    """
    secret = secret_from_environment()
    try:
        return Key(secret) if secret else None
    except ValueError as error:
        raise ConfigurationError(f"{KEY}: {error}") from error


class Suppressed:
    """Gives what is suppressed in a target; it travels to workers.

    With it goes the key that was set where it was made; or, of a secret in Secret Manager, only its name: each
    process of a worker then reads the value itself, when something is suppressed for the first time.
    """

    def __init__(
        self,
        where: Target,
        secret: str | None = None,
        *,
        reference: str | None = None,
        patience: float = FIRST_PATIENCE_SECONDS,
    ) -> None:
        """Take the name of a secret; else a key; else that of the environment.

        A process that has never read what is suppressed tries so many seconds of `patience`.

        Raises:
            ConfigurationError: the key is too short, its file cannot be read, or the name is none.
        """
        self._where = where
        self._reference = reference and checked(reference)
        self._patience = patience
        self._secret = "" if reference else secret_from_environment() if secret is None else secret
        if self._secret:
            _key(self._secret)

    def current(self) -> Suppression | None:
        """Return what is suppressed by now, as known for half a minute at most; None where nothing is.

        Raises:
            ConfigurationError: something is, and the key is missing, or another, or cannot be read.
            GoogleAPICallError, OSError: this process has never known what is, and cannot read it.
        """
        known_by = (self._where, self._reference or self._secret)
        with _lock:
            if known_by not in _known:
                _known[known_by] = (time.monotonic(), self._first())
            at, known = _known[known_by]
            if time.monotonic() - at < LOOKS_AGAIN_SECONDS:
                return known
            try:
                known = self.read()
            except (GoogleAPICallError, OSError):
                # BigQuery is away, and takes no rows either; `verify` finds what may come back of this moment.
                _log.warning("what is suppressed cannot be read; what was known holds", exc_info=True)
            _known[known_by] = (time.monotonic(), known)
            return known

    def _first(self) -> Suppression | None:
        """Read for the first time: who does not know stores nothing, rather than what was erased.

        Tables are read by another service than takes rows, and by another permission: one may be there without the
        other, and each worker that is added begins here.
        """
        began = time.monotonic()
        for attempt in itertools.count():
            try:
                return self.read()
            except (GoogleAPICallError, OSError) as error:
                if time.monotonic() - began >= self._patience or _given_up.wait(_FIRST_PAUSE_SECONDS):
                    raise
                if attempt % _TOLD_EACH == 0:
                    table = self._where.table(TABLE)
                    _log.warning("nothing is stored until the table %s can be read: %s", table, error)
        raise AssertionError

    def read(self) -> Suppression | None:
        """Return what is suppressed as the table has it now, as `current` does."""
        with client(self._where) as warehouse:
            valid = _valid(warehouse, self._where)
        # A secret is asked for only where something is suppressed: before the first erasure there is none.
        key = self._key() if valid or self._secret else None
        if others := {row["key_id"] for row in valid} - {key and key.id}:
            raise ConfigurationError(
                f"people were erased with a key that is not set here ({', '.join(sorted(others))}): set {KEY}, or "
                "their rows would come back"
            )
        if key is None or not valid:
            return None
        return Suppression(key, [Entry(row["kind"], row["hash"], row["until"]) for row in valid])

    def _key(self) -> Key | None:
        if self._reference is None:
            return _key(self._secret) if self._secret else None
        if self._reference not in _read:
            _read[self._reference] = _key(read(self._reference))
        return _read[self._reference]


def _key(secret: str) -> Key:
    try:
        return Key(secret)
    except ValueError as error:
        raise ConfigurationError(f"{KEY}: {error}") from error


def give_up() -> None:
    """Let nobody of this process wait for what is suppressed any more."""
    _given_up.set()


def forget_known() -> None:
    """Let the next question be answered by the table."""
    with _lock:
        _known.clear()


def _valid(warehouse: bigquery.Client, where: Target) -> list[bigquery.Row]:
    try:
        # Listed, not queried: that costs nothing, however often it is done.
        found = list(warehouse.list_rows(where.table(TABLE), retry=None, timeout=_TIMEOUT_SECONDS))
    except NotFound:
        # Of an earlier version, until its next `parley tables deploy`.
        return []
    now = dt.datetime.now(dt.UTC)
    return [row for row in found if row["expires_at"] > now]
