"""What is told of a person after the plan of an erasure, or comes late, goes as well and stays gone."""

import datetime as dt

import pytest
from erased_world import ANN, BOB, Erasing, of_everybody, profile, text, whatsapp

from pipelines.core.suppression import Key
from pipelines.erase.person import Person
from pipelines.erase.plan import required_key
from pipelines.erase.sealed import SealError, Seals
from tests.pipelines.reprocess.reprocess_support import Warehouse
from tests.raw_events import NOON

pytestmark = pytest.mark.thorough

NEW_USER_ID = "DE.8801550000999"
SINCE = NOON + dt.timedelta(hours=1)
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


@pytest.fixture
def world(warehouse: Warehouse) -> Erasing:
    """A warehouse in which everybody is."""
    warehouse.received(of_everybody())
    return Erasing(warehouse)


def said(world: Erasing, what: str) -> int:
    (found,) = world.warehouse.query(f"SELECT COUNT(*) AS n FROM `T.messages` WHERE content LIKE '%{what}%'")
    return int(found["n"])


def test_an_id_that_was_told_since_is_the_persons(world: Erasing):
    planned = world.plan(source=("whatsapp", ANN))
    by_user_id = text("", 61, "withheld")
    del by_user_id["from"]
    by_user_id |= {"from_user_id": NEW_USER_ID, "id": "wamid.withheld61"}
    linked = whatsapp(60, [text(ANN, 60, "linked")], [profile(ANN, "Ann", user_id=NEW_USER_ID)], received_at=SINCE)
    alone = [{"user_id": NEW_USER_ID, "profile": {"name": "Ann"}}]
    world.warehouse.received([linked, whatsapp(61, [by_user_id], alone, received_at=SINCE)])

    world.apply(planned.run_id)

    assert (said(world, "linked"), said(world, "withheld 61")) == (0, 0)
    archive = b"".join(path.read_bytes() for path in world.warehouse.archive.rglob("*.avro"))
    assert NEW_USER_ID.encode() not in archive
    report = world.verify(planned.run_id)
    assert [each for each in report.searched if each.hits] == []


@pytest.mark.parametrize("is_late", [False, True])
def test_a_message_that_was_told_since_is_not_brought_back_in_another_body(world: Erasing, is_late: bool):
    planned = world.plan(source=("whatsapp", ANN))
    since = whatsapp(60, [text(ANN, 60, "since")], [profile(ANN, "Ann")], received_at=SINCE)
    if is_late:
        # Of a host that was away: what was received before the erasure is archived after it.
        world.apply(planned.run_id)
        world.warehouse.archived([since])
    else:
        world.warehouse.received([since])
    world.apply(planned.run_id)
    both = [text(BOB, 61, "of bob"), text(ANN, 60, "since")]
    late = whatsapp(61, both, [profile(BOB, "Bob"), profile(ANN, "Ann")], received_at=LATER)

    world.warehouse.archived([late])
    world.live([late])

    assert (said(world, "of bob"), said(world, "since 60")) == (1, 0)
    assert [each.hits for each in world.verify(planned.run_id).searched if each.place == "archive"] == [1]
    assert world.apply(planned.run_id).events == 1
    assert [each for each in world.verify(planned.run_id).searched if each.hits] == []


def test_what_is_sealed_later_is_read_with_the_rest_and_forgotten_with_it(world: Erasing):
    archive = str(world.warehouse.archive)
    seals = Seals(archive, required_key())
    seals.keep("run", Person(contacts=frozenset({"one"})))

    seals.add("run", Person(contacts=frozenset({"other"}), messages=frozenset({"message"})))

    assert seals.read("run") == Person(contacts=frozenset({"one", "other"}), messages=frozenset({"message"}))
    with pytest.raises(SealError, match="another key"):
        Seals(archive, Key("another key of tests, and as long as it has to be")).read("run")
    seals.forget("run")
    with pytest.raises(SealError, match="not known any more"):
        seals.read("run")
    assert [each for each in (world.warehouse.archive / "replies" / "erasures").rglob("*") if each.is_file()] == []
