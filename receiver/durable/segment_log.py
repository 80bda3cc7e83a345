"""A log of segments: appends groups of events, and closes segments by size, age and folder."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from receiver.durable.segments import LostNameError, Seal, Segment
from schemas import archive_layout
from schemas.raw_event import RawEvent


class SegmentLog:
    """The segments that one process writes for one source, one per folder at a time."""

    def __init__(
        self,
        folder_of: Callable[[RawEvent], Path],
        max_bytes: int,
        max_seconds: float,
        new_seal: Callable[[], Seal] | None = None,
    ) -> None:
        """Take each event's folder, when a segment is full, and what makes a seal for each, if sealed."""
        self._new_seal = new_seal
        self._folder_of = folder_of
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._open: dict[Path, Segment] = {}
        self._latest = Path()
        self._undo: list[tuple[Segment, int, int]] = []

    def append(self, events: Sequence[RawEvent]) -> None:
        """Make events durable, all or none.

        Raises:
            OSError: none of them is; the next call starts with a new segment.
        """
        self._undo.clear()
        groups: dict[Path, list[RawEvent]] = defaultdict(list)
        for event in events:
            groups[self._folder_of(event)].append(event)
        try:
            for folder, group in groups.items():
                segment = self._open.get(folder) or self._new(folder)
                self._open[folder] = segment
                self._latest = folder
                self._undo.append((segment, segment.size, segment.events))
                segment.append(group)
        except LostNameError:
            # Its open file is all that is left of what was acknowledged: to close it would lose that.
            self.undo()
            raise
        except OSError:
            self.undo()
            self.close()
            raise

    def _new(self, folder: Path) -> Segment:
        # The file first: while it cannot be made, each group that is tried would leave a key behind.
        segment = Segment(folder)
        if self._new_seal is not None:
            try:
                segment.seal = self._new_seal()
            except OSError:
                segment.close()
                raise
        return segment

    def undo(self) -> None:
        """Take back the last append, whose events were not confirmed to anyone."""
        for segment, size, count in self._undo:
            segment.undo(size, count)
        self._undo.clear()

    def rotate(self) -> None:
        """Close the segments that are big or old enough, and those of an hour before that of the last events.

        Not those of a later one: where a clock was set back, each group would have a segment of its own.
        """
        for folder, segment in list(self._open.items()):
            age = time.monotonic() - segment.created
            full = segment.size >= self._max_bytes or age >= self._max_seconds
            if full or folder < self._latest:
                self._close(folder)

    def close(self) -> None:
        """Close all segments."""
        for folder in list(self._open):
            self._close(folder)

    def _close(self, folder: Path) -> None:
        segment = self._open.pop(folder)
        try:
            segment.close()
        except LostNameError:
            self._open[folder] = segment
        except OSError:
            # Its events are durable all the same: it stays for `recover`.
            pass


def archive_log(
    root: Path, source: str, max_bytes: int, max_seconds: float, new_seal: Callable[[], Seal] | None = None
) -> SegmentLog:
    """Return a log laid out as the archive is: folders by source, day and hour of `received_at`."""
    folders: dict[str, Path] = {}

    def folder_of(event: RawEvent) -> Path:
        hour = event.attributes["received_at"][:13]
        if hour not in folders:
            folders.clear()
            folders[hour] = root / archive_layout.folder(source, event.received_at)
        return folders[hour]

    return SegmentLog(folder_of, max_bytes, max_seconds, new_seal)
