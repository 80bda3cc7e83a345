import threading
import time
from collections.abc import Iterator

import grpc
import pytest
import scripted_write_api as api
from google.api_core import exceptions
from row_samples import channel
from scripted_write_api import ScriptedWriteApi

from pipelines.bigquery import arrow
from pipelines.bigquery.chunks import cut
from pipelines.bigquery.connection import Connection
from pipelines.bigquery.target import Target, write_client

TARGET = Target("parley-test")
STREAM = TARGET.write_stream("channels")


def request(name: str = "c") -> api.types.AppendRowsRequest:
    ((chunk,), _) = cut("channels", [channel(name)], 1)
    schema = arrow.schema("channels").serialize().to_pybytes()
    data = api.types.AppendRowsRequest.ArrowData(
        writer_schema={"serialized_schema": schema}, rows={"serialized_record_batch": chunk.data}
    )
    return api.types.AppendRowsRequest(write_stream=STREAM, arrow_rows=data)


@pytest.fixture
def connection(write_api: ScriptedWriteApi) -> Iterator[Connection]:
    opened = Connection(write_client(TARGET), STREAM)
    yield opened
    opened.close(exceptions.Cancelled("the test is over"))


def test_answers_come_to_those_who_asked(write_api: ScriptedWriteApi, connection: Connection) -> None:
    write_api.script.extend([api.store, api.row_errors(0), api.store])
    futures = [connection.send(request()) for _ in range(3)]

    assert [len(future.result(10).row_errors) for future in futures] == [0, 1, 0]
    assert connection.proven


def test_the_stream_is_named_for_routing(write_api: ScriptedWriteApi, connection: Connection) -> None:
    told: list[tuple[str, str]] = []

    def note(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        told.extend(context.invocation_metadata())
        return api.store(batch, context)

    write_api.habit = note
    connection.send(request()).result(10)

    assert dict(told)["x-goog-request-params"] == f"write_stream={STREAM}"


def test_an_end_without_an_answer_is_an_error(write_api: ScriptedWriteApi, connection: Connection) -> None:
    write_api.script.append(api.cut)
    futures = [connection.send(request()) for _ in range(3)]

    assert isinstance(futures[0].exception(10), exceptions.ServiceUnavailable)
    assert all(future.exception(10) for future in futures)
    assert connection.failed


def test_only_the_request_that_ended_a_connection_is_blamed(
    write_api: ScriptedWriteApi, connection: Connection
) -> None:
    release = threading.Event()

    def refuse(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        assert release.wait(10)
        return api.abort(grpc.StatusCode.INVALID_ARGUMENT)(batch, context)

    write_api.script.extend([api.store, refuse])
    futures = [connection.send(request()) for _ in range(4)]
    release.set()

    told = [type(future.exception(10)) for future in futures]
    assert told == [type(None), exceptions.InvalidArgument, exceptions.Aborted, exceptions.Aborted]
    assert isinstance(connection.send(request()).exception(10), exceptions.Aborted)


def test_closing_fails_what_waits_and_tells_the_server(
    write_api: ScriptedWriteApi, connection: Connection
) -> None:
    gone = threading.Event()

    def silence(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        context.add_callback(gone.set)
        asked.set()
        gone.wait()
        return None

    asked = threading.Event()
    write_api.habit = silence
    future = connection.send(request())
    assert asked.wait(10)
    connection.close(exceptions.DeadlineExceeded("enough"))

    assert isinstance(future.exception(10), exceptions.DeadlineExceeded)
    assert gone.wait(10)


def test_an_ended_connection_leaves_no_thread_behind(write_api: ScriptedWriteApi) -> None:
    client = write_client(TARGET)
    before = set(threading.enumerate())
    for _ in range(5):
        write_api.script.append(api.cut)
        Connection(client, STREAM).send(request()).exception(10)

    deadline = time.monotonic() + 10
    # The scripted server's own pool has threads in this process, too.
    while left := [t for t in set(threading.enumerate()) - before if "ThreadPool" not in t.name]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
