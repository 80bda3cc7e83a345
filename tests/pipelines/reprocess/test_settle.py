"""Settling leaves one of everything, deletes what counts no more, and changes nothing where nothing differs."""

import datetime as dt
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from google.cloud import bigquery
from reprocess_support import ACTOR, Warehouse, options, reaction
from sms import sms

from pipelines import sources
from pipelines.bigquery import resolving
from pipelines.core.generation import GENERATION
from pipelines.core.rows import TABLES
from pipelines.reprocess import RefusedError, State, streamed, superseding
from pipelines.reprocess.settle import Summary, settle
from pipelines.reprocess.settle_command import settle as settle_command
from schemas import loader
from schemas.raw_event import RawEvent, format_received_at
from tests.long_archive import MOST_DAYS, WHOLE, YEARS, Archive, days_read
from tests.raw_events import NOON, raw_event, text_message
from tests.schemas.sample_world import whatsapp_event

pytestmark = pytest.mark.thorough

EVENTS = [text_message(n) for n in range(4)]
DAY = dt.datetime(2026, 3, 14, tzinfo=dt.UTC)
SUNDAY, FIRST = dt.datetime(2026, 3, 15, tzinfo=dt.UTC), dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
NOTHING = {
    "run_id": None,
    "changed_events": 0,
    "older_generations": 0,
    "retold": 0,
    "resolved": 0,
    "deleted_rows": 0,
    "agrees": True,
    "missing": 0,
    "not_archived": 0,
    "incomplete": 0,
    "stray": 0,
    "damages": 0,
}


def settled(warehouse: Warehouse, start: dt.datetime = DAY, days: int = 1) -> Summary:
    end = start + dt.timedelta(days=days)
    return settle(warehouse.client, warehouse.target, str(warehouse.archive), start, end, options(), actor=ACTOR)


def told(done: Summary, **expected: Any) -> dict[str, Any]:
    """Return what a summary says beyond the range, of the keys that are expected or not nothing."""
    found = {name: getattr(done, name) for name in NOTHING}
    return {name: value for name, value in found.items() if value != NOTHING[name] or name in expected}


def test_where_nothing_differs_no_row_is_written(warehouse: Warehouse):
    warehouse.received([*EVENTS, raw_event(b"no json", number=90)])
    warehouse.live(EVENTS[:2])
    before, images = warehouse.stored(), warehouse.images()

    done = settled(warehouse)

    assert told(done) == {}
    assert (warehouse.stored(), warehouse.images()) == (before, images)
    of_runs = f"{warehouse.target.views_dataset}_run_"
    assert [d.dataset_id for d in warehouse.client.list_datasets() if d.dataset_id.startswith(of_runs)] == []


def test_what_differs_is_applied_and_what_it_replaced_is_deleted(warehouse: Warehouse):
    warehouse.received(EVENTS)
    warehouse.archived([text_message(7)])
    right = warehouse.plan()
    warehouse.query(f"UPDATE `T.messages` SET kind = 'wrong' WHERE event_id = '{EVENTS[0].event_id}'")
    wrong = warehouse.images()

    done = settled(warehouse)

    run = warehouse.run("latest")
    assert (run.state, run.run_id) == (State.APPLIED, done.run_id)
    # Its message, and its ledger row.
    deleted = warehouse.query("SELECT `rows` + 1 AS n FROM `V.events` LIMIT 1")[0]["n"]
    assert told(done, run_id=1) == {"run_id": done.run_id, "changed_events": 2, "deleted_rows": deleted}
    assert right.differences()["messages"] == {"added": 1, "removed": 0, "changed": 0, "unchanged": 4}
    stored = warehouse.stored()
    assert stored["superseded"] == stored["retold"] == 0
    kept = [table for table in TABLES if table not in loader.SIGHTINGS]
    assert {table: stored[table] for table in kept} == {
        table: warehouse.query(f"SELECT COUNT(*) AS n FROM `V.counted_{table}`")[0]["n"] for table in kept
    }

    # Exact, though what it replaced has been deleted.
    warehouse.roll_back(run)
    assert warehouse.images() == wrong
    again = settled(warehouse)
    assert (again.changed_events, again.agrees) == (2, True)


def test_of_an_event_that_two_versions_stored_the_newer_counts(warehouse: Warehouse, generation):
    late = text_message(3, NOON - dt.timedelta(days=20))
    late = raw_event(late.data, number=3)
    warehouse.archived([late])
    generation(GENERATION - 1)
    warehouse.live([late])
    generation(GENERATION)
    # What the older version made lies in another partition, and says something else.
    warehouse.query("UPDATE `T.messages` SET message_id = 'other', sent_date = DATE '2026-03-14' WHERE TRUE")
    warehouse.live([late])
    assert len(warehouse.query("SELECT * FROM `V.messages`")) == 2

    done = settled(warehouse)

    assert done.older_generations == 1 or done.changed_events == 1
    assert done.agrees
    assert len(warehouse.query("SELECT * FROM `V.messages`")) == 1
    assert warehouse.stored()["messages"] == 1
    assert told(settled(warehouse)) == {}


