import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bigquery_fixtures import Emulator, free_ports, running_emulator
from google.cloud import bigquery

from pipelines.bigquery import deploy
from pipelines.bigquery.appender import Appender
from pipelines.bigquery.arrow import write_parquet
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client, write_client
from pipelines.core.rows import Channel

pytestmark = pytest.mark.thorough

DAY = (dt.date(2026, 11, 22) - dt.date(1970, 1, 1)).days


def channel(name: str) -> Channel:
    return Channel(name, "facebook", name, None, DAY * 86_400_000_000, DAY, "e", DAY * 86_400_000_000, 1)


def count(opened: bigquery.Client, table: str) -> int:
    (row,) = opened.query_and_wait(f"SELECT COUNT(*) AS n, 'mine' AS whose FROM `{table}`")
    assert row.whose == "mine"
    return int(row.n)


@pytest.fixture
def appender(bigquery_target: Target) -> Iterator[Appender]:
    opened = Appender(write_client(bigquery_target), bigquery_target)
    yield opened
    opened.close()


def test_appends_to_all_tables_and_queries_go_on_side_by_side(bigquery_target: Target, appender: Appender) -> None:
    """Each of the two, and one stream for every table, has once brought bqemulator to a standstill."""
    table = bigquery_target.table("channels")
    done = threading.Event()

    def query() -> list[int]:
        seen = []
        with client(bigquery_target) as opened:
            while not done.is_set():
                seen.append(count(opened, table))
                opened.get_table(table)
                list(opened.list_rows(table, max_results=1))
        return seen

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(query) for _ in range(2)]
        try:
            for index in range(60):
                assert appender.append("channels", [channel(str(index))]).result() == []
        finally:
            done.set()

    for reader in readers:
        assert reader.result() == sorted(reader.result())
    with client(bigquery_target) as opened:
        assert count(opened, table) == 60


def test_more_streams_are_open_at_once_than_bqemulator_has_threads(
    bigquery_target: Target, bigquery_client: bigquery.Client
) -> None:
    appenders = [Appender(write_client(bigquery_target), bigquery_target) for _ in range(40)]
    appends = [each.append("channels", [channel("c")]) for each in appenders]

    assert [append.result() for append in appends] == [[]] * 40
    assert count(bigquery_client, bigquery_target.table("channels")) == 40
    for each in appenders:
        each.close()


def test_an_append_copies_no_table(
    bigquery_target: Target, appender: Appender, bigquery_client: bigquery.Client
) -> None:
    moment = dt.datetime.now(dt.UTC)
    for name in "ab":
        appender.append("channels", [channel(name)]).result()

    # With copies, a time before the first of them is refused; without, time travel reads the table.
    (row,) = bigquery_client.query_and_wait(
        f"SELECT COUNT(*) AS n FROM `{bigquery_target.table('channels')}` "
        f"FOR SYSTEM_TIME AS OF TIMESTAMP '{moment.isoformat()}'"
    )
    assert row.n == 2


def test_a_missing_table_is_told_as_such_until_it_is_there(
    empty_target: Target, bigquery_client: bigquery.Client
) -> None:
    appender = Appender(write_client(empty_target), empty_target)
    append = appender.append("channels", [channel("c")])
    deploy.deploy(bigquery_client, empty_target)

    assert append.result() == []
    assert count(bigquery_client, empty_target.table("channels")) == 1
    appender.close()


def test_load_jobs_read_parquet_from_the_local_bucket(
    bigquery_environment: Emulator, bigquery_target: Target, bigquery_client: bigquery.Client
) -> None:
    folder = bigquery_environment.gcs_root / "bucket" / bigquery_target.rows_dataset
    folder.mkdir(parents=True)
    write_parquet("channels", [[channel("a"), channel("b")]], str(folder / "channels.parquet"), 1)
    options = bigquery.ParquetOptions()
    options.enable_list_inference = True
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
    config.parquet_options = options

    bigquery_client.load_table_from_uri(
        f"gs://bucket/{bigquery_target.rows_dataset}/channels.parquet",
        bigquery_target.table("channels"),
        job_config=config,
    ).result()

    assert count(bigquery_client, bigquery_target.table("channels")) == 2


def test_confirmed_rows_survive_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_ports(2)
    monkeypatch.setenv(REST_EMULATOR, f"http://127.0.0.1:{ports[0]}")
    monkeypatch.setenv(GRPC_EMULATOR, f"127.0.0.1:{ports[1]}")
    target = Target.prefixed("parley-test")
    appender = Appender(write_client(target), target)
    with client(target) as opened:
        with running_emulator(tmp_path, *ports) as emulator:
            deploy.deploy(opened, target)
            assert appender.append("channels", [channel("before")]).result() == []
            emulator.process.kill()
            emulator.process.wait()
        with running_emulator(tmp_path, *ports):
            assert deploy.deploy(opened, target) == []
            assert appender.append("channels", [channel("after")]).result() == []
            assert count(opened, target.table("channels")) == 2
    appender.close()


def test_extensions_lie_with_the_data_and_not_in_the_users_home(bigquery_emulator: Emulator) -> None:
    found = {path.name for path in (bigquery_emulator.data_dir / "home").rglob("*.duckdb_extension")}

    assert found == {"spatial.duckdb_extension", "avro.duckdb_extension"}
