"""Serves the app with granian: worker processes, each with an event loop (see `receiver.web.gateway`)."""

import asyncio
import ctypes
import logging.config
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
from multiprocessing import util
from typing import TYPE_CHECKING, Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from receiver.config import Config, ConfigError
from receiver.operate import logs
from receiver.web.connections import Connections
from receiver.web.gateway import MAX_HEADER_BYTES, Gateway
from receiver.web.limits import by_path
from receiver.web.streams import before_signals

if TYPE_CHECKING:
    from flask import Flask

_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 128 * 1024
_OTHER_DESCRIPTORS: Final = 256
"""Files that are open beside connections: segments, spools, and those of the clients of Google."""
_BACKLOG: Final = 4096
"""Connections that may wait to be taken, if the system allows it: one too many comes again after a second."""
_HEADROOM: Final = 2
"""How many times as many connections are taken as there may be, so that nobody waits for others to give way."""
_PR_SET_PDEATHSIG: Final = 1

_log = logging.getLogger(__name__)


def main() -> None:
    """Run the receiver as the environment configures it, until SIGTERM or SIGINT."""
    try:
        config = Config.from_environ(os.environ)
        logging.config.dictConfig(logs.dict_config(config.log_level))
        with tempfile.TemporaryDirectory(prefix="parley-metrics-") as folder:
            # Prometheus's client looks for it when it is imported first.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
            # Made and thrown away: wrong settings of a source must stop the start, not a worker.
            app = _app()
            _log.info("sources: %s", ", ".join(sorted(app.blueprints)) or "none is configured")
            serve(config)
    except ConfigError as error:
        sys.exit(f"The receiver is not configured:\n{error}")


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT: then finish what is in flight, flush, and return."""
    most_connections = _allowed_connections(config.limits.connections)
    host, port = _free_address(config.host, config.port)
    _log.info("listening on http://%s:%d", config.host, port)
    Granian(
        "receiver",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        workers=config.workers,
        backlog=_BACKLOG,
        backpressure=most_connections,
        http1_settings=HTTP1Settings(
            # It is the limit for the time between two requests, and for headers as well: these have a shorter one
            # of ours, see `receiver.web.connections`.
            header_read_timeout=1000 * config.keep_alive_seconds,
            max_buffer_size=MAX_HEADER_BYTES,
        ),
        log_dictconfig=logs.dict_config(config.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=config.shutdown_seconds,
    ).serve(target_loader=_load, wrap_loader=False)


def _load() -> Gateway:
    """Make a worker's app, to be closed when the worker has answered its last request."""
    _end_with_parent()
    config = Config.from_environ(os.environ)
    app = _app()
    committers: Any = app.extensions["committers"]
    committers.start()
    # Workers end through multiprocessing, which does not run atexit's functions.
    util.Finalize(None, committers.close, exitpriority=100)
    _return_memory()
    connections = Connections(config.limits.connections, config.limits.header_seconds)
    connections.start()
    gateway = Gateway(app, config.limits, by_path(app, config.max_body_bytes), connections)
    before_signals(asyncio.get_event_loop(), gateway.end_streams)
    return gateway


def _app() -> "Flask":
    from receiver.app import create_app  # noqa: PLC0415 - see `main`

    return create_app(os.environ)


def _end_with_parent() -> None:
    """Let a worker shut down when the main process was killed, so that none runs unsupervised."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        # It died before that: nobody will tell.
        _log.error("the main process is gone: this worker does not begin")
        os._exit(1)


def _return_memory() -> None:
    """Let the memory of large bodies go back to the system as soon as they are done with.

    The GNU C library would keep it to use it again, once one of them has been freed.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _allowed_connections(connections: int) -> int:
    """Let a worker have some more connections than it may keep, and return how many the system allows.

    Raises:
        ConfigError: it does not even allow as many as it may keep.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _HEADROOM * connections + _OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < connections + _OTHER_DESCRIPTORS:
        raise ConfigError(
            [f"PARLEY_CONNECTIONS must be at most {hard - _OTHER_DESCRIPTORS} here: {hard} open files are allowed"]
        )
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted - _OTHER_DESCRIPTORS


def _free_address(host: str, port: int) -> tuple[str, int]:
    """Return a host's address, as granian takes no names, and a port that nobody listens on, any for 0.

    Granian's workers bind it themselves. They share it with each other, and so would with those of another
    receiver of the same user.

    Raises:
        ConfigError: the port is taken, or is none of this host.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listener:
            address, found = listener.getsockname()[:2]
    except OSError as error:
        raise ConfigError([f"PARLEY_PORT: cannot listen on {host}:{port}: {error.strerror or error}"]) from error
    return str(address), int(found)
