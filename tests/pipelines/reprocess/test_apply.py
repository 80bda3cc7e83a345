"""Applying replaces, rolling back restores, and neither loses what live stores meanwhile."""

import datetime as dt
import threading

import pytest
from reprocess_support import ACTOR, InterruptAt, Warehouse, options, reaction

from pipelines.core.generation import GENERATION
from pipelines.reprocess import RefusedError, State
from pipelines.reprocess.settle import settle
from schemas import loader
from tests.raw_events import NOON, raw_event, text_message

pytestmark = pytest.mark.thorough

EVENTS = [text_message(n) for n in range(6)]
LATER = NOON + dt.timedelta(hours=1)
WRONG = {
    "events": "reason",
    "messages": "kind",
    "conversations": "source_conversation_id",
    "contacts": "display_name",
    "channels": "display_name",
    "metadata": "value",
    "dead_letters": "error_message",
    "aliases": "kind",
}
"""Every table, with a column that an older version might have got wrong. All other views are made of the views
`counted_…` of these, each by one query."""


def spoil(warehouse: Warehouse) -> None:
    """Make rows wrong, as an older generation might have."""
    warehouse.query("UPDATE `T.messages` SET kind = 'wrong' WHERE TRUE")
    warehouse.query("INSERT INTO `T.contacts` SELECT * REPLACE ('wrong' AS contact_id) FROM `T.contacts`")


def spoiled(warehouse: Warehouse) -> None:
    """Store events, and make their rows wrong."""
    warehouse.received(EVENTS)
    spoil(warehouse)


def test_apply_puts_right_and_rollback_restores_exactly(warehouse: Warehouse):
    warehouse.received([*EVENTS, raw_event(b"no json", number=90)])
    right = warehouse.views()
    spoil(warehouse)
    wrong, wrong_rows = warehouse.views(), warehouse.images()
    run = warehouse.plan()

    assert warehouse.apply(run).state is State.APPLIED
    assert warehouse.views() == right
    applied = warehouse.images()
    assert warehouse.apply(run).state is State.APPLIED
    assert warehouse.images() == applied

    assert warehouse.roll_back(run).state is State.ROLLED_BACK
    assert (warehouse.views(), warehouse.images()) == (wrong, wrong_rows)
    assert warehouse.roll_back(run).state is State.ROLLED_BACK

    run = warehouse.apply(run)
    assert warehouse.views() == right
    states = [change.state for change in run.history]
    assert states == ["planning", "planned", "applied", "rolled_back", "applied"]


def test_events_that_arrive_meanwhile_stay(warehouse: Warehouse):
    warehouse.received(EVENTS[:3])
    spoil(warehouse)
    run = warehouse.plan()
    warehouse.received(EVENTS[3:5])
    warehouse.apply(run)
    warehouse.received(EVENTS[5:])
    everything = warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`")

    warehouse.roll_back(run)

    assert everything == warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`") == [{"n": 6}]


def test_an_event_that_live_stores_after_the_run_survives_the_rollback(warehouse: Warehouse):
    warehouse.archived(EVENTS)
    run = warehouse.plan()
    warehouse.apply(run)
    warehouse.live(EVENTS[:1])
    assert warehouse.query("SELECT COUNT(*) AS n FROM `V.messages`") == [{"n": 6}]

    warehouse.roll_back(run)

    (row,) = warehouse.query("SELECT event_id FROM `V.messages`")
    assert row["event_id"] == EVENTS[0].event_id


