"""What live has just stored is not replaced: BigQuery would refuse it in a transaction."""

import datetime as dt

import pytest
from click.testing import CliRunner
from reprocess_support import Warehouse

from pipelines.bigquery.target import REST_EMULATOR, ConfigurationError
from pipelines.core.rows import TABLES
from pipelines.reprocess import RefusedError, State, streamed
from pipelines.reprocess.backfill_commands import backfill
from pipelines.reprocess.dead_letter_commands import dead_letters
from pipelines.reprocess.reconcile_command import reconcile
from tests.raw_events import raw_event, text_message

EVENTS = [text_message(n) for n in range(4)]


@pytest.fixture
def googles_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait that is in force with the real BigQuery."""
    monkeypatch.delenv(streamed.MINUTES)


def stored_earlier(warehouse: Warehouse, minutes: int) -> None:
    """Make every row older."""
    earlier = f"TIMESTAMP_SUB(processed_at, INTERVAL {minutes} MINUTE)"
    warehouse.query("; ".join(f"UPDATE `T.{table}` SET processed_at = {earlier} WHERE TRUE" for table in TABLES))


@pytest.mark.usefixtures("googles_wait")
def test_what_live_stored_less_than_half_an_hour_ago_is_not_replaced(warehouse: Warehouse):
    warehouse.received(EVENTS)
    run = warehouse.plan()
    before = warehouse.images()
    now = dt.datetime.now(dt.UTC)

    with pytest.raises(RefusedError) as refused:
        warehouse.apply(run)
    with pytest.raises(RefusedError, match="cannot be applied before"):
        warehouse.apply(run, force=True, reason="in a hurry")

    words = str(refused.value)
    until = dt.datetime.fromisoformat(words.partition("before ")[2][:19]).replace(tzinfo=dt.UTC)
    assert now + dt.timedelta(minutes=20) < until < now + dt.timedelta(minutes=31)
    assert "BigQuery lets no transaction replace those" in words
    assert (warehouse.images(), warehouse.run(run.run_id).state) == (before, State.PLANNED)

    stored_earlier(warehouse, 29)
    with pytest.raises(RefusedError, match=r"UTC, [12] min from now"):
        warehouse.apply(run)
    stored_earlier(warehouse, 2)
    assert warehouse.apply(run).state is State.APPLIED
    # What it deletes was inserted a moment ago, and not streamed.
    assert warehouse.roll_back(run).state is State.ROLLED_BACK
    assert warehouse.apply(run).state is State.APPLIED


@pytest.mark.usefixtures("googles_wait")
def test_what_a_run_has_just_put_in_place_can_be_replaced_but_not_what_live_stores_then(warehouse: Warehouse):
    warehouse.archived(EVENTS)
    warehouse.apply(warehouse.plan())
    assert warehouse.apply(warehouse.plan()).state is State.APPLIED

    warehouse.live(EVENTS[:1])
    with pytest.raises(RefusedError, match="cannot be applied before"):
        warehouse.apply(warehouse.plan())


@pytest.mark.usefixtures("googles_wait")
def test_events_that_are_not_in_the_run_are_not_waited_for(warehouse: Warehouse):
    warehouse.received(EVENTS)
    stored_earlier(warehouse, 31)
    run = warehouse.plan()
    warehouse.received([text_message(9)])

    assert warehouse.apply(run).state is State.APPLIED


@pytest.mark.usefixtures("googles_wait")
def test_an_empty_run_waits_for_nothing(warehouse: Warehouse):
    warehouse.received(EVENTS)

    assert warehouse.apply(warehouse.plan(sources=("none",))).state is State.APPLIED


@pytest.mark.usefixtures("googles_wait")
def test_every_command_that_applies_is_refused_with_3(warehouse: Warehouse):
    warehouse.received([*EVENTS, raw_event(b"no json", number=90)])
    warehouse.query(f"DELETE FROM `T.messages` WHERE event_id = '{EVENTS[0].event_id}'")
    environ = {
        "PARLEY_PROJECT": warehouse.target.project,
        "PARLEY_DATASET_PREFIX": warehouse.target.rows_dataset.removesuffix("parley_rows"),
        "PARLEY_ARCHIVE": str(warehouse.archive),
    }
    warehouse.plan()
    before = warehouse.images()

    for command, arguments in (
        (backfill, ["apply", "latest"]),
        (dead_letters, ["redrive", "--apply", "--quiet"]),
        (reconcile, ["--redrive", "--quiet"]),
    ):
        done = CliRunner(env=environ).invoke(command, arguments)
        assert (done.exit_code, "cannot be applied before" in done.output) == (3, True), done.output
    assert warehouse.images() == before


@pytest.mark.parametrize(
    ("text", "emulator", "minutes"),
    [("", "", 30), ("30", "", 30), ("45", "", 45), ("0", "http://there", 0), ("", "http://there", 30)],
)
def test_how_long_to_wait_is_a_setting(text: str, emulator: str, minutes: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(streamed.MINUTES, text)
    monkeypatch.setenv(REST_EMULATOR, emulator)

    assert streamed.buffered_for() == dt.timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["0", "29", "-1", "1.5", "soon", "²", "9" * 30])
def test_googles_wait_is_not_shortened(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(streamed.MINUTES, text)
    monkeypatch.delenv(REST_EMULATOR, raising=False)

    with pytest.raises(ConfigurationError, match=streamed.MINUTES):
        streamed.buffered_for()
