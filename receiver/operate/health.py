"""Dockerflow's three endpoints, for load balancers and operators.

https://github.com/mozilla-services/Dockerflow#containerized-app-requirements
"""

import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask, Response, jsonify

from receiver.config import MIB, Config
from receiver.durable import spool
from receiver.durable.committer import Committers
from receiver.durable.refused import root_of
from receiver.durable.segments import make_folder
from receiver.event_loop import in_thread

MIN_FREE_BYTES: Final = 16 * MIB
MAX_SPOOL_AGE_SECONDS: Final = 60.0
MAX_UPLOAD_AGE_SECONDS: Final = 900.0
DAMAGE_SECONDS: Final = 30.0
MAX_NAMES: Final = 20
PROBE_BYTES: Final = 4096

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"
_WORST: Final = (OK, WARNING, ERROR)


class Check(msgspec.Struct, frozen=True):
    """One answer: an error means that events cannot be accepted, a warning that they pile up."""

    status: str
    details: dict[str, Any]


def init_app(app: Flask, config: Config, committers: Committers) -> None:
    """Let an app answer `/__heartbeat__`, `/__lbheartbeat__` and `/__version__`."""

    @app.get("/__heartbeat__")
    def heartbeat() -> tuple[Response, int]:
        """Report how all that a request depends on is doing; 500 when events cannot be accepted."""
        checks = in_thread(lambda: {name: check() for name, check in _checks(config, committers)})
        status = max((check.status for check in checks.values()), key=_WORST.index)
        body = {"status": status, "checks": {k: msgspec.to_builtins(c) for k, c in checks.items()}}
        return jsonify(body), 500 if status == ERROR else 200

    @app.get("/__lbheartbeat__")
    def lbheartbeat() -> Response:
        """Report that the process answers, and nothing more."""
        return Response(status=200, content_type="text/plain")

    @app.get("/__version__")
    def about() -> Response:
        """Report which code runs, as its build has noted it in `PARLEY_COMMIT` and `PARLEY_BUILD`."""
        return jsonify(
            name="parley",
            version=version("parley"),
            commit=os.environ.get("PARLEY_COMMIT", ""),
            build=os.environ.get("PARLEY_BUILD", ""),
        )


def _checks(config: Config, committers: Committers) -> Iterator[tuple[str, Callable[[], Check]]]:
    yield "disk", lambda: check_disk(config.data_dir)
    if config.archive_root is not None:
        root = config.archive_root
        yield "archive", lambda: check_disk(root)
    yield "pubsub", lambda: check_pubsub(committers.directness())
    yield "spool", lambda: check_waiting(config.spool_root, MAX_SPOOL_AGE_SECONDS)
    yield "refused", lambda: check_refused(root_of(config.spool_root))
    kept = [root for root in (config.spool_root, config.archive_root) if root is not None]
    yield "segments", lambda: check_segments(kept, committers.recovering)
    if config.upload_root is not None:
        waiting = config.upload_root
        # Until it is closed, a segment does not wait to be uploaded.
        yield "upload", lambda: check_waiting(waiting, config.segment_seconds + MAX_UPLOAD_AGE_SECONDS)


def check_disk(folder: Path) -> Check:
    """Write and sync a small file, which is the only proof that the next event can be kept."""
    try:
        make_folder(folder)
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return Check(ERROR, {"error": error.strerror or type(error).__name__})
    return Check(OK if free >= MIN_FREE_BYTES else ERROR, {"free_bytes": free})


def check_pubsub(directness: dict[str, bool]) -> Check:
    """Report which sources' events go through the spool because Pub/Sub fails or is slow."""
    ways = {source: "direct" if direct else "spool" for source, direct in directness.items()}
    return Check(OK if all(directness.values()) else WARNING, ways)


def check_segments(roots: Sequence[Path], recovering: bool) -> Check:
    """Report segments that were set aside as damaged, and whether some could not be taken over."""
    names = [name for root in roots for name in _damaged(root, int(time.monotonic() / DAMAGE_SECONDS))]
    details = {"damaged": len(names), "names": names[:MAX_NAMES], "not_taken_over": recovering}
    return Check(WARNING if names or recovering else OK, details)


@functools.lru_cache(maxsize=4)
def _damaged(root: Path, _: int) -> list[str]:
    """Look through a folder, which may be large, once in a while."""
    return spool.damaged(root)


def check_refused(folder: Path) -> Check:
    """Tell how many events Pub/Sub has refused for good: somebody should look at them."""
    waiting = spool.measure(folder)
    return Check(WARNING if waiting.events else OK, {"events": waiting.events})


def check_waiting(folder: Path, max_age_seconds: float) -> Check:
    """Measure what waits in a folder of segments; too old a segment is a warning."""
    waiting = spool.measure(folder)
    late = waiting.events > 0 and waiting.oldest_seconds > max_age_seconds
    return Check(WARNING if late else OK, msgspec.to_builtins(waiting))


def gauges(config: Config) -> Iterator[tuple[str, str, str, float]]:
    """Yield the depths and ages that `receiver.metrics` shows, as name, description, source, value."""
    for source in spool.sources(config.spool_root):
        waiting = spool.measure(spool.folder(config.spool_root, source))
        yield "parley_receiver_spool_events", "Events in the spool.", source, waiting.events
        age = waiting.oldest_seconds
        yield "parley_receiver_spool_oldest_seconds", "Age of the oldest of them.", source, age
    for source in spool.sources(root_of(config.spool_root)):
        aside = spool.measure(spool.folder(root_of(config.spool_root), source))
        yield "parley_receiver_refused_events", "Events set aside and not sent again.", source, aside.events
    if config.upload_root is not None:
        for source in spool.sources(config.upload_root):
            waiting = spool.measure(spool.folder(config.upload_root, source))
            yield "parley_receiver_upload_events", "Events not uploaded yet.", source, waiting.events
            late = max(0.0, waiting.oldest_seconds - config.segment_seconds)
            what = "How long ago the segment of the oldest of them was to be closed."
            yield "parley_receiver_upload_oldest_seconds", what, source, late
