"""Where raw events lie in an archive: folders by source, day and hour, so that a range is a prefix."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".avro"
OPEN_SUFFIX = ".open"
REPLIES = "replies"
"""A folder beside those of the sources: the registers of replies, which hold no events."""


def folder(source: str, received_at: dt.datetime) -> str:
    """Return the folder, relative to the archive's root, of events of a source and an hour."""
    moment = received_at.astimezone(dt.UTC)
    return f"source={source}/date={moment:%Y-%m-%d}/hour={moment:%H}"


def hours(start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    """Yield the start of every UTC hour that holds a moment of [start, end)."""
    hour = start.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    while hour < end:
        yield hour
        hour += dt.timedelta(hours=1)


def files_on_disk(root: Path, *endings: str) -> list[Path]:
    """Return the files under a folder, sorted, whose names end so; whoever uploads removes folders meanwhile.

    `Path.rglob` of Python 3.11 fails where a folder is gone that it has just listed.

    Raises:
        OSError: a folder that is there cannot be read, and not for want of permission.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
            raise error

    found = (Path(folder, name) for folder, _, names in os.walk(root, onerror=refuse) for name in names)
    return sorted(path for path in found if path.name.endswith(endings or ""))
