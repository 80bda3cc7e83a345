"""The local BigQuery's transactions are all or nothing: for errors, for readers, and for kill -9."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from bigquery_fixtures import PROJECT, Emulator, free_ports, running_emulator
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from google.cloud import bigquery

from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target, client

pytestmark = pytest.mark.thorough


@pytest.fixture
def table(bigquery_client: bigquery.Client, empty_target: Target) -> str:
    bigquery_client.create_dataset(empty_target.rows_dataset)
    return create(bigquery_client, empty_target.rows_dataset)


def create(opened: bigquery.Client, dataset: str) -> str:
    name = f"{opened.project}.{dataset}.numbers"
    opened.create_table(bigquery.Table(name, [bigquery.SchemaField("n", "INT64")]))
    opened.query_and_wait(f"INSERT INTO `{name}` (n) VALUES (1), (2)")
    return name


def numbers(opened: bigquery.Client, table: str) -> list[int]:
    return [row[0] for row in opened.query_and_wait(f"SELECT n FROM `{table}` ORDER BY n")]


def test_a_transaction_is_committed(bigquery_client: bigquery.Client, table: str):
    bigquery_client.query_and_wait(
        f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE n = 1; INSERT INTO `{table}` (n) VALUES (3); "
        "COMMIT TRANSACTION;"
    )

    assert numbers(bigquery_client, table) == [2, 3]


@pytest.mark.parametrize(
    "failure",
    ["RAISE USING MESSAGE = 'no, thanks'", "SELECT 1 / 0", "SELECT nothing FROM nowhere", "ROLLBACK TRANSACTION"],
)
def test_a_failure_or_rollback_undoes_every_statement(bigquery_client: bigquery.Client, table: str, failure: str):
    script = f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE TRUE; {failure}; COMMIT TRANSACTION;"

    if failure.startswith("ROLLBACK"):
        bigquery_client.query_and_wait(script)
    else:
        with pytest.raises(GoogleAPICallError):
            bigquery_client.query_and_wait(script)

    assert numbers(bigquery_client, table) == [1, 2]
    bigquery_client.query_and_wait(f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE n = 1; COMMIT TRANSACTION;")
    assert numbers(bigquery_client, table) == [2]


def test_readers_see_no_half_of_a_transaction(bigquery_client: bigquery.Client, table: str):
    seen: set[tuple[int, ...]] = set()
    stop, polled = threading.Event(), threading.Event()

    def poll() -> None:
        while not stop.is_set():
            seen.add(tuple(numbers(bigquery_client, table)))
            polled.set()

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for _ in range(10):
            polled.clear()
            assert polled.wait(60)
            bigquery_client.query_and_wait(
                f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE TRUE; INSERT INTO `{table}` (n) VALUES (1); "
                f"INSERT INTO `{table}` (n) VALUES (2); COMMIT TRANSACTION;"
            )
    finally:
        stop.set()
        reader.join()
    assert seen == {(1, 2)}


# After each of its statements a transaction gives way, so that another comes in between.
_MANY = "SELECT 1; " * 10


def at_once(opened: bigquery.Client, *scripts: str) -> list[str]:
    """Run scripts side by side; return what each was refused for, or nothing."""
    together = threading.Barrier(len(scripts))

    def run(script: str) -> str:
        together.wait(60)
        try:
            opened.query_and_wait(script)
        except GoogleAPICallError as refused:
            return str(refused)
        return ""

    with ThreadPoolExecutor(len(scripts)) as threads:
        return list(threads.map(run, scripts))


def test_of_two_transactions_that_change_one_table_one_is_aborted(bigquery_client: bigquery.Client, table: str):
    script = (
        f"BEGIN TRANSACTION; SELECT COUNT(*) FROM `{table}`; {_MANY} UPDATE `{table}` SET n = n + 10 WHERE TRUE; "
        f"{_MANY} COMMIT TRANSACTION;"
    )
    committed, aborted = 0, []

    # Where the machine is busy, one may have ended before the other comes.
    while not aborted:
        assert committed < 40
        outcomes = at_once(bigquery_client, script, script)
        committed += outcomes.count("")
        aborted = [outcome for outcome in outcomes if outcome]

    assert "Transaction is aborted due to concurrent update against table" in aborted[0]
    assert numbers(bigquery_client, table) == [1 + 10 * committed, 2 + 10 * committed]


def test_transactions_that_only_insert_all_commit(bigquery_client: bigquery.Client, table: str):
    scripts = [
        f"BEGIN TRANSACTION; {_MANY} INSERT INTO `{table}` (n) VALUES ({n}); {_MANY} COMMIT TRANSACTION;"
        for n in range(3, 6)
    ]

    assert at_once(bigquery_client, *scripts) == [""] * 3
    assert numbers(bigquery_client, table) == [1, 2, 3, 4, 5]


def test_a_single_statement_waits_for_a_transaction_and_is_not_lost(bigquery_client: bigquery.Client, table: str):
    script = f"BEGIN TRANSACTION; UPDATE `{table}` SET n = n + 10 WHERE TRUE; {_MANY} COMMIT TRANSACTION;"

    outcomes = at_once(bigquery_client, script, f"UPDATE `{table}` SET n = n + 100 WHERE TRUE")

    # The transaction may have begun before the statement and come to the table after it.
    assert outcomes[1] == ""
    moved = 100 if outcomes[0] else 110
    assert numbers(bigquery_client, table) == [1 + moved, 2 + moved]


def test_a_transaction_that_nobody_ended_is_rolled_back(bigquery_client: bigquery.Client, table: str):
    bigquery_client.query_and_wait(f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE TRUE;")

    assert numbers(bigquery_client, table) == [1, 2]


@pytest.mark.timeout(240)
def test_kill_9_in_a_transaction_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ports = free_ports(2)
    with running_emulator(tmp_path, *ports) as emulator:
        opened = connected(emulator, monkeypatch)
        opened.create_dataset("d")
        table = create(opened, "d")
        # A statement that takes minutes, so that the kill falls between what was changed and the commit.
        array = "UNNEST(GENERATE_ARRAY(1, 200000))"
        long = f"SELECT COUNT(*) FROM {array} AS a, {array} AS b WHERE MOD(a * b, 7) = 3"
        script = (
            f"BEGIN TRANSACTION; DELETE FROM `{table}` WHERE TRUE; INSERT INTO `{table}` (n) VALUES (9); {long}; "
            "COMMIT TRANSACTION;"
        )
        running = threading.Thread(target=run_and_fail, args=(opened, script))
        running.start()
        wait_until_busy(emulator.rest)
        emulator.process.send_signal(signal.SIGKILL)
        running.join()

    with running_emulator(tmp_path, *ports) as emulator:
        assert numbers(connected(emulator, monkeypatch), table) == [1, 2]


def connected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> bigquery.Client:
    monkeypatch.setenv(REST_EMULATOR, emulator.rest)
    monkeypatch.setenv(GRPC_EMULATOR, emulator.rpc)
    return client(Target.prefixed(PROJECT))


def run_and_fail(opened: bigquery.Client, script: str) -> None:
    with pytest.raises((GoogleAPIError, requests.RequestException)):
        opened.query_and_wait(script)


def wait_until_busy(url: str) -> None:
    """Wait until nothing else is answered: a script is in the middle of its long statement then."""
    while True:
        try:
            requests.get(f"{url}/readyz", timeout=1)
        except requests.Timeout:
            return