def test_readers_see_all_of_the_old_or_all_of_the_new_in_every_view(warehouse: Warehouse):
    warehouse.received([*EVENTS, reaction(1), raw_event(b"no json", number=90)])
    for table, column in WRONG.items():
        if table not in loader.SIGHTINGS:
            warehouse.query(f"UPDATE `T.{table}` SET {column} = 'wrong' WHERE TRUE")
    names = "channel_display_name = 'wrong', contact_display_name = 'wrong', source_conversation_id = 'wrong'"
    for table in ("messages", "metadata"):
        warehouse.query(f"UPDATE `T.{table}` SET {names} WHERE TRUE")
    needed = "source, channel_id, contact_id, source_contact_id, event_id, received_at, generation, processed_at"
    warehouse.query(
        f"INSERT INTO `T.aliases` ({needed}, alias_id, kind, other_contact_id, other_source_contact_id, told_at, "
        f"told_date, pointer) SELECT {needed}, contact_id, 'wrong', 'o', 'o', seen_at, seen_date, '' "
        "FROM `V.seen_contacts`"
    )
    run = warehouse.plan()
    numbers = ", ".join(
        f"(SELECT COUNT(*) FROM `V.counted_{table}`) AS all_{table}, "
        f"(SELECT COUNTIF({column} = 'wrong') FROM `V.counted_{table}`) AS {table}"
        for table, column in WRONG.items()
    )
    seen: set[tuple[int, ...]] = set()
    polled = {"wrong": threading.Event(), "right": threading.Event()}
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(0.1):
            (row,) = warehouse.query(f"SELECT {numbers}")
            seen.add(tuple(row.values()))
            polled["wrong" if row["messages"] else "right"].set()

    def reaches(state: str) -> None:
        for event in polled.values():
            event.clear()
        assert polled[state].wait(60)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        reaches("wrong")
        warehouse.apply(run)
        reaches("right")
        warehouse.roll_back(run)
        reaches("wrong")
        done = settle(
            warehouse.client, warehouse.target, str(warehouse.archive), NOON, LATER, options(), actor=ACTOR
        )
        assert done.deleted_rows
        reaches("right")
    finally:
        stop.set()
        reader.join()
    old, new = sorted(seen, reverse=True)
    assert all(old[1::2])
    assert not any(new[1::2])
    aliases = 2 * list(WRONG).index("aliases")
    assert all(count for place, count in enumerate(new[::2]) if 2 * place != aliases)


def test_a_failure_within_the_transaction_changes_nothing(warehouse: Warehouse):
    warehouse.received(EVENTS)
    spoil(warehouse)
    run = warehouse.plan()
    before = warehouse.images()
    # The last table that is replaced; the tables before it have been by then.
    warehouse.query("ALTER TABLE `T.dead_letters` RENAME TO gone")

    with pytest.raises(Exception, match="dead_letters"):
        warehouse.apply(run)

    warehouse.query("ALTER TABLE `T.gone` RENAME TO dead_letters")
    assert warehouse.images() == before


def test_whoever_decides_on_an_old_state_decides_anew(warehouse: Warehouse):
    spoiled(warehouse)
    first, second = warehouse.plan(), warehouse.plan()
    others = iter([lambda: warehouse.apply(second)])

    def meanwhile() -> None:
        next(others, lambda: None)()

    with pytest.raises(RefusedError, match=f"run {second.run_id} was applied for the same events since the plan"):
        warehouse.apply(first, steps=InterruptAt("checked", meanwhile))


def test_a_run_that_was_applied_while_another_was_planned_is_in_its_way(warehouse: Warehouse):
    spoiled(warehouse)
    second = warehouse.plan()

    first = warehouse.plan(InterruptAt("compared", lambda: warehouse.apply(second)))

    with pytest.raises(RefusedError, match=f"run {second.run_id} was applied for the same events since the plan"):
        warehouse.apply(first)


def test_a_run_over_other_events_does_not_object(warehouse: Warehouse):
    spoiled(warehouse)
    first = warehouse.plan(events=frozenset([EVENTS[0].event_id]))
    warehouse.apply(warehouse.plan(events=frozenset([EVENTS[1].event_id])))

    assert warehouse.apply(first).state is State.APPLIED


def test_a_run_is_refused_where_another_was_applied_since_unless_forced(warehouse: Warehouse):
    spoiled(warehouse)
    first, second = warehouse.plan(), warehouse.plan()
    warehouse.apply(second)

    with pytest.raises(RefusedError, match="since the plan"):
        warehouse.apply(first)
    with pytest.raises(ValueError, match="reason"):
        warehouse.apply(first, force=True)
    forced = warehouse.apply(first, force=True, reason="we know")

    assert (forced.state, forced.history[-1].reason) == (State.APPLIED, "we know")
    with pytest.raises(RefusedError, match=f"run {first.run_id} was applied to the same events since"):
        warehouse.roll_back(second)
    warehouse.roll_back(first)
    assert warehouse.roll_back(second).state is State.ROLLED_BACK


