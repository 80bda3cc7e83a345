"""`parley dashboard`: serves the page to this machine."""

import logging
import os

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from pipelines.bigquery.target import ConfigurationError, client
from pipelines.dashboard.app import create_app
from pipelines.dashboard.business_hours import BusinessHours
from pipelines.dashboard.spool import Receiver
from pipelines.dashboard.status import refresh_seconds
from pipelines.dashboard.warehouse import Warehouse, max_bytes
from pipelines.run.desk import Desk, DeskError
from pipelines.run.table_commands import target
from schemas.custom_sources import VARIABLE, SourcesFile, SourcesFileError, read_file

HOST = "127.0.0.1"
DEFAULT_PORT = 8090


class _Quiet(WSGIRequestHandler):
    """Says nothing of each request; errors are said all the same."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@click.command()
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Where to listen; 0 takes any free port.")
def dashboard(port: int) -> None:
    """Show what is in BigQuery on a web page, to this machine only, until Ctrl-C.

    Where PARLEY_REPLY_TOKEN and PARLEY_PUBLIC_URL are set, conversations can be answered there.
    """
    where = target()
    try:
        custom = SourcesFile(read_file(os.environ.get(VARIABLE, "").strip())).definitions
    except SourcesFileError as error:
        raise click.ClickException(str(error)) from error
    try:
        limit = max_bytes(os.environ)
        refresh = refresh_seconds(os.environ)
        receiver = Receiver.from_environment(os.environ)
        hours = BusinessHours.from_environment(os.environ)
        desk = Desk.from_environment(os.environ)
    except (ConfigurationError, DeskError) as error:
        raise click.ClickException(str(error)) from error
    warehouse = Warehouse(where, lambda: client(where), limit)
    archive = os.environ.get("PARLEY_ARCHIVE") or None
    app = create_app(
        warehouse, archive, sorted(custom), desk=desk, receiver=receiver, refresh=refresh, hours=hours
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        server = make_server(HOST, port, app, threaded=True, request_handler=_Quiet)
    except SystemExit:
        # Werkzeug prints why, and leaves.
        raise click.ClickException(f"cannot listen on {HOST}:{port}") from None
    click.echo(f"The dashboard of {where.project}.{where.views_dataset}: http://{HOST}:{server.port}/")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