def test_what_is_told_in_two_partitions_is_shown_in_the_first(warehouse: Warehouse):
    midnight = DAY + dt.timedelta(days=1)
    first = sms(1, midnight - dt.timedelta(minutes=1), 1)
    second = sms(1, midnight + dt.timedelta(minutes=1), 2)
    warehouse.received([second, first])
    assert len(warehouse.query("SELECT * FROM `V.messages`")) == 2

    done = settled(warehouse, days=2)

    assert told(done) == {"retold": 1}
    (shown,) = warehouse.query("SELECT sent_date FROM `V.messages`")
    assert shown["sent_date"] == DAY.date()
    assert told(settled(warehouse, days=2)) == {}

    # What no longer tells it in the first does not hide it in the second.
    warehouse.query(f"UPDATE `T.messages` SET message_id = 'other' WHERE event_id = '{first.event_id}'")
    warehouse.query(f"UPDATE `T.messages` SET kind = 'wrong' WHERE event_id = '{second.event_id}'")
    settled(warehouse, days=2)
    (shown,) = warehouse.query("SELECT sent_date FROM `V.messages`")
    assert shown["sent_date"] == DAY.date()


def test_what_is_told_again_long_after_is_found_on_the_first_of_a_month(warehouse: Warehouse):
    later = DAY + dt.timedelta(days=40)
    warehouse.received([sms(1, DAY, 1), sms(1, later, 2)])

    assert told(settled(warehouse, later)) == {}
    assert len(warehouse.query("SELECT * FROM `V.messages`")) == 2

    assert told(settled(warehouse, FIRST)) == {"retold": 1}
    (shown,) = warehouse.query("SELECT sent_date FROM `V.messages`")
    assert shown["sent_date"] == DAY.date()


def test_what_was_found_holds_for_partitions_that_are_not_read_again(warehouse: Warehouse):
    later = DAY + dt.timedelta(days=40)
    warehouse.received([sms(1, DAY, 1), sms(1, DAY + dt.timedelta(days=1), 2)])
    assert told(settled(warehouse, days=2)) == {"retold": 1}
    warehouse.received([sms(1, later, 3)])

    assert told(settled(warehouse, later)) == {}
    (shown,) = warehouse.query("SELECT sent_date FROM `V.messages`")
    assert shown["sent_date"] == DAY.date()


@pytest.mark.parametrize(
    ("key", "shown"), [("app.mode", 40), ("source.delivery_state", 0), ("source.referral", 0)]
)
def test_metadata_without_a_time_is_shown_where_it_is_told_last_unless_it_is_a_state_or_a_referral(
    warehouse: Warehouse, key: str, shown: int
):
    warehouse.received([reaction(1)])
    warehouse.query(f"UPDATE `T.metadata` SET key = '{key}', occurred_at_from = 'received' WHERE TRUE")
    for days in (1, 40):
        later = DAY + dt.timedelta(days=days)
        event = reaction(2 + days)
        warehouse.received([RawEvent(b"", {**event.attributes, "received_at": format_received_at(later)})])
        warehouse.query(
            f"INSERT INTO `T.metadata` SELECT * REPLACE ('{event.event_id}' AS event_id, "
            f"DATE '{later.date()}' AS occurred_date, TIMESTAMP '{later}' AS received_at) "
            f"FROM `T.metadata` WHERE occurred_date = '{DAY.date()}'"
        )
        superseding.retold_lately(
            warehouse.client, warehouse.target, later - superseding.LOOKS_BACK, later + dt.timedelta(days=1)
        )

    (found,) = warehouse.query("SELECT occurred_date FROM `V.metadata`")
    assert found["occurred_date"] == DAY.date() + dt.timedelta(days=shown)


def test_who_somebody_turns_out_to_be_is_kept_of_long_ago_on_a_sunday(warehouse: Warehouse):
    def wrote(number: int, at: dt.datetime, **sender: str) -> RawEvent:
        text = {"id": f"wamid.{number}", "timestamp": str(int(at.timestamp())), "type": "text"}
        message = text | {"text": {"body": "hello"}} | sender
        return raw_event(
            whatsapp_event(at, messages=[message])[2], source="whatsapp", received_at=at, number=number
        )

    long_ago, lately = DAY - dt.timedelta(days=50), DAY - dt.timedelta(days=3)
    by_id = {"from_user_id": "DE.1"}
    warehouse.received([wrote(1, long_ago, **by_id), wrote(2, lately, **by_id)])
    warehouse.received([wrote(3, DAY, **by_id, **{"from": "4915550000101"})])

    def kept() -> list[dt.date]:
        return [
            row["seen_date"] for row in warehouse.query("SELECT seen_date FROM `V.resolved_contacts` ORDER BY 1")
        ]

    settled(warehouse)
    assert kept() == [lately.date()]
    # Of the range's two days the second is one.
    assert told(settled(warehouse, SUNDAY - dt.timedelta(hours=12))) == {"resolved": 1}
    assert kept() == [long_ago.date(), lately.date()]


