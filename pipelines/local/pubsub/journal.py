"""Topics, subscriptions and unacknowledged messages on disk."""

import queue
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, topic BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (name TEXT PRIMARY KEY, subscription BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS backlog
    (entry INTEGER PRIMARY KEY, subscription TEXT NOT NULL, message BLOB NOT NULL);
"""
_GROUP = 200

Statement = tuple[str, Iterable[Sequence[Any]]]


class Journal:
    """SQLite in WAL mode with one writer thread that commits whatever waits as one transaction.

    A commit survives the death of this process (also kill -9), not that of the machine: it is not
    fsync'd, since Pub/Sub's own durability is not what runs on a laptop.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make the journal in `folder`.

        Raises:
            OSError: the folder cannot be used, or another server uses it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(
            folder / "pubsub.sqlite3", isolation_level=None, check_same_thread=False, timeout=1
        )
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._database.close()
            raise OSError(f"Cannot keep messages in {folder}: {error}.") from error
        self._waiting: queue.SimpleQueue[tuple[list[Statement], Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="pubsub-journal", daemon=True)
        self._writer.start()

    def read(self, sql: str, *parameters: str) -> list[Any]:
        """Answer a query; only before the first write."""
        return self._database.execute(sql, parameters).fetchall()

    def write(self, *statements: Statement) -> Future[None]:
        """Queue statements (SQL, rows), to be committed together and in the order of the calls."""
        done: Future[None] = Future()
        self._waiting.put((list(statements), done))
        return done

    def close(self) -> None:
        """Commit what waits and close the files."""
        self._waiting.put(None)
        self._writer.join()
        self._database.close()

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            group = [item]
            while len(group) < _GROUP and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                group.append(following)
            self._commit(group)

    def _commit(self, group: list[tuple[list[Statement], Future[None]]]) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for statements, _ in group:
                for sql, rows in statements:
                    self._database.executemany(sql, rows)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            for _, done in group:
                done.set_exception(error)
        else:
            for _, done in group:
                done.set_result(None)
