"""A Storage Write API that faults on command, and an appender to it."""

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
from scripted_write_api import ScriptedWriteApi

from pipelines.bigquery.appender import Appender
from pipelines.bigquery.lane import Retry
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, write_client

IMPATIENT = Retry(first_delay=0.001, longest_delay=0.01, setup_patience=0.1, answer_timeout=1.0)


@pytest.fixture
def write_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedWriteApi]:
    """The server, which `write_client` finds through the environment."""
    server = ScriptedWriteApi()
    monkeypatch.setenv(REST_EMULATOR, "http://127.0.0.1:1")
    monkeypatch.setenv(GRPC_EMULATOR, server.address)
    yield server
    server.stop()


@pytest.fixture
def appender(write_api: ScriptedWriteApi) -> Iterator[Appender]:
    """An appender that gives up after a tenth of a second what is not BigQuery's to mend."""
    with closing(_appender(IMPATIENT)) as opened:
        yield opened


@pytest.fixture
def patient(write_api: ScriptedWriteApi) -> Iterator[Appender]:
    """An appender that waits for people, as long as a test may take."""
    with closing(_appender(msgspec.structs.replace(IMPATIENT, setup_patience=60.0))) as opened:
        yield opened


def _appender(retry: Retry) -> Appender:
    target = Target.prefixed("parley-test")
    return Appender(write_client(target), target, retry)
