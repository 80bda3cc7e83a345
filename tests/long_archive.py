"""An archive of 10⁹ events that has names only, and which partitions of as long a warehouse a query reads."""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import FileMetadata

from pipelines.bigquery.target import Target
from pipelines.io import archive_listing
from schemas import loader
from schemas.scans import scans

DAY = dt.timedelta(days=1)
SOURCES = ("airy", "chatplugin", "facebook", "google", "twilio", "whatsapp")
SEGMENTS_A_DAY = 24
SEGMENT_BYTES, SEGMENT_EVENTS = 3_600_000, 6_313
YEARS = 3 * 365
MOST_DAYS = 20
"""Partitions that settling a day may read: events wait for a week at most, and tell of a week before that."""
WHOLE = {
    "aliases": "who is one person",
    "resolved_contacts": "who was said to be one person",
}
"""What is read of all partitions, a few columns without content, and what for."""

_TARGET = re.compile(r"^\s*(?:CREATE TABLE `[^`]*` AS|INSERT INTO `[^`]*` \([^)]*\))")
_OF_A_RUN = re.compile(r"`[^`]*parley_(?:run|reconcile)_[0-9a-f]+\.(\w+)`")


class Archive:
    """Names of an archive of as many days before a real one, and what was listed of them."""

    def __init__(self, root: Path, first: dt.datetime, days: int) -> None:
        self.events = days * len(SOURCES) * SEGMENTS_A_DAY * SEGMENT_EVENTS
        self.listed: list[str] = []
        """Days that were listed, each as often as that was done."""
        self.requests = 0
        self.segments = 0
        """How many files were named."""
        self._root = str(root)
        self._days = [(first - n * DAY).date().isoformat() for n in range(1, days + 1)]
        self._level, self._everything = archive_listing._level, archive_listing._everything

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what is listed."""
        monkeypatch.setattr(archive_listing, "_level", self.level)
        monkeypatch.setattr(archive_listing, "_everything", self.everything)

    def level(self, folder: str) -> archive_listing._Level:
        """Return the folders of the real archive, and those that only have names."""
        self.requests += 1
        found = self._level(folder)
        self.segments += len(found.files)
        if folder == self._root:
            known = {*found.folders, *(f"{folder}/source={source}" for source in SOURCES)}
            return archive_listing._Level(sorted(known), found.files)
        days = (f"{folder}/date={day}" for day in self._days)
        return archive_listing._Level([*found.folders, *days], found.files)

    def everything(self, folder: str) -> list[FileMetadata]:
        """Return what lies in a folder: of a day that only has a name, a segment for each hour."""
        self.requests += 1
        day = folder.rpartition("date=")[2]
        found = self._everything(folder) if day not in self._days else list(self._named(folder))
        self.listed.append(day)
        self.segments += len(found)
        return found

    def _named(self, folder: str) -> Iterator[FileMetadata]:
        for hour in range(SEGMENTS_A_DAY):
            yield FileMetadata(f"{folder}/hour={hour:02}/host-1-0-0.avro", SEGMENT_BYTES)


def days_read(sql: str, given: Mapping[str, Any], where: Target, day: dt.date) -> dict[str, int]:
    """Return how many days' partitions a query that is about a day, with its parameters, reads of each table.

    Tables of a run, or of a comparison, hold what is in its range: one day stands for them.
    """
    sql = sql.replace(f"`{where.project}.", "`")
    sql = sql.replace(f"`{where.rows_dataset}.", "`rows.")
    sql = sql.replace(f"`{where.views_dataset}.", "`views.")
    sql = _TARGET.sub("", sql)
    if "`rows." not in sql and "`views." not in sql:
        return {}
    days = frozenset(day - n * DAY for n in range(-3, YEARS))
    read: dict[str, int] = {}
    for scan in scans(_OF_A_RUN.sub(lambda found: _of_a_day(found[1], day), sql), given, days):
        if scan.days is not None:
            read[scan.table] = max(len(scan.days), read.get(scan.table, 0))
    return read


def _of_a_day(name: str, day: dt.date) -> str:
    table = name if name in loader.tables() else "events"
    column = loader.partition(table)
    kind = "TIMESTAMP" if column == "received_at" else "DATE"
    return f"(SELECT * FROM rows.{table} WHERE {column} >= {kind} '{day}' AND {column} < {kind} '{day + DAY}')"
