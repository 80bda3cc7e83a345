"""What BigQuery refuses, the local one refuses: to change fresh rows, and appends that it does not take."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from bigquery_fixtures import PROJECT, Emulator, free_ports, running_emulator
from google.api_core.exceptions import BadRequest, GoogleAPICallError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types

from pipelines.bigquery import arrow, chunks, deploy
from pipelines.bigquery.appender import Appender
from pipelines.bigquery.connection import Connection
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client, write_client
from pipelines.core.rows import Channel
from tests.pipelines.local.clocked_bigquery import AHEAD

TARGET = Target.prefixed(PROJECT, "strict_")
CHANNELS = TARGET.table("channels")
CONTACTS = TARGET.table("contacts")
DAY = 20_000


def channel(name: str, display_name: str | None = None) -> Channel:
    at = DAY * 86_400_000_000
    return Channel(name, "facebook", name, display_name, at, DAY, "e", at, 1)


class Strict(msgspec.Struct):
    """A local BigQuery with a buffer as long as Google's, and a clock that can be set."""

    emulator: Emulator
    ahead: Path

    def pass_by(self, minutes: float) -> None:
        now = float(self.ahead.read_text("utf-8"))
        self.ahead.write_text(str(now + minutes), "utf-8")


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    folder = tmp_path_factory.mktemp("strict")
    ahead = folder / "ahead"
    ahead.write_text("0", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(AHEAD, str(ahead))
        module = "tests.pipelines.local.clocked_bigquery"
        with running_emulator(folder, *free_ports(2), module) as emulator:
            yield Strict(emulator, ahead)


@pytest.fixture
def strict(clocked: Strict, monkeypatch: pytest.MonkeyPatch) -> Strict:
    monkeypatch.setenv(REST_EMULATOR, clocked.emulator.rest)
    monkeypatch.setenv(GRPC_EMULATOR, clocked.emulator.rpc)
    return clocked


@pytest.fixture
def opened(strict: Strict) -> Iterator[bigquery.Client]:
    with client(TARGET) as connected:
        deploy.deploy(connected, TARGET)
        for table in (CHANNELS, CONTACTS):
            connected.query_and_wait(f"DELETE FROM `{table}` WHERE TRUE")
        yield connected


@pytest.fixture
def appender(opened: bigquery.Client) -> Iterator[Appender]:
    connected = Appender(write_client(TARGET), TARGET)
    yield connected
    connected.close()


def names(opened: bigquery.Client) -> list[str]:
    return [row[0] for row in opened.query_and_wait(f"SELECT channel_id FROM `{CHANNELS}` ORDER BY 1")]


def in_transaction(*statements: str) -> str:
    return "".join(f"{each};\n" for each in ("BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"))


MUTATIONS = {
    "DELETE": f"DELETE FROM `{CHANNELS}` WHERE channel_id = 'streamed'",
    "UPDATE": f"UPDATE `{CHANNELS}` SET display_name = 'x' WHERE channel_id = 'streamed'",
    "MERGE": f"MERGE `{CHANNELS}` AS t USING (SELECT 'streamed' AS id) AS s ON t.channel_id = s.id "
    "WHEN MATCHED THEN DELETE",
}


@pytest.mark.parametrize("statement", MUTATIONS.values(), ids=list(MUTATIONS))
def test_rows_streamed_less_than_half_an_hour_ago_are_not_changed_in_a_transaction(
    strict: Strict, opened: bigquery.Client, appender: Appender, statement: str
) -> None:
    appender.append("channels", [channel("streamed")]).result()
    strict.pass_by(29)

    with pytest.raises(
        BadRequest, match=r"table parley-test:\S+channels would affect rows in the streaming buffer"
    ):
        opened.query_and_wait(in_transaction(f"DELETE FROM `{CONTACTS}` WHERE TRUE", statement))
    assert names(opened) == ["streamed"]

    strict.pass_by(1.1)
    opened.query_and_wait(in_transaction(statement))


def test_rows_streamed_a_moment_ago_are_changed_outside_of_a_transaction(
    opened: bigquery.Client, appender: Appender
) -> None:
    appender.append("channels", [channel("streamed"), channel("other")]).result()

    opened.query_and_wait(MUTATIONS["DELETE"])

    assert names(opened) == ["other"]


def test_a_transaction_may_insert_beside_streamed_rows_and_change_others(
    opened: bigquery.Client, appender: Appender
) -> None:
    appender.append("channels", [channel("streamed")]).result()
    columns = "channel_id, source, source_channel_id, seen_at, seen_date, event_id, received_at, generation"
    inserted = (
        f"INSERT INTO `{CHANNELS}` ({columns}, processed_at) SELECT 'inserted', source, source_channel_id, "
        f"seen_at, seen_date, event_id, received_at, generation, CURRENT_TIMESTAMP() FROM `{CHANNELS}` "
        "WHERE channel_id = 'streamed'"
    )

    opened.query_and_wait(in_transaction(inserted))
    opened.query_and_wait(
        in_transaction(f"UPDATE `{CHANNELS}` SET display_name = 'x' WHERE channel_id = 'inserted'")
    )

    assert names(opened) == ["inserted", "streamed"]


def send(schema: pa.Schema, batch: pa.RecordBatch) -> types.AppendRowsResponse:
    """Append a batch as it is, past all care that the product takes."""
    connection = Connection(write_client(TARGET), TARGET.write_stream("channels"))
    rows = types.AppendRowsRequest.ArrowData(
        writer_schema={"serialized_schema": schema.serialize().to_pybytes()},
        rows={"serialized_record_batch": batch.serialize().to_pybytes()},
    )
    request = types.AppendRowsRequest(write_stream=TARGET.write_stream("channels"), arrow_rows=rows)
    return connection.send(request).result(60)


def test_a_column_that_the_table_lacks_is_refused_by_its_own_code(opened: bigquery.Client) -> None:
    batch = arrow.record_batch("channels", [channel("a")], 1)
    more = batch.append_column("colour", pa.array(["red"]))

    answer = send(more.schema, more)

    assert "Input schema has more fields than BigQuery schema" in answer.error.message
    (detail,) = answer.error.details
    told = types.StorageError.pb()()
    detail.Unpack(told)
    assert told.code == types.StorageError.StorageErrorCode.SCHEMA_MISMATCH_EXTRA_FIELDS
    assert names(opened) == []


def test_a_row_without_a_required_value_is_named(opened: bigquery.Client) -> None:
    batch = arrow.record_batch("channels", [channel("a"), channel("b")], 1)
    place = batch.schema.get_field_index("source")
    columns = [
        pa.array(["facebook", None]) if index == place else column for index, column in enumerate(batch.columns)
    ]
    schema = batch.schema.set(place, pa.field("source", pa.string()))

    answer = send(schema, pa.RecordBatch.from_arrays(columns, schema=schema))

    assert [(error.index, "source" in error.message) for error in answer.row_errors] == [(1, True)]
    assert names(opened) == []


def test_a_request_above_20_mb_is_refused_and_the_product_sends_none(
    opened: bigquery.Client, appender: Appender
) -> None:
    large = arrow.record_batch("channels", [channel("a", "x" * 20_000_000)], 1)

    answer = send(large.schema, large)
    refused = appender.append("channels", [channel("b", "x" * (chunks.LARGEST_ROW - 10_000))]).result()

    assert "AppendRows request too large" in answer.error.message
    assert (refused, names(opened)) == ([], ["b"])


def limited(opened: bigquery.Client, limit: int, sql: str, *parameters: bigquery.ScalarQueryParameter) -> str:
    """Return what a query was refused for, if it was."""
    config = bigquery.QueryJobConfig(maximum_bytes_billed=limit, query_parameters=list(parameters))
    try:
        opened.query(sql, job_config=config).result()
    except GoogleAPICallError as refused:
        return str(refused)
    return ""


def test_a_query_is_refused_that_reads_more_than_it_may(opened: bigquery.Client, appender: Appender) -> None:
    # Three columns of it are small, and one is large: 15 MB on one of two days.
    large = channel("large", "x" * 15_000_000)
    other = msgspec.structs.replace(channel("small"), seen_date=DAY + 1)
    appender.append("channels", [large, other]).result()
    mebibyte = 2**20

    def told(limit: int, columns: str, where: str, *parameters: bigquery.ScalarQueryParameter) -> str:
        return limited(opened, limit, f"SELECT {columns} FROM `{CHANNELS}` WHERE {where}", *parameters)

    assert told(15 * mebibyte, "display_name", "TRUE") == ""
    refused = told(14 * mebibyte, "display_name", "source = 'facebook'")
    assert (
        f"Query exceeded limit for bytes billed: {14 * mebibyte}. {15 * mebibyte} or higher required." in refused
    )
    assert told(14 * mebibyte, "channel_id", "source = 'facebook'") == ""
    later = bigquery.ScalarQueryParameter("day", "DATE", dt.date(1970, 1, 1) + dt.timedelta(days=DAY + 1))
    assert told(14 * mebibyte, "display_name", "seen_date >= @day", later) == ""
    # A condition on what the table is clustered by leaves nothing out, and each table counts 10 MB at least.
    assert "or higher required" in told(14 * mebibyte, "display_name", "channel_id = 'small'")
    assert f"{10 * mebibyte} or higher required" in told(mebibyte, "channel_id", "channel_id = 'small'")
    # What was added since then counts, too.
    appender.append("channels", [msgspec.structs.replace(large, channel_id="again")]).result()
    assert "or higher required" in told(15 * mebibyte, "display_name", "TRUE")


def days_inserted(count: int) -> str:
    return (
        f"INSERT INTO `{CHANNELS}` (channel_id, source, source_channel_id, seen_at, seen_date, event_id, "
        "received_at, generation, processed_at) SELECT 'inserted', 'x', 'x', TIMESTAMP '2026-01-01', day, 'e', "
        "TIMESTAMP '2026-01-01', 1, TIMESTAMP '2026-01-01' FROM "
        f"UNNEST(GENERATE_DATE_ARRAY('2010-01-01', DATE_ADD('2010-01-01', INTERVAL {count - 1} DAY))) AS day"
    )


@pytest.mark.parametrize("around", [lambda sql: sql, in_transaction], ids=["alone", "in a transaction"])
def test_a_job_puts_rows_into_4000_partitions_at_most(
    opened: bigquery.Client, around: Callable[[str], str]
) -> None:
    with pytest.raises(BadRequest, match=r"allowed 4000, query produces at least 4001 partitions"):
        opened.query_and_wait(around(days_inserted(4001)))
    assert names(opened) == []

    opened.query_and_wait(around(days_inserted(4000)))
    opened.query_and_wait(around(days_inserted(4000)))
    assert len(names(opened)) == 8000


def test_a_load_job_fills_4000_partitions_at_most(strict: Strict, opened: bigquery.Client) -> None:
    folder = strict.emulator.gcs_root / "days"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [msgspec.structs.replace(channel(str(number)), seen_date=DAY - number) for number in range(4001)]
    arrow.write_parquet("channels", [rows], str(folder / "days.parquet"), 1)
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")

    with pytest.raises(BadRequest, match="Too many partitions"):
        opened.load_table_from_uri("gs://days/days.parquet", CHANNELS, job_config=config).result()
    assert names(opened) == []
