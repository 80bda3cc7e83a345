"""What was kept long enough goes, what was not does not, and nobody lets go what is held."""

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from erased_world import ANN, BOB, Erasing, profile, text, whatsapp

from pipelines.bigquery.target import ConfigurationError
from pipelines.erase.erasures import Erasure, Erasures
from pipelines.erase.holds import Holds, of_person
from pipelines.erase.person import Person
from pipelines.erase.plan import required_key
from pipelines.erase.retention import Rule, due, retain, rules
from pipelines.erase.retention_commands import hold
from pipelines.erase.scan import gather
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import RefusedError, Steps
from pipelines.reprocess.reconcile import reconcile
from pipelines.reprocess.runs import Runs, Staging, State
from tests.pipelines.reprocess.reprocess_support import ACTOR, InterruptAt, Warehouse, options
from tests.raw_events import NOON, text_message

pytestmark = pytest.mark.thorough

DAY = dt.timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)
OLD = [
    whatsapp(1, [text(ANN, 1)], [profile(ANN, "Ann")], received_at=NOON - 2 * DAY),
    whatsapp(2, [text(BOB, 2)], [profile(BOB, "Bob")], received_at=NOON - DAY),
]
YOUNG = [whatsapp(3, [text(ANN, 3)], [profile(ANN, "Ann")], received_at=MIDNIGHT)]
OTHERS = [text_message(7, NOON - 2 * DAY)]
RULE = Rule("whatsapp", 400, MIDNIGHT)


@pytest.fixture
def world(warehouse: Warehouse) -> Warehouse:
    warehouse.received([*OLD, *YOUNG, *OTHERS])
    return warehouse


def let_go(world: Warehouse, steps: Steps | None = None):
    return retain(world.client, world.target, str(world.archive), RULE, ACTOR, options(), steps=steps)


def messages(world: Warehouse) -> list[str]:
    return sorted(row["source_message_id"] for row in world.query("SELECT source_message_id FROM `V.messages`"))


def told(world: Warehouse) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(world.archive.rglob("*.avro")))


def anns(world: Warehouse) -> Person:
    asked = Person(named=frozenset([("whatsapp", ANN)]))
    return gather(str(world.archive), asked, frozenset(), Steps())


def test_what_is_due_goes_and_nothing_younger_and_nothing_of_other_sources(world: Warehouse):
    before, archive = messages(world), told(world)
    older = world.plan()
    (planned,) = due(world.client, world.target, [RULE])
    assert (planned.events, planned.first, planned.last) == (2, (NOON - 2 * DAY).date(), (NOON - DAY).date())
    assert (messages(world), told(world)) == (before, archive)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        let_go(world, InterruptAt("archived", interrupt))
    done = let_go(world)

    assert (done.left, done.held, done.waiting, done.damaged) == (0, 0, 0, 0)
    assert messages(world) == [
        "m_7",
        json.loads(YOUNG[0].data)["entry"][0]["changes"][0]["value"]["messages"][0]["id"],
    ]
    assert BOB.encode() not in told(world)
    assert YOUNG[0].data in told(world)
    assert b"m_7" in told(world)
    assert world.query("SELECT COUNT(*) AS n FROM `T.messages`") == [{"n": 2}]
    reasons = world.query("SELECT reason FROM `V.events` WHERE outcome = 'ignored'")
    assert [row["reason"] for row in reasons] == ["erased by retention"] * 2
    assert reconcile(world.client, world.target, str(world.archive), Selection(), options()).agrees
    # Nor does a run bring them back that was planned before.
    with pytest.raises(RefusedError, match="somebody was erased since"):
        world.apply(older, force=True, reason="no reason outweighs it")
    archive = told(world)
    assert (let_go(world).events, told(world)) == (0, archive)
    assert {each.state for each in Erasures(world.client, world.target).all()} == {"applying", "applied"}


