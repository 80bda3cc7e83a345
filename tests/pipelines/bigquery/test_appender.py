import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest
import scripted_write_api as api
from google.cloud.bigquery_storage_v1.types import StorageError
from row_samples import channel, sample
from scripted_write_api import ScriptedWriteApi

from pipelines.bigquery.appender import CONNECTIONS, Appender
from pipelines.bigquery.faults import RowTooLargeError
from pipelines.bigquery.lane import AppenderClosedError, Retry, TableUnavailableError
from pipelines.bigquery.target import Target, write_client
from pipelines.core.rows import Row

ROWS = [channel(str(index)) for index in range(8)]
TRANSIENT = [
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
]


def stored(write_api: ScriptedWriteApi) -> list[str]:
    return [row["channel_id"] for row in write_api.stored]


def names(rows: list[Row]) -> list[str]:
    return [row.channel_id for row in rows]  # type: ignore[attr-defined]


def unless(bad: Callable[[list[str]], bool]) -> api.Answer:
    """Refuse requests by the names of their rows, without saying which one is to blame."""
    refuse = api.error(grpc.StatusCode.INVALID_ARGUMENT)

    def answer(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        return (refuse if bad(batch.column("channel_id").to_pylist()) else api.store)(batch, context)

    return answer


def test_rows_are_stored_once(write_api: ScriptedWriteApi, appender: Appender) -> None:
    assert appender.append("channels", ROWS).result() == []
    assert stored(write_api) == names(ROWS)


def test_rows_say_when_they_were_sent(write_api: ScriptedWriteApi, appender: Appender) -> None:
    before = dt.datetime.now(dt.UTC)
    assert appender.append("channels", ROWS).result() == []
    after = dt.datetime.now(dt.UTC)

    said = {row["processed_at"] for row in write_api.stored}
    # Clocks of processes and of time_ns may differ by a tick.
    tick = dt.timedelta(milliseconds=1)
    assert all(before - tick <= each <= after + tick for each in said)
    assert said


def test_no_rows_need_no_connection(write_api: ScriptedWriteApi, appender: Appender) -> None:
    assert appender.append("channels", []).result() == []
    assert write_api.connections == 0


def test_tables_have_one_connection_each_however_many_threads(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    def work(name: str) -> None:
        table, column = ("channels", "channel_id") if int(name) % 2 else ("contacts", "contact_id")
        assert appender.append(table, [sample(table, event_id=name, **{column: name})]).result() == []

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, map(str, range(200))))

    assert sorted(int(row["event_id"]) for row in write_api.stored) == list(range(200))
    assert write_api.connections == 2


def test_a_table_has_more_connections_while_more_waits_than_one_is_promised_to_take(
    write_api: ScriptedWriteApi, patient: Appender
) -> None:
    release = threading.Event()

    def when_released(*request: object) -> api.Response:
        assert release.wait(10)
        return api.store(*request)  # type: ignore[arg-type]

    write_api.habit = when_released
    appends = [
        patient.append("channels", [channel(str(n), display_name="x" * 600_000)]) for n in range(3 * CONNECTIONS)
    ]
    release.set()

    assert [append.result() for append in appends] == [[]] * len(appends)
    assert sorted(stored(write_api), key=int) == [str(n) for n in range(len(appends))]
    assert write_api.connections == CONNECTIONS


def test_small_rows_share_a_connection_however_many_wait(write_api: ScriptedWriteApi, appender: Appender) -> None:
    appends = [appender.append("channels", [row]) for row in ROWS * 20]

    assert [append.result() for append in appends] == [[]] * len(appends)
    assert write_api.connections == 1


