"""The commands as scripts and people use them: what they print, and their exit codes."""

import base64
import datetime as dt
import json
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from reprocess_support import Warehouse
from sms import sms

from pipelines import sources
from pipelines.bigquery.target import Target
from pipelines.cli import main
from pipelines.core.rows import TABLES
from schemas.raw_event import RawEvent
from tests.raw_events import NOON, raw_event, text_message

pytestmark = pytest.mark.thorough

Parley = Callable[..., Result]


@pytest.fixture
def parley(warehouse: Warehouse) -> Parley:
    """Runs `parley …` on the warehouse."""
    environ = {
        "PARLEY_PROJECT": warehouse.target.project,
        "PARLEY_DATASET_PREFIX": warehouse.target.rows_dataset.removesuffix("parley_rows"),
        "PARLEY_ARCHIVE": str(warehouse.archive),
    }

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner(env=environ).invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return run


def damage(path: Path) -> int:
    """Overwrite some bytes in the middle of a segment; return where."""
    content = bytearray(path.read_bytes())
    sync = bytes(content[-16:])
    middle = content.index(sync, len(content) // 2) + len(sync)
    content[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(content)
    return middle


def test_a_run_by_command_from_plan_to_discard(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    events = [text_message(n) for n in range(4)]
    hostile = text_message(9)
    hostile = raw_event(hostile.data.replace(b"text 9", b"<script>alert(1)</script>"), number=9)
    warehouse.received([*events, hostile])
    warehouse.query(f"UPDATE `T.messages` SET direction = 'outbound' WHERE event_id = '{hostile.event_id}'")
    warehouse.query(f"DELETE FROM `T.messages` WHERE event_id = '{events[0].event_id}'")
    report = tmp_path / "report.html"

    planned = parley("backfill", "plan", "--quiet", "--reason", "try", "--report", report)
    run = planned.stdout.strip()

    html = report.read_text("utf-8")
    assert run in html
    assert "changed in messages" in html
    assert html.count("<svg") == 3
    assert "<script" not in html
    assert not [word for word in ('src="', "url(h", "@import", "<link", "<iframe") if word in html]
    shown = parley("backfill", "show", run, "--samples", 2).stdout
    assert f"Run {run}" in shown
    assert "planned by" in shown
    assert "outbound" in shown
    told = json.loads(parley("backfill", "show", "latest", "--json").stdout)
    assert (told["state"], told["events"]) == ("planned", 5)
    assert told["counts"]["messages"] == {"added": 1, "removed": 0, "changed": 1, "unchanged": 3}
    assert told["selection"] == {"archive": str(warehouse.archive)}
    assert run in parley("backfill", "list").stdout
    assert json.loads(parley("backfill", "list", "--json").stdout) == [told]

    assert "is applied" in parley("backfill", "apply", run).stdout
    assert "is applied" in parley("backfill", "apply", run).stdout
    assert "needed to roll it back" in parley("backfill", "discard", run, code=3).output
    assert "is rolled back" in parley("backfill", "rollback", run, "--reason", "no").stdout
    assert "is discarded" in parley("backfill", "discard", run).stdout
    assert "is discarded" in parley("backfill", "apply", run, code=3).output
    assert "What the run kept is gone" in parley("backfill", "show", run).stdout
    assert "no run of that name" in parley("backfill", "apply", "00000000", code=1).output
    assert "needs --reason" in parley("backfill", "apply", run, "--force", code=2).output


def test_a_plan_shows_rows_of_every_table(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550104400", "phone_number_id": "770000000000023"},
        "contacts": [{"profile": {"name": "Noor"}, "wa_id": "15550108899", "user_id": "US.2081"}],
        "messages": [
            {"from": "15550108899", "id": "w.1", "timestamp": "1794980000", "type": "text", "text": {"body": "x"}}
        ],
        "statuses": [
            {"id": "wamid.3", "status": "read", "timestamp": "1794980000", "recipient_id": "15550108899"}
        ],
    }
    entry = {"id": "880000000000017", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    warehouse.archived([raw_event(body, source="whatsapp"), raw_event(b"no json", source="whatsapp", number=1)])
    report = tmp_path / "report.html"

    run = parley("backfill", "plan", "--quiet", "--reason", "first", "--report", report).stdout.strip()

    shown, html = parley("backfill", "show", run).stdout, report.read_text("utf-8")
    for table in TABLES:
        assert f"added in {table}" in html, table
        assert f"added in {table}" in shown, table


def test_a_plan_of_named_events_and_of_dead_letters(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    events = [text_message(n) for n in range(5)]
    warehouse.received([*events, raw_event(b"no json", number=90)])
    names = tmp_path / "ids"
    names.write_text(f"{events[1].event_id}\n\n  {events[3].event_id}\n")

    parley("backfill", "plan", "--quiet", "--events", names)
    assert warehouse.run("latest").events == 2
    parley("backfill", "plan", "--quiet", "--events", names, "--dead-letters")
    assert warehouse.run("latest").events == 3
    assert "no archive at" in parley("backfill", "plan", "--archive", tmp_path / "none", code=1).output


def test_a_plan_of_no_event_is_no_run(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    warehouse.received([text_message(1)])
    names = tmp_path / "ids"
    names.write_text("\n")
    for arguments in (["--dead-letters"], ["--events", names], ["--events", names, "--dead-letters"]):
        assert "Nothing to plan" in parley("backfill", "plan", *arguments).stderr
    assert warehouse.query("SELECT * FROM `T.runs`") == []


def test_what_can_be_read_of_a_damaged_archive_is_planned_and_the_exit_code_says_so(
    warehouse: Warehouse, parley: Parley
):
    path = warehouse.archived([text_message(n) for n in range(10)])
    offset = damage(path)

    shown = parley("backfill", "plan", code=4).stdout.replace("\n", "")

    run = warehouse.run("latest")
    assert run.events == 8
    (lost,) = run.damages
    assert lost.offset <= offset < lost.offset + lost.size
    assert f"{path}: {lost.size} bytes at offset {lost.offset} cannot be read" in shown
    assert f"{path} at offset {lost.offset}" in parley("backfill", "apply", "latest", code=3).output
    parley("backfill", "apply", "latest", "--force", "--reason", "the rest is lost")
    assert warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`") == [{"n": 8}]


def test_dead_letters_become_rows_after_a_fix(
    warehouse: Warehouse, parley: Parley, monkeypatch: pytest.MonkeyPatch
):
    def broken(event: RawEvent, lineage: object) -> None:
        raise ArithmeticError(f"of the parser's own: {event.event_id}")

    with monkeypatch.context() as patch:
        patch.setitem(sources.PARSERS, "facebook", broken)
        warehouse.received([text_message(1), text_message(2)])
    warehouse.received([text_message(3), raw_event(b"no json", number=90)])

    listed = parley("dead-letters", "list").stdout
    assert "ArithmeticError" in listed
    assert "of the parser's own" in listed
    assert listed.count("facebook") == 2
    shown = parley("dead-letters", "show", text_message(1).event_id).stdout
    assert '"text": "text 1"' in shown
    first = json.loads(parley("dead-letters", "list", "--json").stdout)[0]
    assert (first["error_class"], first["letters"], first["first"][:10]) == (
        "ArithmeticError",
        2,
        str(NOON.date()),
    )
    # Both came at one time: the example is of one of them, and the same one every time.
    assert first["event"] == text_message(2).event_id
    assert first["example"].endswith(first["event"])
    (letter,) = json.loads(parley("dead-letters", "show", text_message(1).event_id, "--json").stdout)
    assert base64.b64decode(letter["data"]) == text_message(1).data
    none = parley("dead-letters", "redrive", "--class", "KeyError").stdout
    assert "No dead letter" in none

    parley("dead-letters", "redrive", "--class", "ArithmeticError", "--apply", "--quiet")

    assert warehouse.run("latest").events == 2
    assert warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`") == [{"n": 3}]
    assert [row["event_id"] for row in warehouse.query("SELECT event_id FROM `V.dead_letters`")] == [
        raw_event(b"", number=90).event_id
    ]


def test_what_is_missing_is_found_and_made_again(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    events = [text_message(n) for n in range(4)] + [raw_event(b"no json", number=90)]
    warehouse.received(events)
    warehouse.live(events[:2])
    agreed = parley("reconcile", "--from", NOON.date(), "--to", "2026-03-15").stdout
    assert "Archive, ledger and rows agree" in agreed

    missing, alone = text_message(5), text_message(6)
    warehouse.archived([missing])
    warehouse.live([alone])
    warehouse.query(f"DELETE FROM `T.messages` WHERE event_id = '{events[3].event_id}'")
    found = tmp_path / "lacking"
    differing = parley("reconcile", "--list", found, "--redrive", code=5).stdout

    assert f"1 in the archive, not in the ledger: {missing.event_id}" in differing
    assert f"1 in the ledger, not in the archive: {alone.event_id}" in differing
    assert f"1 with other rows than the ledger says: {events[3].event_id}" in differing
    assert found.read_text().split() == sorted([events[3].event_id, missing.event_id])
    assert "2 events were normalized again" in differing
    told = json.loads(parley("reconcile", "--json", code=5).stdout)
    assert (told["agrees"], told["not_archived"], told["missing"]) == (False, [alone.event_id], [])
    assert (told["days"][0]["archived"], told["days"][0]["normalized"], told["run_id"]) == (6, 6, None)
    again = parley("reconcile", code=5).stdout
    assert "not in the ledger" not in again
    assert "with other rows" not in again
    numbers = next(line for line in again.splitlines() if "facebook" in line).replace("│", " ").split()
    # archived = normalized + partial + ignored + failed + missing - not archived
    assert numbers[2:] == ["6", "6", "0", "0", "1", "0", "1", "0", "0"]


@pytest.mark.parametrize(
    "command",
    [("backfill", "plan"), ("reconcile",), ("settle",), ("dead-letters", "list"), ("dead-letters", "redrive")],
)
def test_a_range_that_has_no_time_in_it_is_wrong_usage(parley: Parley, command: tuple[str, ...]):
    for start, end in (("2026-04-01", "2026-03-01"), ("2026-04-01", "2026-04-01")):
        assert "--from is not before --to" in parley(*command, "--from", start, "--to", end, code=2).output
        assert "--from is not before --to" in parley(*command, "--to", end, "--from", start, code=2).output
    assert "not of the years 1970 to 9998" in parley(*command, "--from", "0001-01-01", code=2).output


def test_a_source_that_does_not_exist_is_planned_by_nobody(warehouse: Warehouse, parley: Parley):
    warehouse.received([text_message(1)])
    # Rows of Instagram come of the endpoint facebook.
    assert "no such source: instagram" in parley("backfill", "plan", "--source", "instagram", code=2).output
    refused = parley("batch", "--archive", warehouse.archive, "--into", "v2_", "--source", "instagram", code=2)
    assert "no such source: instagram" in refused.output
    assert "No runs." in parley("backfill", "list").stdout


@pytest.mark.parametrize(
    "command", [("backfill", "plan"), ("dead-letters", "redrive"), ("batch", "--into", "v2_")]
)
def test_a_file_of_sources_that_cannot_be_used_is_said_in_a_line(
    warehouse: Warehouse, parley: Parley, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    warehouse.received([text_message(1)])
    broken = tmp_path / "sources.toml"
    broken.write_text("no toml")
    monkeypatch.setenv("PARLEY_SOURCES_FILE", str(broken))

    said = parley(*command, "--archive", warehouse.archive, code=1 if command[0] == "batch" else 2)

    assert "Error: PARLEY_SOURCES_FILE: " in said.output
    monkeypatch.delenv("PARLEY_SOURCES_FILE")
    assert "No runs." in parley("backfill", "list").stdout


def test_a_wrong_archive_leaves_no_datasets_behind(warehouse: Warehouse, parley: Parley, tmp_path: Path):
    warehouse.received([text_message(1)])
    into = f"b{uuid.uuid4().hex[:12]}_"
    assert "no archive at" in parley("batch", "--archive", tmp_path / "none", "--into", into, code=1).output
    assert "events of" in parley("batch", "--archive", warehouse.archive, "--into", into).stdout


def test_datasets_of_a_batch_are_settled_by_the_command_that_it_tells(
    warehouse: Warehouse, parley: Parley, monkeypatch: pytest.MonkeyPatch
):
    warehouse.archived([sms(1, NOON, 1), sms(1, NOON + dt.timedelta(days=40), 2)])
    into = f"b{uuid.uuid4().hex[:12]}_"
    beside = Warehouse(warehouse.client, Target.prefixed(warehouse.target.project, into), warehouse.archive)

    told = parley("batch", "--archive", warehouse.archive, "--into", into).stdout.splitlines()[-1]

    prefix, name, *settle = shlex.split(told.partition(": ")[2])
    assert (prefix, name) == (f"PARLEY_DATASET_PREFIX={into}", "parley")
    monkeypatch.setenv("PARLEY_PROJECT", beside.target.project)
    monkeypatch.setenv("PARLEY_DATASET_PREFIX", into)
    done = CliRunner().invoke(main, settle)
    assert done.exit_code == 0, done.output
    (shown,) = beside.query("SELECT sent_date FROM `V.messages`")
    assert shown["sent_date"] == NOON.date()
