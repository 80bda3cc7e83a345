"""A local BigQuery: bqemulator with its data on disk, made fit for a stream of appends.

Run as `python -m pipelines.local.bigquery --rest-port 9050 --grpc-port 9060 --data-dir DIR --gcs-root DIR`.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import duckdb
from bqemulator import server
from bqemulator.config import LogFormat, LogLevel, PersistenceMode, Settings
from bqemulator.domain.events import TableDataChanged
from bqemulator.versioning.snapshots import SnapshotManager
from duckdb_extensions import import_extension

_MOST_STREAMS = 256


class _NoTimeTravel(SnapshotManager):
    """Takes no snapshot of a table when its rows change.

    bqemulator copies the whole table after every append, for `FOR SYSTEM_TIME AS OF`, and has no
    setting against it. Transactions make copies of their own.
    """

    def record_change(self, project_id: str, dataset_id: str, table_id: str) -> None:
        """Tell the query cache and materialized views of a change, and keep no copy."""
        self._events.publish(TableDataChanged(project_id, dataset_id, table_id))


def settings(rest_port: int, grpc_port: int, data_dir: Path, gcs_root: Path) -> Settings:
    """Return bqemulator's settings for data in a folder; port 0 means any free one."""
    return Settings(
        rest_port=rest_port,
        grpc_port=grpc_port,
        persistence_mode=PersistenceMode.PERSISTENT,
        data_dir=data_dir,
        gcs_local_root=gcs_root,
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
@click.option("--rest-port", type=int, default=0, help="0: any free one.")
@click.option("--grpc-port", type=int, default=0, help="0: any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--gcs-root", type=click.Path(path_type=Path, file_okay=False), required=True)
def main(rest_port: int, grpc_port: int, data_dir: Path, gcs_root: Path) -> None:
    """Serve BigQuery on this machine until the process is told to stop."""
    install_extensions(data_dir / "home")
    server.SnapshotManager = _NoTimeTravel
    server.run_forever(settings(rest_port, grpc_port, data_dir, gcs_root))


if __name__ == "__main__":
    main()