@pytest.mark.parametrize("step", ["begun", "archived", "placed"])
def test_interrupted_anywhere_it_goes_on_and_nothing_comes_back(world: Warehouse, step: str):
    older = world.plan()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        let_go(world, InterruptAt(step, interrupt))
    own = [each for each in Runs(world.client, world.target).all() if each.state is State.APPLIED]
    for each in own:
        with pytest.raises(RefusedError, match="that is final"):
            world.roll_back(each)
    let_go(world)

    assert world.query("SELECT COUNT(*) AS n FROM `T.messages`") == [{"n": 2}]
    assert world.query(
        f"SELECT COUNT(*) AS n FROM `{Staging.of(world.target, older.run_id).made('messages')}`"
    ) == [{"n": 2}]
    assert [world.kept(each) for each in own] == [False] * len(own)
    # Once it has come to its end, there is nothing to go on with.
    done = Erasures(world.client, world.target).all()
    assert (let_go(world).events, len(done)) == (0, len(Erasures(world.client, world.target).all()))


@pytest.mark.parametrize(("step", "stays"), [("begun", True), ("archived", False)])
def test_interrupted_and_then_to_be_kept_longer_rows_go_with_what_the_archive_let_go(
    world, step: str, stays: bool
):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        let_go(world, InterruptAt(step, interrupt))
    longer = Rule("whatsapp", 500, MIDNIGHT - 100 * DAY)
    retain(world.client, world.target, str(world.archive), longer, ACTOR, options())

    assert (BOB.encode() in told(world)) is stays
    assert world.query("SELECT COUNT(*) AS n FROM `T.messages`") == [{"n": 4 if stays else 2}]
    assert reconcile(world.client, world.target, str(world.archive), Selection(), options()).agrees
    # When it is due again it is found, on any day.
    later = Rule("whatsapp", 500, MIDNIGHT)
    (again,) = due(world.client, world.target, [later])
    assert again.events == (2 if stays else 0)


def on(day: dt.datetime, before: dt.datetime) -> Rule:
    """Return the rule as it is on a day, by which what was received before a day is due."""
    return Rule("whatsapp", (day - before).days, before)


def test_a_night_reads_some_weeks_of_the_ledger_and_the_first_of_a_month_all_of_it(world: Warehouse):
    night, first = MIDNIGHT + 409 * DAY, MIDNIGHT.replace(year=2027, month=5, day=1)
    let_go(world)
    late, very_late = NOON - 30 * DAY, NOON - 60 * DAY
    world.live([whatsapp(n, [text(BOB, n)], [], received_at=at) for n, at in ((8, late), (9, very_late))])

    def found(rule: Rule) -> tuple[int, dt.date | None]:
        (told,) = due(world.client, world.target, [rule])
        return told.events, told.first

    assert found(on(night, MIDNIGHT + DAY)) == (2, late.date())
    assert found(on(first, MIDNIGHT + DAY)) == (3, very_late.date())
    # An earlier version did not say what it had left.
    erasures, reason = Erasures(world.client, world.target), "retention of whatsapp, 400 days"
    earlier = Erasure("ffffffff", "applying", NOON, ACTOR, reason, "", None)
    erasures.record(earlier, "applying", ACTOR, {"until": MIDNIGHT.isoformat()})
    erasures.record(earlier, "applied", ACTOR, {"left": 0})
    assert found(on(night, MIDNIGHT + DAY)) == (3, very_late.date())
    # Of another source nothing was let go yet.
    world.live([text_message(70, NOON - 90 * DAY)])
    assert due(world.client, world.target, [Rule("facebook", 400, MIDNIGHT)])[0].events == 2


def test_what_was_left_is_looked_at_again_however_old(world: Warehouse):
    holds = Holds(str(world.archive))
    start, end = NOON - 100 * DAY, NOON - 99 * DAY
    world.received([whatsapp(9, [text(BOB, 9)], [profile(BOB, "Bob")], received_at=start)])
    later = dt.datetime.now(dt.UTC) + DAY
    held = holds.add("counsel", "case 12", later, source="whatsapp", start=start, end=end)
    assert let_go(world).left == 1
    next_year = on(MIDNIGHT + 500 * DAY, MIDNIGHT + 100 * DAY)

    (told,) = due(world.client, world.target, [next_year])
    assert (told.events, told.first) == (2, start.date())
    holds.release(held.hold_id, "counsel", "closed")
    rest = retain(world.client, world.target, str(world.archive), next_year, ACTOR, options())
    assert (rest.events, rest.left) == (2, 0)


