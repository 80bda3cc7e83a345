"""Serves the app with granian: worker processes, each with threads that wait for their commits."""

import os
import socket
import sys
from multiprocessing import util
from typing import Any, Final

from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from receiver import intake
from receiver.app import create_app
from receiver.config import Config, ConfigError

HEADER_READ_MILLISECONDS: Final = 10_000
HEADER_BYTES: Final = 65_536


def main() -> None:
    """Run the receiver as the environment configures it, until SIGTERM or SIGINT."""
    try:
        config = Config.from_environ(os.environ)
        # Made and thrown away: wrong settings of a source must stop the start, not each worker.
        create_app(os.environ)
    except ConfigError as error:
        sys.exit(f"The receiver is not configured:\n{error}")
    serve(config)


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT: then finish what is in flight, flush, and return."""
    port = config.port or _free_port(config.host)
    print(f"receiver listens on http://{config.host}:{port}", flush=True)  # noqa: T201
    Granian(
        "receiver",
        address=config.host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=config.workers,
        # A thread for every connection: a slow sender then holds up nobody but itself.
        blocking_threads=config.threads,
        backpressure=config.threads,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_READ_MILLISECONDS, max_buffer_size=HEADER_BYTES
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=config.shutdown_seconds,
    ).serve(target_loader=_load, wrap_loader=False)


def _load() -> Flask:
    """Make a worker's app, to be closed when the worker has answered its last request."""
    app = create_app(os.environ)
    committers: Any = app.extensions[intake.EXTENSION]
    # Workers end through multiprocessing, which does not run atexit's functions.
    util.Finalize(None, committers.close, exitpriority=100)
    return app


def _free_port(host: str) -> int:
    """Return a free port: granian's workers bind it themselves, so it cannot be 0 for them."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])