def test_what_is_in_the_write_buffer_is_deleted_later(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    warehouse.received(EVENTS)
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
    wrong = warehouse.stored()["messages"]
    with monkeypatch.context() as patch:
        patch.setenv(streamed.MINUTES, "30")
        done = settled(warehouse)
        assert (done.changed_events, done.deleted_rows) == (4, 0)
        assert warehouse.stored()["messages"] == 2 * wrong

    done = settled(warehouse)
    assert done.deleted_rows > wrong
    assert warehouse.stored()["messages"] == wrong


def test_a_source_that_is_unknown_here_changes_nothing(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    from pipelines.sources.custom import OwnJson

    body = {"source_message_id": "1", "source_sender_id": "7", "content": "hi", "source_channel_id": "c"}
    with monkeypatch.context() as patch:
        patch.setitem(sources.PARSERS, "desk", OwnJson("desk").parse)
        warehouse.received([raw_event(json.dumps(body).encode(), number=5, source="desk")])
    before, images = warehouse.stored(), warehouse.images()
    assert warehouse.query("SELECT outcome FROM `V.events`") == [{"outcome": "normalized"}]

    with pytest.raises(RefusedError, match="PARLEY_SOURCES_FILE"):
        settled(warehouse)
    assert (warehouse.stored(), warehouse.images()) == (before, images)

    # And by hand, where it would be applied.
    run = warehouse.plan()
    with pytest.raises(RefusedError, match="1 events that are normalized now would fail"):
        warehouse.apply(run)
    assert warehouse.images() == images
    warehouse.apply(run, force=True, reason="its time has passed")
    assert warehouse.query("SELECT outcome FROM `V.events`") == [{"outcome": "failed"}]


def test_the_command_says_what_it_did_and_its_exit_code(warehouse: Warehouse):
    environ = {
        "PARLEY_PROJECT": warehouse.target.project,
        "PARLEY_DATASET_PREFIX": warehouse.target.rows_dataset.removesuffix("parley_rows"),
        "PARLEY_ARCHIVE": str(warehouse.archive),
    }

    def run(*arguments: str, **variables: str) -> Result:
        return CliRunner(env=environ | variables).invoke(settle_command, arguments)

    warehouse.received(EVENTS)
    days = ("--from", "2026-03-14", "--to", "2026-03-15")
    done = run(*days, "--quiet")
    assert (done.exit_code, "nothing was to be done" in done.stdout) == (0, True), done.output
    warehouse.live([text_message(8)])
    done = run(*days, "--json")
    assert (done.exit_code, json.loads(done.stdout)["not_archived"]) == (5, 1)
    assert run("--from", "2026-03-15", "--to", "2026-03-15").exit_code == 2
    assert run(PARLEY_ARCHIVE="").exit_code == 2
    assert run(*days, PARLEY_SOURCES_FILE="/no/such/file").exit_code == 2


Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Every statement that BigQuery is given, and its parameters."""
    said: Asked = []
    for name in ("query", "query_and_wait"):
        ask = getattr(bigquery.Client, name)

        def heard(client, sql, *rest, ask=ask, **more):
            config = more.get("job_config")
            said.append((sql, {each.name: each.value for each in config.query_parameters} if config else {}))
            return ask(client, sql, *rest, **more)

        monkeypatch.setattr(bigquery.Client, name, heard)
    return said


def most_read(asked: Asked, warehouse: Warehouse, day: dt.datetime) -> dict[str, int]:
    """Return of each table how many days' partitions the query reads that reads most of them."""
    read: dict[str, int] = {}
    for sql, given in asked:
        # A script moves, in one transaction, what the statements before it have found.
        if not sql.startswith("BEGIN"):
            for table, days in days_read(sql, given, warehouse.target, day.date()).items():
                read[table] = max(days, read.get(table, 0))
    return read


def test_a_day_costs_its_own_size_however_long_the_archive(
    warehouse: Warehouse, asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    warehouse.archived(EVENTS)
    archive = Archive(warehouse.archive, DAY, YEARS)
    assert archive.events >= 990_000_000
    archive.stand_in(monkeypatch)

    done = settled(warehouse)

    assert (done.agrees, done.changed_events) == (True, len(EVENTS))
    # Nothing else is listed, and what has only a name cannot be read.
    assert set(archive.listed) == {DAY.date().isoformat()}
    read = most_read(asked, warehouse, DAY)
    assert read.keys() >= {*TABLES}
    assert {table for table, days in read.items() if days > MOST_DAYS} == set(WHOLE)


def test_a_sunday_costs_a_hundred_days_and_the_first_of_a_month_two_tables(warehouse: Warehouse, asked: Asked):
    warehouse.archived(EVENTS)
    settled(warehouse, SUNDAY)

    read = most_read(asked, warehouse, SUNDAY)
    assert {table for table, days in read.items() if days > resolving.LATE.days + MOST_DAYS} == set(WHOLE)
    assert read["messages"] > resolving.LATE.days

    asked.clear()
    settled(warehouse, FIRST)
    read = most_read(asked, warehouse, FIRST)
    assert {table for table, days in read.items() if days > 3 * MOST_DAYS} == {*WHOLE, "messages", "metadata"}