def test_when_all_connections_of_a_table_are_lost_each_row_is_stored(
    write_api: ScriptedWriteApi, patient: Appender
) -> None:
    release = threading.Event()

    def gone(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        assert release.wait(10)
        return api.abort(grpc.StatusCode.UNAVAILABLE)(batch, context)

    write_api.script.extend([gone] * CONNECTIONS)
    appends = [
        patient.append("channels", [channel(str(n), display_name="x" * 1_000_000)]) for n in range(2 * CONNECTIONS)
    ]
    release.set()

    assert [append.result() for append in appends] == [[]] * len(appends)
    assert set(stored(write_api)) == {str(n) for n in range(len(appends))}


def test_every_request_names_its_stream_and_schema(write_api: ScriptedWriteApi, appender: Appender) -> None:
    for _ in range(2):
        appender.append("channels", ROWS).result()

    for request in write_api.requests:
        assert request.write_stream.endswith("/datasets/parley_rows/tables/channels/streams/_default")
        assert request.arrow_rows.writer_schema.serialized_schema


def test_appending_waits_for_nobody(write_api: ScriptedWriteApi, appender: Appender) -> None:
    release = threading.Event()

    def when_released(*request: object) -> api.Response:
        assert release.wait(10)
        return api.store(*request)  # type: ignore[arg-type]

    write_api.habit = when_released
    appends = [appender.append("channels", [row]) for row in ROWS]
    release.set()

    assert [append.result() for append in appends] == [[]] * len(ROWS)


@pytest.mark.parametrize("code", TRANSIENT, ids=lambda code: code.name)
@pytest.mark.parametrize("fault", [api.error, api.abort], ids=["answered", "connection ended"])
def test_transient_errors_are_waited_out(
    fault: object, code: grpc.StatusCode, write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.script.extend([fault(code)] * 3)  # type: ignore[operator]

    assert appender.append("channels", ROWS).result() == []
    assert stored(write_api) == names(ROWS)


@pytest.mark.parametrize("fault", [api.cut, api.silence], ids=["cut", "silence"])
def test_a_lost_connection_is_opened_again(
    fault: api.Answer, write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.script.append(fault)

    assert appender.append("channels", ROWS).result() == []
    assert stored(write_api) == names(ROWS)
    assert write_api.connections == 2


def test_a_silent_connection_is_given_up_at_once_for_all_who_wait_on_it(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.script.append(api.silence)
    appends = [appender.append("channels", [row]) for row in ROWS]
    (silent,) = appender._lane("channels")._connections._connections

    assert appends[0].result() == []
    assert silent.failed
    assert [append.result() for append in appends] == [[]] * len(ROWS)


def test_a_connection_that_was_closed_for_idleness_is_opened_again_without_a_word(
    write_api: ScriptedWriteApi, appender: Appender, caplog: pytest.LogCaptureFixture
) -> None:
    appender.append("channels", ROWS[:4]).result()
    (idle,) = appender._lane("channels")._connections._connections
    write_api.close_connections()
    deadline = time.monotonic() + 10
    while not idle.failed:
        assert time.monotonic() < deadline
        time.sleep(0.001)

    assert appender.append("channels", ROWS[4:]).result() == []
    assert stored(write_api) == names(ROWS)
    assert caplog.records == []


def test_all_requests_on_a_lost_connection_are_sent_again(write_api: ScriptedWriteApi, appender: Appender) -> None:
    write_api.script.extend([api.store, api.abort(grpc.StatusCode.UNAVAILABLE)])
    appends = [appender.append("channels", [row]) for row in ROWS]

    assert [append.result() for append in appends] == [[]] * len(ROWS)
    assert sorted(set(stored(write_api))) == names(ROWS)


def test_a_server_that_is_away_is_waited_for(write_api: ScriptedWriteApi, appender: Appender) -> None:
    appender.append("channels", ROWS[:1]).result()
    port = int(write_api.address.rsplit(":", 1)[1])
    write_api.stop()
    append = appender.append("channels", ROWS[1:])
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(append.result)
        with pytest.raises(TimeoutError):
            result.result(0.3)
        again = ScriptedWriteApi(port)
        try:
            assert result.result(30) == []
            assert stored(again) == names(ROWS[1:])
        finally:
            again.stop()


def test_an_outage_is_logged_in_plain_words_and_so_is_its_end(
    write_api: ScriptedWriteApi, appender: Appender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_api.script.append(api.error(grpc.StatusCode.UNAVAILABLE))

    appender.append("channels", ROWS).result()

    down, up = caplog.messages
    assert "does not take rows of channels now (503 as the test said); they are kept" in down
    assert "takes rows of channels again" in up


def test_many_waiting_appends_do_not_each_log_the_same_outage(
    write_api: ScriptedWriteApi, caplog: pytest.LogCaptureFixture
) -> None:
    target = Target.prefixed("parley-test")
    appender = Appender(write_client(target), target, Retry(first_delay=0.5))
    write_api.script.extend([api.error(grpc.StatusCode.UNAVAILABLE)] * 8)
    appends = [appender.append("channels", [row]) for row in ROWS]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda append: append.result(), appends))
    appender.close()

    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


def test_rows_that_bigquery_blames_are_refused_and_the_others_stored(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.script.append(api.row_errors(1, 5))

    refused = appender.append("channels", ROWS).result()

    assert [(each.row, str(each.error)) for each in refused] == [
        (ROWS[1], "row 1 is bad"),
        (ROWS[5], "row 5 is bad"),
    ]
    assert stored(write_api) == [name for name in names(ROWS) if name not in "15"]


def test_a_request_refused_as_a_whole_is_halved_until_the_bad_row_is_found(
    write_api: ScriptedWriteApi, patient: Appender
) -> None:
    write_api.habit = unless(lambda names: "6" in names)

    (refused,) = patient.append("channels", ROWS).result()

    assert refused.row is ROWS[6]
    assert str(refused.error) == "as the test said"
    assert sorted(stored(write_api)) == [name for name in names(ROWS) if name != "6"]


def test_several_bad_rows_are_found_however_many(write_api: ScriptedWriteApi, patient: Appender) -> None:
    write_api.habit = unless(lambda names: any(int(name) % 3 for name in names))
    rows = [channel(str(index)) for index in range(100)]

    refused = patient.append("channels", rows).result()

    assert sorted(int(name) for name in names([each.row for each in refused])) == [n for n in range(100) if n % 3]
    assert sorted(stored(write_api), key=int) == [str(n) for n in range(100) if not n % 3]


def test_rows_that_are_all_refused_alike_wait_until_the_table_takes_them(
    write_api: ScriptedWriteApi, patient: Appender, caplog: pytest.LogCaptureFixture
) -> None:
    write_api.script.extend([api.error(grpc.StatusCode.INVALID_ARGUMENT)] * 40)

    assert patient.append("channels", ROWS).result() == []
    assert sorted(stored(write_api)) == names(ROWS)
    assert "All rows are refused alike" in caplog.text


def test_a_table_that_refuses_everything_is_no_fault_of_the_rows(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = api.error(grpc.StatusCode.INVALID_ARGUMENT)

    with pytest.raises(TableUnavailableError, match="channels takes no rows: as the test said"):
        appender.append("channels", ROWS).result()
    with pytest.raises(TableUnavailableError):
        appender.append("channels", ROWS[:1]).result()
    assert stored(write_api) == []


def test_a_table_that_refuses_everything_is_not_asked_for_each_row_at_once(
    write_api: ScriptedWriteApi,
) -> None:
    write_api.habit = api.error(grpc.StatusCode.INVALID_ARGUMENT)
    target = Target.prefixed("parley-test")
    rows = [channel(str(index)) for index in range(256)]

    with (
        closing(Appender(write_client(target), target, Retry(first_delay=0.001, setup_patience=0.0))) as hasty,
        pytest.raises(TableUnavailableError),
    ):
        hasty.append("channels", rows).result()
    # All of them, then halves, down to sixteen pieces.
    assert len(write_api.requests) == 1 + 2 + 4 + 8 + 16


def test_a_bad_row_that_is_alone_waits_until_the_table_has_taken_another(
    write_api: ScriptedWriteApi, patient: Appender
) -> None:
    asked = threading.Semaphore(0)
    refuse = unless(lambda names: "0" in names)

    def habit(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        asked.release()
        return refuse(batch, context)

    write_api.habit = habit
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(patient.append("channels", ROWS[:1]).result)
        for _ in range(5):
            assert asked.acquire(timeout=10)
        assert not result.done()
        assert patient.append("channels", ROWS[1:2]).result() == []
        (refused,) = result.result(10)

    assert refused.row is ROWS[0]
    assert stored(write_api) == names(ROWS[1:2])


def test_what_was_stored_before_a_table_changed_blames_no_row(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    release = threading.Event()

    def late(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        assert release.wait(10)
        return api.store(batch, context)

    write_api.script.append(late)
    write_api.habit = api.error(grpc.StatusCode.INVALID_ARGUMENT)
    before, after = (appender.append("channels", [row]) for row in ROWS[:2])
    release.set()

    assert before.result() == []
    with pytest.raises(TableUnavailableError):
        after.result()


def test_rows_that_were_refused_until_the_table_was_mended_are_stored(
    write_api: ScriptedWriteApi, patient: Appender
) -> None:
    # Mended in the midst of the search: the first half was refused, the second one is taken.
    write_api.script.extend([api.error(grpc.StatusCode.INVALID_ARGUMENT)] * 2)

    assert patient.append("channels", ROWS).result() == []
    assert sorted(stored(write_api)) == names(ROWS)


def test_rows_that_bigquery_blames_by_name_need_no_other_proof(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.script.append(api.row_errors(0))

    (refused,) = appender.append("channels", ROWS[:1]).result()

    assert (refused.row, stored(write_api)) == (ROWS[0], [])


def test_a_request_that_is_too_large_is_cut_smaller(write_api: ScriptedWriteApi, patient: Appender) -> None:
    def small_only(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        names = batch.column("channel_id").to_pylist()
        too_large = len(names) > 3 or "7" in names
        says = api.error(grpc.StatusCode.INVALID_ARGUMENT, message="AppendRows request too large: 3 limit 2")
        return (says if too_large else api.store)(batch, context)

    write_api.habit = small_only

    (refused,) = patient.append("channels", ROWS).result()

    assert isinstance(refused.error, RowTooLargeError)
    assert refused.row is ROWS[7]
    assert sorted(stored(write_api)) == names(ROWS[:7])


def test_a_row_that_is_too_large_for_bigquery_needs_no_other_proof(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = api.error(
        grpc.StatusCode.INVALID_ARGUMENT, message="AppendRows request too large: 3 limit 2"
    )

    (refused,) = appender.append("channels", ROWS[:1]).result()

    assert isinstance(refused.error, RowTooLargeError)


@pytest.mark.parametrize("message", ["as the test said", "AppendRows request too large: 3 limit 2"])
def test_a_refusal_that_ends_the_connection_is_nobody_elses(
    write_api: ScriptedWriteApi, patient: Appender, message: str
) -> None:
    release = threading.Event()
    refuse = api.abort(grpc.StatusCode.INVALID_ARGUMENT, message)

    def unless_bad(batch: api.pa.RecordBatch, context: grpc.ServicerContext) -> api.Response | None:
        assert release.wait(10)
        bad = "0" in batch.column("channel_id").to_pylist()
        return (refuse if bad else api.store)(batch, context)

    write_api.habit = unless_bad
    appends = [patient.append("channels", [row]) for row in ROWS]
    release.set()

    with ThreadPoolExecutor(8) as threads:
        refused = [each.row for result in threads.map(lambda append: append.result(), appends) for each in result]
    assert refused == ROWS[:1]
    assert sorted(stored(write_api)) == names(ROWS[1:])


def test_a_row_that_is_too_large_does_not_hold_up_the_others(
    write_api: ScriptedWriteApi, appender: Appender
) -> None:
    large = channel("large", display_name="x" * 19_500_000)

    (refused,) = appender.append("channels", [*ROWS, large]).result()

    assert refused.row is large
    assert sorted(stored(write_api)) == names(ROWS)


def test_a_table_that_appears_in_time_takes_its_rows(
    write_api: ScriptedWriteApi, appender: Appender, caplog: pytest.LogCaptureFixture
) -> None:
    write_api.script.extend([api.abort(grpc.StatusCode.NOT_FOUND)] * 2)

    assert appender.append("channels", ROWS).result() == []
    assert stored(write_api) == names(ROWS)
    assert "parley tables deploy" in caplog.text


@pytest.mark.parametrize(
    "fault",
    [
        api.abort(grpc.StatusCode.NOT_FOUND),
        api.error(grpc.StatusCode.PERMISSION_DENIED),
        api.error(grpc.StatusCode.FAILED_PRECONDITION),
        api.error(grpc.StatusCode.INVALID_ARGUMENT, StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS),
    ],
    ids=["missing", "forbidden", "unknown", "other schema"],
)
def test_what_only_people_can_mend_is_an_error_and_never_the_rows_fault(
    fault: api.Answer, write_api: ScriptedWriteApi, appender: Appender
) -> None:
    write_api.habit = fault

    with pytest.raises(TableUnavailableError, match="channels takes no rows"):
        appender.append("channels", ROWS).result()


def test_how_long_bigquery_was_away_takes_nothing_from_the_patience_with_a_table(
    write_api: ScriptedWriteApi,
) -> None:
    target = Target("parley-test")
    retry = Retry(first_delay=0.2, longest_delay=0.2, setup_patience=0.2)
    write_api.script.extend([api.abort(grpc.StatusCode.UNAVAILABLE)] * 4)
    write_api.script.append(api.abort(grpc.StatusCode.PERMISSION_DENIED))

    with closing(Appender(write_client(target), target, retry)) as appender:
        assert appender.append("channels", ROWS).result() == []

    assert stored(write_api) == names(ROWS)


def test_closing_frees_whoever_waits(write_api: ScriptedWriteApi, appender: Appender) -> None:
    write_api.habit = api.silence
    append = appender.append("channels", ROWS)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(append.result)
        appender.close()
        with pytest.raises(AppenderClosedError):
            result.result(10)


def test_a_closed_appender_takes_nothing(write_api: ScriptedWriteApi, appender: Appender) -> None:
    appender.close()

    with pytest.raises(AppenderClosedError):
        appender.append("channels", ROWS)


def test_delays_grow_and_end_growing() -> None:
    retry = Retry(first_delay=1.0, longest_delay=8.0)

    assert all(0.5 <= retry.delay(1) <= 1.0 for _ in range(100))
    assert all(4.0 <= retry.delay(attempts) <= 8.0 for attempts in (4, 40, 4_000))
