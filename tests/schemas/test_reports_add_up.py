"""Whatever was sent, and in whatever order and number it is told: the reports add up."""

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_message_costs import GERMANY, rates
from webhooks import asks, pricing, replied, status, tell

pytestmark = pytest.mark.thorough

PRICES = {"marketing": 110_000, "authentication": 50_000}
# The simplest story is the one that costs most.
ENDS = {"read": ("sent", "delivered", "read"), "failed": ("sent", "failed"), "sent": ("sent",), "nothing": ()}
KINDS = ("human", "bot", "system", None)
GROUPINGS = ("told_date", "source", "category", "channel_id")


class Sent(NamedTuple):
    """A message to one of a few contacts."""

    end: str
    category: str
    billable: bool
    tellings: tuple[int, ...]
    """Which of its statuses tell the price."""
    actor: str | None
    template: bool
    is_answered: bool
    came: bool
    """Whether the contact's question before it came from an advertisement."""
    contact: int


sent = st.builds(
    Sent,
    st.sampled_from(list(ENDS)),
    st.sampled_from(["marketing", "authentication", "service"]),
    st.sampled_from([True, False]),
    st.sets(st.integers(0, 2), min_size=1).map(lambda each: tuple(sorted(each))),
    st.sampled_from(KINDS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2),
)


@st.composite
def stories(draw):
    """Return messages, and the webhooks about them: in any order, some of them twice."""
    messages = draw(st.lists(sent, min_size=12, max_size=20))
    told = [event for number, each in enumerate(messages) for event in webhooks(number, each)]
    again = draw(st.lists(st.sampled_from(told), max_size=8))
    return messages, draw(st.permutations([*told, *again]))


def webhooks(number, each):
    """Yield what is told of a message: over two days, so that days differ."""
    minute, phone, name = number * 150, f"49155500001{each.contact:02}", f"m{number}"
    advertisement = {"referral": {"source_type": "ad", "source_id": f"a{number % 2}", "ctwa_clid": f"c{number}"}}
    yield asks(minute, phone, **(advertisement if each.came else {}))
    content = (
        {"type": "template", "template": {"name": "news", "language": {"code": "de"}}} if each.template else None
    )
    yield replied(minute + 5, name, content, phone, **({"kind": each.actor, "id": "x"} if each.actor else {}))
    for step, state in enumerate(ENDS[each.end]):
        price = pricing(each.category, each.billable) if step in each.tellings else {}
        yield status(minute + 6 + step, name, state, phone, **price)
    if each.is_answered:
        yield asks(minute + 30, phone)


@pytest.fixture
def quick(analyst, monkeypatch):
    """An analyst of empty tables who asks the local BigQuery alone: other tests ask the reference, too."""
    monkeypatch.setattr(analyst, "_googlesql", None)
    return analyst


def test_sums_are_the_same_however_they_are_grouped_and_told(quick):
    @settings(max_examples=2, phases=[Phase.generate])
    @given(stories())
    def check(story):
        messages, told = story
        quick.forget()
        rates(quick, *(GERMANY.format(category, "message", price) for category, price in PRICES.items()))
        tell(quick, *told)
        costs_add_up(quick, messages)
        actors_add_up(quick, messages)
        templates_add_up(quick, messages)
        acquisitions_add_up(quick, messages)

    check()


def costs_add_up(analyst, messages):
    # A status that is not there tells nothing.
    known = [each for each in messages if each.end != "nothing"]
    charged = [each for each in known if each.end == "read" and each.billable]
    money = sum(PRICES.get(each.category, 0) for each in charged)
    sums = "COUNT(*) AS messages, COUNTIF(is_charged) AS charged, COALESCE(SUM(cost_micros), 0) AS money"
    total = ", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in ("messages", "charged", "money"))
    parts = (
        f"SELECT '{by}' AS grouping_name, {total} FROM (SELECT {by}, {sums} FROM costs GROUP BY {by})"
        for by in GROUPINGS
    )
    found = analyst.query(
        f"WITH costs AS (SELECT * FROM parley.message_costs) {' UNION ALL '.join(parts)} ORDER BY grouping_name"
    )
    assert [tuple(row.values()) for row in found] == [
        (by, len(known), len(charged), money) for by in sorted(GROUPINGS)
    ]


def actors_add_up(analyst, messages):
    expected = Counter(each.actor or "nobody" for each in messages)
    kinds = "COALESCE(actor_kind, 'nobody')"
    found = analyst.query(f"SELECT {kinds} AS kind, COUNT(*) AS n FROM parley.actors GROUP BY kind")
    assert {row["kind"]: row["n"] for row in found} == expected
    columns = ("human_messages", "bot_messages", "system_messages", "unknown_messages", "outbound_messages")
    sessions = analyst.query(
        f"SELECT {', '.join(columns)}, messages, inbound_messages, first_human_response_seconds AS human, "
        "first_bot_response_seconds AS bot, first_response_seconds AS first, charged_messages, unpriced_messages "
        "FROM parley.conversation_report"
    )
    for row in sessions:
        assert sum(row[name] for name in columns[:-1]) == row["outbound_messages"]
        assert row["inbound_messages"] + row["outbound_messages"] == row["messages"]
        assert row["unpriced_messages"] <= row["charged_messages"]
        # Time of a bot is in no human figure, and neither is where nobody of them wrote.
        assert (row["human"] is None) or row["human_messages"]
        assert (row["bot"] is None) or row["bot_messages"]
        assert all(row["first"] <= row[name] for name in ("human", "bot") if row[name] is not None)
    for kind, name in zip(KINDS, columns, strict=False):
        assert sum(row[name] for row in sessions) == expected[kind or "nobody"]


def templates_add_up(analyst, messages):
    used = [each for each in messages if each.template]
    found = analyst.query("SELECT * FROM parley.templates")
    assert [row["messages"] for row in found] == ([len(used)] if used else [])
    for row in found:
        assert row["read"] <= row["delivered"] <= row["sent"]
        assert row["sent"] + row["failed"] <= row["messages"]
        assert sum(each["messages"] for each in row["errors"]) == row["failed"]
        assert max(row["clicked"], row["answered_within_day"]) <= row["messages"]


def acquisitions_add_up(analyst, messages):
    came = sum(each.came for each in messages)
    columns = (
        "ad_id, came_date, channel_id, answered_at, first_response_seconds, inbound_messages, outbound_messages"
    )
    found = analyst.query(f"SELECT {columns} FROM parley.acquisitions")
    for by in ("ad_id", "came_date", "channel_id"):
        assert sum(Counter(row[by] for row in found).values()) == came
    assert Counter(row["ad_id"] for row in found) == Counter(
        f"a{number % 2}" for number, each in enumerate(messages) if each.came
    )
    for row in found:
        # Each has the message that carried it, and an answer where one went out.
        assert row["inbound_messages"] >= 1
        assert (row["answered_at"] is None) == (row["outbound_messages"] == 0)
        assert row["first_response_seconds"] is None or row["first_response_seconds"] >= 0
    # What lies between two referrals is in one row alone.
    assert sum(row["inbound_messages"] for row in found) <= len(messages) + sum(
        each.is_answered for each in messages
    )
    assert sum(row["outbound_messages"] for row in found) <= len(messages)
