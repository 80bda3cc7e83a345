"""Which groups of segments a batch run has finished, for a run that goes on where another was killed.

What finished is noted beside its files. A group of which anything has changed since (a segment that was still open
has grown, or another came between) is not the group that finished.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import damages_folder, damages_name
from pipelines.io.archive_segments import Group
from pipelines.io.write_parquet import name_start


class Finished(msgspec.Struct, frozen=True):
    """Groups whose files are whole, and what was counted in them."""

    groups: tuple[Group, ...]
    events: int
    damages: int


def note(output: str, finished: Finished) -> None:
    """Note beside the files in a folder that they are all of some groups."""
    named = "\n".join(group.origin for group in finished.groups)
    name = hashlib.sha256(named.encode()).hexdigest()[:32]
    with FileSystems.create(f"{_folder(output)}/{name}.json") as file:
        file.write(msgspec.json.encode(finished))


def pick_up(output: str, groups: Iterable[Group]) -> list[Finished]:
    """Return what of some groups is finished in a folder, and delete the files there of all others."""
    wanted = frozenset(groups)
    found = [one for one in _noted(output) if wanted.issuperset(one.groups)]
    done = [group for one in found for group in one.groups]
    _keep(output, done)
    return found


def _noted(output: str) -> Iterable[Finished]:
    for entry in _files(_folder(output)):
        with FileSystems.open(entry.path) as file:
            try:
                yield msgspec.json.decode(file.read(), type=Finished)
            except msgspec.DecodeError:
                # Killed while it was written.
                continue


def _keep(output: str, groups: Sequence[Group]) -> None:
    starts = {name_start(group.origin) for group in groups}
    damaged = {damages_name(segment) for group in groups for segment in group.segments}
    others = [
        entry.path
        for table in TABLES
        for entry in _files(f"{output.rstrip('/')}/{table}")
        if not _name(entry).startswith(tuple(starts))
    ]
    others += [entry.path for entry in _files(damages_folder(output)) if _name(entry) not in damaged]
    if others:
        FileSystems.delete(others)


def _files(folder: str) -> list[FileMetadata]:
    return list(FileSystems.match([f"{folder}/*"])[0].metadata_list)


def _name(entry: FileMetadata) -> str:
    return str(entry.path).rpartition("/")[2]


def _folder(output: str) -> str:
    return f"{output.rstrip('/')}/finished"