def test_an_older_generation_is_refused(warehouse: Warehouse, generation):
    spoiled(warehouse)
    generation(0)
    run = warehouse.plan()

    refused = f"rows of generation {GENERATION} are there, and the run's are of generation 0"
    with pytest.raises(RefusedError, match=refused):
        warehouse.apply(run)


def test_a_newer_generation_that_live_stores_meanwhile_is_not_replaced(warehouse: Warehouse, generation):
    spoiled(warehouse)
    run = warehouse.plan()

    def meanwhile() -> None:
        generation(GENERATION + 1)
        warehouse.live(EVENTS[:1])
        generation(GENERATION)

    with pytest.raises(RefusedError, match=f"rows of generation {GENERATION + 1} are there"):
        warehouse.apply(run, steps=InterruptAt("checked", meanwhile))
    assert warehouse.run(run.run_id).state is State.PLANNED


def test_what_is_discarded_while_it_is_applied_is_not_applied(warehouse: Warehouse):
    spoiled(warehouse)
    run, before = warehouse.plan(), warehouse.images()

    with pytest.raises(RefusedError, match="is discarded"):
        warehouse.apply(run, steps=InterruptAt("checked", lambda: warehouse.discard(run)))
    assert warehouse.images() == before


def test_rows_of_other_events_are_neither_written_nor_dated_anew(warehouse: Warehouse):
    warehouse.received(EVENTS)
    warehouse.query(f"UPDATE `T.messages` SET kind = 'wrong' WHERE event_id = '{EVENTS[0].event_id}'")
    before = warehouse.stored()
    others = f"SELECT event_id, processed_at FROM `V.events` WHERE event_id != '{EVENTS[0].event_id}' ORDER BY 1"
    dated = warehouse.query(others)

    warehouse.apply(warehouse.plan())

    written = {table: number - before[table] for table, number in warehouse.stored().items()}
    assert {table: written[table] for table in ("events", "messages", "superseded")} == {
        "events": 1,
        "messages": 1,
        "superseded": 1,
    }
    assert warehouse.query(others) == dated


def test_an_applied_run_is_not_discarded_and_a_discarded_one_not_applied(warehouse: Warehouse):
    warehouse.received(EVENTS)
    run = warehouse.plan()
    warehouse.apply(run)
    with pytest.raises(RefusedError, match="is applied"):
        warehouse.discard(run)

    warehouse.roll_back(run)
    assert warehouse.discard(run).state is State.DISCARDED
    assert warehouse.discard(run).state is State.DISCARDED
    with pytest.raises(RefusedError, match="is discarded"):
        warehouse.apply(run)


def test_a_run_whose_rows_are_gone_is_refused(warehouse: Warehouse):
    warehouse.received(EVENTS)
    run = warehouse.plan()
    warehouse.client.delete_dataset(
        f"{warehouse.target.views_dataset}_run_{run.run_id.replace('-', '')}", delete_contents=True
    )

    with pytest.raises(RefusedError, match="is gone"):
        warehouse.apply(run)


def test_a_run_stands_in_the_way_of_others_also_when_what_it_kept_is_gone(warehouse: Warehouse):
    spoiled(warehouse)
    first, second = warehouse.plan(), warehouse.plan()
    warehouse.apply(second)
    warehouse.client.delete_dataset(
        f"{warehouse.target.views_dataset}_run_{second.run_id.replace('-', '')}", delete_contents=True
    )

    with pytest.raises(RefusedError, match=f"run {second.run_id} was applied for the same events since the plan"):
        warehouse.apply(first)
    # And where not even the record of it is left.
    warehouse.query(f"DELETE FROM `T.runs` WHERE run_id = '{second.run_id}'")
    with pytest.raises(RefusedError, match="somebody has moved the same events since the plan"):
        warehouse.apply(first)
