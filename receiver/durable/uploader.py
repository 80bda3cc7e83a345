"""Moves closed archive segments to a bucket, in the background.

An object is only ever created, never replaced, and the local segment is removed only when the
bucket has confirmed the checksum of what it holds.
"""

import base64
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import google_crc32c

from receiver import metrics
from receiver.durable.segments import lock
from schemas.archive_layout import SUFFIX, files_on_disk

IDLE_SECONDS: Final = 1.0
LAST_BACKOFF_SECONDS: Final = 60.0
TIMEOUT_SECONDS: Final = 60.0
CHUNK_BYTES: Final = 1024 * 1024

_log = logging.getLogger(__name__)


class UploadError(Exception):
    """The bucket holds something else under a segment's name."""


class Uploader:
    """Uploads what is closed under a folder, by a thread of its own.

    Processes that share the folder share the work: each segment is locked while it is uploaded.
    """

    def __init__(self, root: Path, target: str, first: Callable[[BinaryIO], None] = lambda file: None) -> None:
        """Take the local folder, `gs://bucket/prefix`, and what has to be done before a segment goes there."""
        self._first = first
        self._root = root
        bucket, _, prefix = target.removeprefix("gs://").partition("/")
        self._bucket_name = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client: Any = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def start(self) -> None:
        """Start to upload in the background."""
        self._thread.start()

    def close(self) -> None:
        """Upload what is closed by now, once, and stop."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def upload(self) -> bool:
        """Upload what is closed, oldest first; False where some of it has to be tried again."""
        try:
            paths = files_on_disk(self._root, SUFFIX)
        except OSError as error:
            # The thread must live on, to look again.
            _tell(error)
            return False
        done = True
        for path in paths:
            try:
                self._move(path)
            except Exception as error:
                # Whatever it is, from a refused connection to missing credentials: it stays here.
                _tell(error)
                done = False
        return done

    def _run(self) -> None:
        wait = IDLE_SECONDS
        while not self._stop.wait(wait):
            wait = IDLE_SECONDS if self.upload() else min(2 * wait, LAST_BACKOFF_SECONDS)
        self.upload()

    def _move(self, path: Path) -> None:
        with lock(path) as file:
            if file is None:
                return
            self._first(file)
            self._create(self._prefix + path.relative_to(self._root).as_posix(), file)
            path.unlink()
            metrics.UPLOADED.inc()
        with suppress(OSError):
            for folder in path.relative_to(self._root).parents[:-1]:
                (self._root / folder).rmdir()

    def _create(self, name: str, file: BinaryIO) -> None:
        """Return when the bucket holds the file's bytes under a name.

        Raises:
            Exception: it does not, or cannot be asked.
        """
        from google.api_core.exceptions import Forbidden, PreconditionFailed  # noqa: PLC0415 - see `_bucket`

        checksum, size = _checksum(file)
        blob = self._bucket().blob(name)
        refusal: Forbidden | None = None
        # It is there already where an earlier upload got through, but its answer did not.
        try:
            file.seek(0)
            blob.upload_from_file(
                file,
                size=size,
                content_type="application/avro",
                if_generation_match=0,
                checksum="crc32c",
                timeout=TIMEOUT_SECONDS,
                retry=None,
            )
        except PreconditionFailed:
            pass
        except Forbidden as error:
            # So Cloud Storage may say it as well, to who may add objects and delete none.
            # https://cloud.google.com/storage/docs/access-control/iam-json (objects.insert)
            refusal = error
        try:
            blob.reload(timeout=TIMEOUT_SECONDS, retry=None)
        except Exception:
            # Then it is not there, and this is why.
            if refusal is not None:
                raise refusal from None
            raise
        if (blob.crc32c, blob.size) != (checksum, size):
            raise UploadError(f"{name} has checksum {blob.crc32c} and not {checksum}")

    def _bucket(self) -> Any:
        if self._client is None:
            # Half a second that only a receiver with a bucket should spend, and not at its start.
            from google.cloud import storage  # noqa: PLC0415

            self._client = storage.Client()
        return self._client.bucket(self._bucket_name)


def _tell(error: Exception) -> None:
    _log.warning("segment not uploaded: %s: %s", type(error).__name__, error)
    metrics.UPLOAD_FAILURES.inc()


def _checksum(file: BinaryIO) -> tuple[str, int]:
    """Return a file's CRC32C as Cloud Storage writes it, and its size."""
    checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode(), file.tell()
