"""How far a batch pipeline is in the archive."""

from pathlib import PurePosixPath

from apache_beam.io.filesystems import FileSystems

from pipelines.archive import Selection, find_segments, origin
from pipelines.write_parquet import SUFFIX, file_name


class ArchiveProgress:
    """Knows the size of every selected segment, and sees by the files that it made which are done.

    Raises:
        FileNotFoundError: there is no archive.
    """

    def __init__(self, archive: str, selection: Selection, output: str) -> None:
        segments = find_segments(archive, selection)
        found = FileSystems.match(segments) if segments else []
        self._sizes = {
            file_name(origin(entry.path), 0): entry.size_in_bytes
            for match in found
            for entry in match.metadata_list
        }
        self._made = f"{output.rstrip('/')}/events/*{SUFFIX}"
        self.total = sum(self._sizes.values())
        """Bytes of all selected segments."""

    def done(self) -> int:
        """Return how many bytes of them rows have been made of."""
        written = FileSystems.match([self._made])[0].metadata_list
        return sum(self._sizes.get(PurePosixPath(entry.path).name, 0) for entry in written)
