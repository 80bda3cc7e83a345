"""Counts of the views against what a generated world's raw events say (`make recount`: of 100,000 messages)."""

import os
from collections import Counter, defaultdict

import pytest
from analyst import Analyst
from retelling import Noted, Receipt, Said, retell

from pipelines.core.times import rfc3339
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World

pytestmark = pytest.mark.thorough

CONVERSATIONS = int(os.environ.get("PARLEY_RECOUNT_CONVERSATIONS", "150"))
DAYS = 5
RANKS = ("accepted", "queued", "sending", "sent", "failed", "delivered", "read")
WORLD = World(CONVERSATIONS, 11, write_archive.day_of(DEFAULT_START), DAYS, tuple(WEIGHTS), people.MOST)
NAMES = {known: f"person {person}" for person in range(WORLD.people) for known in people.all_ids(person)}


class Raw:
    """What the raw events say of messages; of what is told twice, the first telling."""

    def __init__(self, events):
        self.events = sorted(events, key=lambda event: event.received_at)
        facts = list(retell(self.events, NAMES))
        self.said = {}
        self.days = set()
        for fact in facts:
            if isinstance(fact, Said):
                self.said.setdefault((fact.source, fact.message), fact)
                self.days.add((fact.source, rfc3339(fact.at)[:10], fact.message, fact.is_inbound))
        self.receipts = defaultdict(list)
        for fact in facts:
            if isinstance(fact, Receipt):
                self.receipts[fact.source, fact.message].append(fact)
        self.notes = {fact for fact in facts if isinstance(fact, Noted)}
        self.states = {
            message: max((each.state for each in told), key=RANKS.index) for message, told in self.receipts.items()
        }
        self.only_receipts = {message for message in self.states if message not in self.said}


@pytest.fixture(scope="module")
def raw():
    return Raw(item.event for day in range(DAYS) for item in delivery.of_day(WORLD, day))


@pytest.fixture(scope="module")
def shop(emulator_environment, raw):
    someone = Analyst()
    someone.tell(*raw.events)
    yield someone
    someone.close()


def counted(shop, sql):
    """Return the last column of a query by the ones before it."""
    return {tuple(row.values())[:-1]: last for row in shop.query(sql) if (last := tuple(row.values())[-1])}


@pytest.mark.parametrize("view", ["messages", "messages_current", "message_texts"])
def test_messages(shop, raw, view):
    expected = Counter((said.source, "inbound" if said.is_inbound else "outbound") for said in raw.said.values())
    sql = f"SELECT source, direction, COUNT(DISTINCT message_id) FROM parley.{view} GROUP BY source, direction"
    assert counted(shop, sql) == expected


def test_daily_activity(shop, raw):
    expected = Counter((source, day, inbound) for source, day, _, inbound in raw.days)
    sql = (
        "SELECT source, CAST(sent_date AS STRING) AS day, {inbound} AS inbound, SUM({column}) "
        "FROM parley.daily_activity GROUP BY source, day"
    )
    inbound = counted(shop, sql.format(inbound="TRUE", column="inbound_messages"))
    outbound = counted(shop, sql.format(inbound="FALSE", column="outbound_messages"))
    assert inbound | outbound == expected


@pytest.mark.parametrize("view", ["conversations", "channels", "contacts"])
def test_what_has_messages(shop, raw, view):
    expected = Counter(said.source for said in raw.said.values())
    assert counted(shop, f"SELECT source, SUM(messages) FROM parley.{view} GROUP BY source") == {
        (source,): count for source, count in expected.items()
    }


def test_conversations(shop, raw):
    expected = Counter(source for source, _ in {(said.source, said.talk) for said in raw.said.values()})
    sql = "SELECT source, COUNT(*) FROM parley.conversations WHERE messages > 0 GROUP BY source"
    assert counted(shop, sql) == {(source,): count for source, count in expected.items()}


def test_contacts_who_wrote(shop, raw):
    wrote = {(said.source, said.contact) for said in raw.said.values() if said.is_inbound}
    expected = Counter(source for source, _ in wrote)
    sql = "SELECT source, COUNT(*) FROM parley.contacts WHERE inbound_messages > 0 GROUP BY source"
    assert counted(shop, sql) == {(source,): count for source, count in expected.items()}


def test_delivery_states(shop, raw):
    expected = Counter((source, state) for (source, _), state in raw.states.items())
    sql = "SELECT source, state, COUNT(*) FROM parley.delivery_states GROUP BY source, state"
    assert counted(shop, sql) == expected


def test_messages_by_receipt_and_delivery_funnel(shop, raw):
    expected = {(key,): n for key, n in Counter(source for source, _ in raw.only_receipts).items()}
    assert expected
    assert expected == counted(shop, "SELECT source, COUNT(*) FROM parley.messages_by_receipt GROUP BY source")
    assert expected == counted(
        shop, "SELECT source, SUM(only_receipts) FROM parley.delivery_funnel GROUP BY source"
    )
    outbound = Counter(said.source for said in raw.said.values() if not said.is_inbound)
    for (source,), count in expected.items():
        outbound[source] += count
    assert counted(shop, "SELECT source, SUM(messages) FROM parley.delivery_funnel GROUP BY source") == {
        (source,): count for source, count in outbound.items()
    }


def test_metadata(shop, raw):
    expected = Counter((note.source, note.key) for note in raw.notes)
    assert expected
    sql = (
        "SELECT source, key, COUNT(DISTINCT subject_id) FROM parley.metadata "
        "WHERE key IN ('reaction.emoji', 'source.edited', 'source.deleted') GROUP BY source, key"
    )
    assert counted(shop, sql) == expected


def test_response_times(shop, raw):
    talks = defaultdict(list)
    for said in raw.said.values():
        if said.is_inbound or raw.states.get((said.source, said.message)) != "failed":
            talks[said.source, said.talk].append((said.at, not said.is_inbound, said.source))
    for message in raw.only_receipts:
        told = raw.receipts[message]
        if raw.states[message] != "failed":
            sent = min((each.at for each in told if each.state == "sent"), default=min(each.at for each in told))
            talks[told[0].source, told[0].talk].append((sent, True, told[0].source))
    turns, answered = Counter(), Counter()
    for exchange in talks.values():
        waiting = False
        for _, is_ours, source in sorted(exchange):
            turns[source] += not is_ours and not waiting
            answered[source] += is_ours and waiting
            waiting = not is_ours
    sql = "SELECT source, {} FROM parley.response_times GROUP BY source"
    for column, expected in {"COUNT(*)": turns, "COUNT(answered_at)": answered}.items():
        assert counted(shop, sql.format(column)) == {
            (source,): count for source, count in expected.items() if count
        }


def test_events_and_data_quality(shop, raw):
    expected = {(source,): n for source, n in Counter(event.source for event in raw.events).items()}
    assert counted(shop, "SELECT source, COUNT(*) FROM parley.events GROUP BY source") == expected
    for column in "requests", "normalized":
        sql = f"SELECT endpoint, SUM({column}) FROM parley.data_quality GROUP BY endpoint"
        assert counted(shop, sql) == expected
    assert not counted(shop, "SELECT source, COUNT(*) FROM parley.dead_letters GROUP BY source")