def test_a_legal_hold_refuses_retention_and_erasure_until_it_is_taken_back(world: Warehouse):
    holds, later = Holds(str(world.archive)), dt.datetime.now(dt.UTC) + DAY
    of_ann = holds.add("counsel", "case 12", later, **of_person(anns(world), required_key()))
    erasing = Erasing(world)

    with pytest.raises(RefusedError, match=r"counsel holds a person until .* \(case 12\)"):
        erasing.plan(source=("whatsapp", ANN))
    done = let_go(world)
    assert (done.events, done.held, done.left) == (2, 1, 1)
    assert (ANN.encode() in told(world), BOB.encode() in told(world)) == (True, False)
    written = "".join(path.read_text("utf-8") for path in (world.archive / "replies").rglob("holds/*"))
    assert ANN not in written
    assert not any(contact in written for contact in anns(world).contacts)

    holds.release(of_ann.hold_id, "counsel", "closed")
    planned = erasing.plan(source=("whatsapp", ANN))
    of_range = holds.add("counsel", "case 13", later, source="whatsapp", start=MIDNIGHT, end=None)
    with pytest.raises(RefusedError, match="case 13"):
        erasing.apply(planned.run_id)
    assert let_go(world).left == 0
    assert (of_range.covers("whatsapp", MIDNIGHT), of_range.covers("twilio", MIDNIGHT)) == (True, False)
    assert [each.reason for each in holds.all()] == ["case 12", "case 13"]
    assert [each.reason for each in holds.releases().values()] == ["closed"]
    assert holds.active(later) == []
    with pytest.raises(LookupError):
        holds.release("another", "counsel", "closed")


def test_whom_a_hold_means_must_be_told(world: Warehouse, monkeypatch: pytest.MonkeyPatch):
    later = dt.datetime.now(dt.UTC) + DAY
    Holds(str(world.archive)).add("counsel", "case 12", later, **of_person(anns(world), required_key()))
    archive = told(world)
    monkeypatch.setenv("PARLEY_ERASURE_KEY", "another key of tests, and as long as it has to be")

    with pytest.raises(RefusedError, match="case 12"):
        let_go(world)
    with pytest.raises(RefusedError, match="case 12"):
        Erasing(world).plan(source=("whatsapp", BOB))
    assert told(world) == archive


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2026-04-01", "--to", "2026-03-01", "--until", "9000-01-01"], "--from is not before --to"),
        (["--until", "2026-01-01"], "nothing would be held"),
    ],
)
def test_a_hold_that_would_hold_nothing_is_wrong_usage(tmp_path: Path, arguments: list[str], said: str):
    told = ["range", *arguments, "--reason", "case 12", "--archive", str(tmp_path)]
    result = CliRunner().invoke(hold, told)
    assert (result.exit_code, said in result.output) == (2, True)
    assert Holds(str(tmp_path)).all() == []


@pytest.mark.parametrize("arguments", [["list"], ["range", "--until", "9000-01-01", "--reason", "case 12"]])
def test_nothing_is_held_where_there_is_no_archive(tmp_path: Path, arguments: list[str]):
    result = CliRunner().invoke(hold, [*arguments, "--archive", str(tmp_path / "misspelt")])
    assert (result.exit_code, "no archive at" in result.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_the_setting_is_days_by_source_and_never_less_than_asked():
    now = NOON.astimezone(dt.timezone(dt.timedelta(hours=-9)))
    assert rules({"PARLEY_RETENTION_DAYS": "whatsapp=2, twilio=30"}, now) == [
        Rule("whatsapp", 2, MIDNIGHT - 2 * DAY),
        Rule("twilio", 30, MIDNIGHT - 30 * DAY),
    ]
    assert rules({}, now) == []
    for wrong in (
        "whatsapp",
        "nobody=3",
        "whatsapp=0",
        "whatsapp=-1",
        "whatsapp=1 whatsapp=2",
        "whatsapp=1.5",
        "whatsapp=99999999",
    ):
        with pytest.raises(ConfigurationError, match="PARLEY_RETENTION_DAYS"):
            rules({"PARLEY_RETENTION_DAYS": wrong}, now)


def test_no_reason_lets_a_run_be_applied_that_began_before_something_was_let_go(world: Warehouse):
    run = world.plan()
    let_go(world)

    with pytest.raises(RefusedError, match="or something let go by its age: discard it and plan again"):
        world.apply(run, force=True, reason="no reason outweighs it")

    assert world.apply(world.plan()).state is State.APPLIED
