"""A local BigQuery: bqemulator with its data on disk, repaired to bear a stream of appends.

Run as `python -m pipelines.local.bigquery --rest-port 9050 --grpc-port 9060 --data-dir DIR --gcs-root DIR`.
"""

import datetime as dt
import logging
import os
from pathlib import Path

import click
import duckdb
import structlog
from bqemulator.config import LogFormat, LogLevel, PersistenceMode, Settings
from duckdb_extensions import import_extension

STREAMING_BUFFER = "PARLEY_STREAMING_BUFFER_MINUTES"
"""The setting by which the product, too, knows how long streamed rows cannot be changed in a transaction."""
LARGEST_APPEND = 20_000_000
"""Bytes of a request to append, by the reference of AppendRowsRequest.

https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1#appendrowsrequest
"""
_FOLDER = click.Path(path_type=Path, file_okay=False)


def settings(rest_port: int, grpc_port: int, data_dir: Path, gcs_root: Path) -> Settings:
    """Return bqemulator's settings for data in a folder; port 0 means any free one."""
    return Settings(
        rest_port=rest_port,
        grpc_port=grpc_port,
        persistence_mode=PersistenceMode.PERSISTENT,
        data_dir=data_dir,
        gcs_local_root=gcs_root,
        write_api_max_request_bytes=LARGEST_APPEND,
        log_level=LogLevel.WARNING,
        log_format=LogFormat.CONSOLE,
    )


def install_extensions(home: Path) -> None:
    """Put the DuckDB extensions that bqemulator loads where this process looks for them.

    It would download them otherwise, and into the user's home.
    """
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(home)
    with duckdb.connect() as connection:
        for name in ("spatial", "avro"):
            import_extension(name, con=connection)


@click.command()
@click.option("--rest-port", type=int, required=True)
@click.option("--grpc-port", type=int, required=True)
@click.option("--data-dir", type=_FOLDER, required=True, help="Where tables are kept.")
@click.option("--gcs-root", type=_FOLDER, required=True, help="Where gs://bucket/object is bucket/object.")
@click.option(
    "--streaming-buffer-minutes",
    type=click.IntRange(0),
    envvar=STREAMING_BUFFER,
    default=30,
    show_default=True,
    help="For how long a row that was streamed cannot be changed in a transaction; Google's is the default.",
)
def main(rest_port: int, grpc_port: int, data_dir: Path, gcs_root: Path, streaming_buffer_minutes: int) -> None:
    """Serve BigQuery on this machine until the process is told to stop."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # Imported when it is known what to log: bqemulator logs while it is imported.
    from bqemulator import server  # noqa: PLC0415

    from pipelines.local import bigquery_repairs  # noqa: PLC0415

    bigquery_repairs.apply(dt.timedelta(minutes=streaming_buffer_minutes))
    install_extensions(data_dir / "home")
    server.run_forever(settings(rest_port, grpc_port, data_dir, gcs_root))


if __name__ == "__main__":
    main()
