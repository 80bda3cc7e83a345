"""A person is erased everywhere, and nobody else loses a byte."""

import datetime as dt
import json
from pathlib import Path

import pytest
from erased_world import ANN, BOB, Erasing, again, of_everybody, profile, text, whatsapp

from pipelines.bigquery import suppressed
from pipelines.bigquery.suppressed import KEY
from pipelines.bigquery.target import ConfigurationError
from pipelines.core.suppression import Key
from pipelines.erase.apply import Suppress
from pipelines.erase.plan import NobodyError, required_key
from pipelines.erase.sealed import SealError, Seals
from pipelines.reprocess import RefusedError, Steps
from tests.pipelines.reprocess.reprocess_support import InterruptAt, Warehouse

pytestmark = pytest.mark.thorough

EVENTS = of_everybody()
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


@pytest.fixture
def world(warehouse: Warehouse) -> Erasing:
    """A warehouse in which everybody is."""
    warehouse.received(EVENTS)
    return Erasing(warehouse)


def others(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the rows that tell of others; that a channel was seen tells of nobody."""
    return {
        table: [row for row in told if not any(each in row for each in (ANN, "8801550000101", "group-8'"))]
        for table, told in rows.items()
        # That a channel or a group was seen by her message alone is hers.
        if table not in {"channels", "conversations"}
    }


def without_anns(rows: dict[str, list[str]], world: Erasing) -> dict[str, list[str]]:
    anns = {
        row["contact_id"]
        for row in world.warehouse.query("SELECT contact_id, source_contact_id FROM `T.contacts`")
        if row["source_contact_id"] in {ANN, "DE.8801550000101"}
    }
    return {table: [row for row in told if not any(each in row for each in anns)] for table, told in rows.items()}


def archive_bytes(world: Erasing) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(world.warehouse.archive.rglob("*.avro")))


def test_a_plan_tells_what_there_is_and_changes_nothing(world: Erasing):
    before, archive = world.rows(), archive_bytes(world)

    planned = world.plan(source=("whatsapp", ANN))

    # Her number, and the user id that one webhook told with it.
    assert (planned.contacts, planned.alone, planned.beside) == (2, 4, 5)
    assert (planned.inseparable, planned.mentions, planned.damages) == ([], 0, 0)
    assert planned.archived_rows["messages 2026-03-14"] == planned.stored_rows["messages 2026-03-14"] == 6
    assert (world.rows(), archive_bytes(world)) == (before, archive)
    (kept,) = world.warehouse.query("SELECT * FROM `V.erasures`")
    assert kept["state"] == "planned"
    assert ANN not in json.dumps(kept, default=str)


def test_who_is_erased_is_nowhere_and_all_others_are_as_they_were(
    world: Erasing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = others(without_anns(world.rows(), world))
    run = world.warehouse.plan()
    # A receiver's disk, with what Pub/Sub has not taken yet.
    archived = sorted(world.warehouse.archive.rglob("*.avro"))[-1]
    spooled = tmp_path / "data" / "spool" / "source=whatsapp" / archived.name
    spooled.parent.mkdir(parents=True)
    spooled.write_bytes(archived.read_bytes())
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    planned = world.plan(source=("whatsapp", ANN))
    assert planned.spooled == 1

    done = world.apply(planned.run_id)

    assert done.is_done
    assert done.rows_of_runs > 0
    assert others(world.rows()) == expected
    report = world.verify(planned.run_id)
    assert [each for each in report.searched if each.hits] == []
    assert report.mentions == 0
    archive = archive_bytes(world)
    assert b"Ann" not in archive
    assert BOB.encode() in archive
    # The ledger still accounts for every event, and all of history makes the same rows again.
    outcomes = world.warehouse.query("SELECT outcome, reason FROM `V.events`")
    assert len(outcomes) == len(EVENTS)
    assert sum((row["reason"] or "").startswith("erased by ") for row in outcomes) == 4
    again = world.warehouse.plan()
    assert {
        name: counts
        for name, counts in again.differences().items()
        if counts["added"] + counts["removed"] + counts["changed"]
    } == {}
    with pytest.raises(RefusedError, match="somebody was erased since"):
        world.warehouse.apply(run, force=True, reason="no reason outweighs it")

    said_twice = world.apply(planned.run_id)
    assert (said_twice.is_done, said_twice.events, said_twice.deleted_rows) == (True, 0, 0)
    assert archive_bytes(world) == archive


def test_nothing_comes_back_but_the_person_may(world: Erasing):
    planned = world.plan(source=("whatsapp", ANN))
    world.apply(planned.run_id)
    expected = world.rows()
    late = [again(EVENTS[0], 50, LATER), again(EVENTS[1], 51, LATER)]

    # A spool is published, Pub/Sub delivers again, and the source sends again what it believes was lost.
    world.live([*EVENTS, *late])
    world.warehouse.archived(
        [*late, whatsapp(52, [text(ANN, 77, "again")], [profile(ANN, "Ann")], received_at=LATER)]
    )

    (told,) = world.warehouse.query("SELECT COUNT(*) AS n FROM `V.messages` WHERE content LIKE '%5550000101%'")
    assert told["n"] == 0
    assert {name: len(set(told)) for name, told in others(world.rows()).items() if name == "messages"} == {
        "messages": len(set(others(expected)["messages"])) + 1
    }
    run = world.warehouse.plan()
    world.warehouse.apply(run)
    (told,) = world.warehouse.query("SELECT COUNT(*) AS n FROM `V.messages` WHERE content LIKE '%5550000101%'")
    assert told["n"] == 1
    # What was delivered late is taken out of the archive when it is said again; what she writes now is hers.
    assert [each.hits for each in world.verify(planned.run_id).searched if each.place == "archive"] == [2]
    assert world.apply(planned.run_id).events == 2
    report = world.verify(planned.run_id)
    assert ([each for each in report.searched if each.hits], report.later) == ([], 1)


def test_rows_of_a_worker_that_did_not_know_yet_are_deleted(world: Erasing, monkeypatch: pytest.MonkeyPatch):
    planned = world.plan(source=("whatsapp", ANN))
    monkeypatch.setattr(suppressed, "KNOWN_AFTER_SECONDS", 10.0)

    class Unaware(Steps):
        """Stores what Ann wrote, as if nobody had been erased, as soon as the erasure waits for live."""

        stored = 0

        def progress(self, what: str, done: float, total: float, unit: str) -> None:
            if what == "waiting until live knows" and not self.stored:
                self.stored = 1
                world.live([EVENTS[0], EVENTS[1]], knows=False)
                monkeypatch.setattr(suppressed, "KNOWN_AFTER_SECONDS", 0.0)

    steps = Unaware()
    done = world.apply(planned.run_id, steps)

    assert steps.stored
    # What was stored just now is deleted as soon as BigQuery lets it: the erasure says that it is not done.
    assert (done.is_done, done.waiting_rows > 0) == (False, True)
    assert world.apply(planned.run_id).is_done
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []


def test_who_was_erased_is_not_waited_for_again(world: Erasing, monkeypatch: pytest.MonkeyPatch):
    planned = world.plan(source=("whatsapp", ANN))
    world.apply(planned.run_id)
    monkeypatch.setattr(suppressed, "KNOWN_AFTER_SECONDS", 3600.0)
    waited: list[str] = []

    class Told(Steps):
        def progress(self, what: str, done: float, total: float, unit: str) -> None:
            waited.append(what)

    assert world.apply(planned.run_id, Told()).is_done
    assert "waiting until live knows" not in waited


def test_a_run_that_is_being_applied_while_somebody_is_erased_brings_nothing_back(world: Erasing):
    run = world.warehouse.plan()
    planned = world.plan(source=("whatsapp", ANN))
    erased: list[str] = []

    def erase() -> None:
        # Once: whoever is refused decides again.
        if not erased:
            erased.append(planned.run_id)
            world.apply(planned.run_id, InterruptAt("begun", stop))

    def stop() -> None:
        raise InterruptedError

    class Between(Steps):
        def reached(self, step: str) -> None:
            if step == "checked":
                with pytest.raises(InterruptedError):
                    erase()

    with pytest.raises(RefusedError, match="somebody was erased since"):
        world.warehouse.apply(run, steps=Between(), force=True, reason="no reason outweighs it")
    assert erased


def test_without_the_key_nobody_makes_rows(world: Erasing, monkeypatch: pytest.MonkeyPatch):
    planned = world.plan(source=("whatsapp", ANN))
    where = (world.warehouse.client, world.warehouse.target)
    Suppress(*where, planned.run_id, required_key(), LATER).hold({"contact": ["somebody"]})
    monkeypatch.setenv(KEY, "another key of tests, and as long as it has to be")

    with pytest.raises(RefusedError, match="another key"):
        world.apply(planned.run_id)
    with pytest.raises(ConfigurationError, match=KEY):
        world.live(EVENTS[:1])
    with pytest.raises(SealError, match="another key"):
        Seals(str(world.warehouse.archive), Key("another key of tests, and as long as it has to be")).read(
            planned.run_id
        )
    monkeypatch.delenv(KEY)
    with pytest.raises(ConfigurationError, match=f"{KEY} is not set"):
        world.plan(source=("whatsapp", ANN))


def test_nobody_is_planned_whom_nobody_knows(world: Erasing):
    with pytest.raises(NobodyError):
        world.plan(source=("whatsapp", "4915550009999"))
    with pytest.raises(NobodyError):
        world.plan(person_id="nobody")
