"""A BigQuery of the test session's own, and tables of each test's own in it."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from google.cloud import bigquery

from pipelines.bigquery import deploy
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client

PROJECT = "parley-test"


class Emulator(NamedTuple):
    """A local BigQuery that runs, where it listens, and where it keeps its data."""

    rest: str
    rpc: str
    data_dir: Path
    gcs_root: Path
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def running_emulator(
    folder: Path, rest_port: int, grpc_port: int, module: str = "pipelines.local.bigquery"
) -> Iterator[Emulator]:
    """Run the local BigQuery with its data in a folder, until the block ends.

    It is as strict as Google's: what was streamed within half an hour is changed in no transaction.
    """
    data_dir, gcs_root = folder / "data", folder / "gcs"
    arguments = {"rest-port": rest_port, "grpc-port": grpc_port, "data-dir": data_dir, "gcs-root": gcs_root}
    arguments |= {"streaming-buffer-minutes": 30}
    command = [sys.executable, "-m", module]
    command += [f"--{name}={value}" for name, value in arguments.items()]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        rest, rpc = f"http://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}"
        try:
            _wait_until_ready(process, rest, rpc, folder / "log")
            yield Emulator(rest, rpc, data_dir, gcs_root, process)
        finally:
            process.terminate()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(process: subprocess.Popen[bytes], rest: str, rpc: str, log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(f"{rest}/readyz", timeout=5), grpc.insecure_channel(rpc) as channel:
                grpc.channel_ready_future(channel).result(5)
                return
        except (OSError, grpc.FutureTimeoutError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the local BigQuery did not start:\n{log.read_text()[-4_000:]}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The session's local BigQuery; tests use `bigquery_target`, which also points clients at it."""
    with running_emulator(tmp_path_factory.mktemp("bigquery"), *free_ports(2)) as emulator:
        yield emulator


@pytest.fixture
def bigquery_environment(bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The session's local BigQuery, which official clients find through the environment."""
    monkeypatch.setenv(REST_EMULATOR, bigquery_emulator.rest)
    monkeypatch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
    return bigquery_emulator


@pytest.fixture
def empty_target(bigquery_environment: Emulator) -> Target:
    """Datasets of the test's own that do not exist yet."""
    return Target.prefixed(PROJECT, f"t{uuid.uuid4().hex[:12]}_")


@pytest.fixture
def bigquery_client(empty_target: Target) -> Iterator[bigquery.Client]:
    """A client of the session's local BigQuery."""
    with client(empty_target) as opened:
        yield opened


@pytest.fixture
def bigquery_target(empty_target: Target, bigquery_client: bigquery.Client) -> Target:
    """Datasets of the test's own, with all tables and views in them."""
    deploy.deploy(bigquery_client, empty_target)
    return empty_target
