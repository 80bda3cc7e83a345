"""Lists an archive folder by folder, so that a range costs the names of its days and not those of the archive."""

import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from schemas.archive_layout import REPLIES

_BUCKET = "gs://"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_SOURCE_FOLDER = re.compile(r"/source=[^/]+$")


class _Level(NamedTuple):
    folders: list[str]
    files: list[FileMetadata]


def list_files(root: str, may_hold: Callable[[str], bool]) -> Iterator[FileMetadata]:
    """Yield the files under an archive's root that `may_hold` lets through, in no order.

    It is asked for folders too, and what lies in one that it refuses is not listed: of an archive of ten
    years, a day costs one listing of the root, one of each source's days, and one of that day. Files outside
    the folders of `schemas.archive_layout`, such as Pub/Sub's own exports, are found wherever they lie.

    Args:
        root: a folder, `gs://bucket/prefix`, or what else Beam can list; others than the first two are
            listed whole.
        may_hold: says by a path whether a file, or a folder, may have what is wanted.

    Raises:
        apache_beam.io.filesystem.BeamIOError: it cannot be listed.
    """
    root = root.rstrip("/")
    if _SCHEME.match(root) and not root.startswith(_BUCKET):
        yield from filter(lambda file: may_hold(file.path), _everything(root))
        return
    level = _level(root)
    yield from (file for file in level.files if may_hold(file.path))
    for folder in filter(may_hold, level.folders):
        if folder.endswith(f"/{REPLIES}"):
            # Registers: many small objects, none of them an event.
            continue
        if _SOURCE_FOLDER.search(folder):
            days = _level(folder)
            yield from (file for file in days.files if may_hold(file.path))
            below = [day for day in days.folders if may_hold(day)]
        else:
            below = [folder]
        for each in below:
            yield from (file for file in _everything(each) if may_hold(file.path))


def is_there(root: str) -> bool:
    """Return whether there is an archive: a folder, or in a bucket, which has no folders, anything below its root.

    Raises:
        apache_beam.io.filesystem.BeamIOError: it cannot be looked for.
    """
    root = root.rstrip("/")
    if not root.startswith(_BUCKET):
        return bool(FileSystems.exists(root))
    level = _level_of_bucket(root)
    return bool(level.files or level.folders)


def _everything(folder: str) -> list[FileMetadata]:
    found: list[FileMetadata] = FileSystems.match([f"{folder}/**"])[0].metadata_list
    return found


def _level(folder: str) -> _Level:
    return _level_of_bucket(folder) if folder.startswith(_BUCKET) else _level_of_disk(folder)


def _level_of_disk(folder: str) -> _Level:
    found = _Level([], [])
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return found
    for entry in entries:
        if entry.is_dir():
            found.folders.append(entry.path)
        else:
            try:
                status = entry.stat()
            except FileNotFoundError:
                # Closed by the receiver, which renames it, since the folder was listed: seen by its new name.
                continue
            found.files.append(FileMetadata(entry.path, status.st_size, status.st_mtime))
    return found


def _level_of_bucket(folder: str) -> _Level:
    """List one level by a delimiter, which Beam's own matching does not know.

    https://cloud.google.com/storage/docs/listing-objects#listing-objects-with-delimiter
    """
    # Only where a bucket is listed: the Google client takes a second to import.
    from apache_beam.io.gcp.gcsio import GcsIO  # noqa: PLC0415
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    bucket, _, prefix = folder.removeprefix(_BUCKET).partition("/")
    prefix = f"{prefix}/" if prefix else ""
    blobs = GcsIO().client.list_blobs(
        bucket, prefix=prefix, delimiter="/", fields="items(name,size),prefixes,nextPageToken"
    )
    try:
        files = [FileMetadata(f"{_BUCKET}{bucket}/{blob.name}", blob.size or 0) for blob in blobs]
    except NotFound:
        # No such bucket: like a folder that is not there.
        return _Level([], [])
    return _Level([f"{_BUCKET}{bucket}/{name.rstrip('/')}" for name in blobs.prefixes], files)
