"""Small objects, each made once: in a folder, or in a bucket of Cloud Storage.

Whoever makes an object first has made it, among any number of processes and hosts: that is what keeps a reply
from being sent twice.
"""

import contextlib
import itertools
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

_BUCKET: Final = "gs://"
_PARTS: Final = "parts"
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,199}/)*[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_TIMEOUT_SECONDS: Final = 20.0
_ATTEMPTS: Final = 20
_numbers = itertools.count()


class Store(Protocol):
    """Objects by name; each method raises OSError, or what the bucket's client raises, where it cannot tell."""

    def create(self, name: str, data: bytes) -> bool:
        """Make an object, and return when it is durable; False where another has made it."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None where there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix that ends in `/`, sorted, without the prefix."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, where it is there."""
        ...


def open_store(root: str, *, retries: bool = True) -> Store:
    """Return the store of a folder, or of `gs://bucket/prefix`, whose client may try again by itself."""
    return BucketStore(root, retries=retries) if root.startswith(_BUCKET) else FolderStore(Path(root))


class FolderStore:
    """Objects as files, made whole by a link: a process that dies leaves an object, or none."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, name: str, data: bytes) -> bool:
        """Make an object, and return when it is durable; False where another has made it.

        Raises:
            OSError: it could not be made durable; it may be there all the same.
        """
        path = self._path(name)
        if path.exists():
            # Whoever made it may have died before its name was durable.
            _sync_if_there(path.parent)
            return False
        parts = self._root / _PARTS
        _make_folders(parts)
        part = parts / f"{os.getpid()}-{threading.get_ident()}-{next(_numbers)}"
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            made = _link_in_its_folder(part, path)
        finally:
            part.unlink(missing_ok=True)
        _sync_if_there(path.parent)
        return made

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None where there is none."""
        try:
            return self._path(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix that ends in `/`, sorted, without the prefix."""
        start = self._path(prefix.rstrip("/"))
        return sorted(_files(start, ""))

    def remove(self, name: str) -> None:
        """Remove an object, and its folder where that is empty then."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def _path(self, name: str) -> Path:
        return self._root / _checked(name)


class BucketStore:
    """Objects of Cloud Storage, made on the condition that there is none yet."""

    def __init__(self, root: str, client: Any = None, *, retries: bool = True) -> None:
        """Take `gs://bucket/prefix`, and a client where it is not to be made here.

        Without `retries` what fails is told at once, for whoever tries again anyway and must not be kept.
        """
        self._retry: dict[str, Any] = {} if retries else {"retry": None}
        bucket, _, prefix = root.removeprefix(_BUCKET).partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._bucket_name = bucket
        self._made: Any = client

    def create(self, name: str, data: bytes) -> bool:
        """Make an object, and return when it is durable; False where another has made it."""
        from google.api_core.exceptions import Forbidden, PreconditionFailed  # noqa: PLC0415

        blob = self._blob(name)
        try:
            blob.upload_from_string(
                data, if_generation_match=0, checksum="crc32c", timeout=_TIMEOUT_SECONDS, **self._retry
            )
        except PreconditionFailed:
            # The client tries again by itself: it may be ours, of an attempt whose answer was lost.
            return self.read(name) == data
        except Forbidden:
            # What is there may only be written again by who may delete it, and none but erasers may. Which of its
            # two reasons Cloud Storage tells then, it does not promise.
            # https://cloud.google.com/storage/docs/access-control/iam-json (objects.insert)
            there = self.read(name)
            if there is None:
                raise
            return there == data
        return True

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None where there is none."""
        from google.api_core.exceptions import Forbidden, NotFound  # noqa: PLC0415

        blob = self._blob(name)
        try:
            data: bytes = blob.download_as_bytes(timeout=_TIMEOUT_SECONDS, **self._retry)
        except NotFound:
            return None
        except Forbidden:
            if self._is_listed(name):
                raise
            return None
        return data

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix that ends in `/`, sorted, without the prefix."""
        start = f"{self._prefix}{_checked(prefix.rstrip('/'))}/"
        blobs = self._client.list_blobs(
            self._bucket_name, prefix=start, fields="items(name),nextPageToken", timeout=_TIMEOUT_SECONDS
        )
        return sorted(blob.name.removeprefix(start) for blob in blobs)

    def remove(self, name: str) -> None:
        """Remove an object, where it is there."""
        from google.api_core.exceptions import Forbidden, NotFound  # noqa: PLC0415

        try:
            self._blob(name).delete(timeout=_TIMEOUT_SECONDS)
        except NotFound:
            pass
        except Forbidden:
            if self._is_listed(name):
                raise

    def _is_listed(self, name: str) -> bool:
        """Return whether an object is there, by its name.

        Cloud Storage answers 403, and not 404, where there is none and the account may not list all names: "denied
        on resource (or it may not exist)". The accounts of an installation list some, and so find out.
        """
        wanted = self._prefix + _checked(name)
        # In order: what begins with a name comes after it.
        blobs = self._client.list_blobs(
            self._bucket_name,
            prefix=wanted,
            max_results=1,
            fields="items(name),nextPageToken",
            timeout=_TIMEOUT_SECONDS,
            **self._retry,
        )
        return any(blob.name == wanted for blob in blobs)

    @property
    def _client(self) -> Any:
        if self._made is None:
            # Half a second, and credentials, that only who uses a bucket should need, and not before a fork.
            from google.cloud import storage  # noqa: PLC0415

            self._made = storage.Client()
        return self._made

    def _blob(self, name: str) -> Any:
        return self._client.bucket(self._bucket_name).blob(self._prefix + _checked(name))


def _checked(name: str) -> str:
    """Return a name that leads nowhere else.

    Raises:
        ValueError: it may.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"no name of an object: {name[:80]!r}")
    return name


def _link(part: Path, path: Path) -> bool:
    """Give a file its name; False where that is taken."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return False
    return True


def _link_in_its_folder(part: Path, path: Path) -> bool:
    """Give a file its name in a folder that goes with the last object in it, at any moment."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            _make_folders(path.parent)
            return _link(part, path)
        except FileNotFoundError:
            if not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _files(folder: Path, prefix: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name


def _make_folders(folder: Path) -> None:
    """Make a folder durably, with those above it."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _sync(each.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sync_if_there(folder: Path) -> None:
    """Make what is in a folder durable; where it is gone, so is all that was in it, as somebody else wanted."""
    with contextlib.suppress(FileNotFoundError):
        _sync(folder)
