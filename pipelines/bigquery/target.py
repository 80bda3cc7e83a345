"""Where in BigQuery rows and views are, and the clients that reach them: Google's or an emulator's."""

import os
import re
from collections.abc import Mapping
from typing import Any, Self

import grpc
import msgspec
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport

PROJECT = "PARLEY_PROJECT"
DATASET_PREFIX = "PARLEY_DATASET_PREFIX"
LOCATION = "PARLEY_LOCATION"
REST_EMULATOR = "BIGQUERY_EMULATOR_HOST"
GRPC_EMULATOR = "BIGQUERY_STORAGE_GRPC_ENDPOINT"
"""The names by which emulators of BigQuery are known to clients: a URL, and `host:port`."""

_LOCAL_RETRY_SECONDS = 5.0
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_]{0,1000}")


class ConfigurationError(ValueError):
    """A setting is missing or malformed; the message names it."""


class Target(msgspec.Struct, frozen=True):
    """The two datasets that Parley keeps in a project."""

    project: str
    rows_dataset: str = "parley_rows"
    views_dataset: str = "parley"
    location: str = "US"

    @classmethod
    def prefixed(cls, project: str, prefix: str = "", location: str = "US") -> Self:
        """Return the target whose datasets' names begin with a prefix.

        Raises:
            ConfigurationError: the project or the prefix cannot be part of a name.
        """
        if not _PROJECT.fullmatch(project):
            raise ConfigurationError(f"not a Google Cloud project id: {project!r}")
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"a dataset prefix consists of letters, digits and underscores, not {prefix!r}"
            )
        return cls(project, f"{prefix}parley_rows", f"{prefix}parley", location)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the target that `PARLEY_PROJECT`, `PARLEY_DATASET_PREFIX` and `PARLEY_LOCATION` name.

        Raises:
            ConfigurationError: a variable is missing or malformed.
        """
        if not environ.get(PROJECT):
            raise ConfigurationError(f"{PROJECT} is not set: the Google Cloud project with the datasets")
        return cls.prefixed(environ[PROJECT], environ.get(DATASET_PREFIX, ""), environ.get(LOCATION) or "US")

    def table(self, name: str) -> str:
        """Return the full name of a table of rows."""
        return f"{self.project}.{self.rows_dataset}.{name}"

    def view(self, name: str) -> str:
        """Return the full name of a view."""
        return f"{self.project}.{self.views_dataset}.{name}"

    def write_stream(self, table: str) -> str:
        """Return the name of a table's default stream in the Storage Write API."""
        return f"projects/{self.project}/datasets/{self.rows_dataset}/tables/{table}/streams/_default"


def client(target: Target) -> bigquery.Client:
    """Return a client for queries, jobs and tables.

    Raises:
        ConfigurationError: only one of the emulator's two addresses is set.
    """
    if _emulator() is None:
        return bigquery.Client(project=target.project, location=target.location)
    return _EmulatorClient(project=target.project, location=target.location, credentials=AnonymousCredentials())


def drop_dataset(client: bigquery.Client, name: str) -> None:
    """Delete a dataset with all that is in it, by its full name; nothing where there is none.

    BigQuery says 403 of a dataset that is not there to who may not delete any: "denied on dataset (or it may not
    exist)". Whoever makes datasets and deletes only these is asked first whether there is one.
    """
    try:
        client.get_dataset(name)
    except NotFound:
        return
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)


def write_client(target: Target) -> BigQueryWriteClient:
    """Return a client of the Storage Write API.

    Raises:
        ConfigurationError: only one of the emulator's two addresses is set.
    """
    emulator = _emulator()
    if emulator is None:
        return BigQueryWriteClient()
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1_000)]
    return BigQueryWriteClient(
        transport=BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(emulator, options=options))
    )


def _emulator() -> str | None:
    """Return the emulator's gRPC address, or None where there is no emulator."""
    rest, rpc = os.environ.get(REST_EMULATOR), os.environ.get(GRPC_EMULATOR)
    if bool(rest) != bool(rpc):
        missing = GRPC_EMULATOR if rest else REST_EMULATOR
        # Half of it would send the other half to Google.
        raise ConfigurationError(
            f"{missing} is not set: an emulator needs both {REST_EMULATOR} and {GRPC_EMULATOR}"
        )
    return rpc or None


class _EmulatorClient(bigquery.Client):
    """Google's client that gives up on server errors soon: it would retry them for ten minutes."""

    def _call_api(self, retry: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._call_api(retry and retry.with_timeout(_LOCAL_RETRY_SECONDS), *args, **kwargs)

    def query(self, *args: Any, **kwargs: Any) -> Any:
        return super().query(*args, **{"job_retry": None, **kwargs})

    def query_and_wait(self, *args: Any, **kwargs: Any) -> Any:
        # By way of a job, since bqemulator answers `jobs.query` of a wrong query as if it had no rows.
        return self.query(*args, **kwargs).result()
