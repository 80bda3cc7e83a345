"""Whatever was sent, and in whatever order and number it is told: the reports add up."""

import datetime as dt
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_actors import form
from test_message_costs import GERMANY, rates
from webhooks import NOON, asks, fact, meta, pricing, replied, shop, status, tell

from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Warehouse
from schemas.raw_event import RawEvent

pytestmark = pytest.mark.thorough

PRICES = {"marketing": 110_000, "authentication": 50_000}
# The simplest story is the one that costs most.
ENDS = {"read": ("sent", "delivered", "read"), "failed": ("sent", "failed"), "sent": ("sent",), "nothing": ()}
KINDS = ("human", "bot", "system", None)
GROUPINGS = ("told_date", "source", "category", "channel_id")
SCALES = {"csat": (1, 5), "rating": (1, 5), "ces": (1, 7), "nps": (0, 10)}
ASKED = (
    ("facebook", "csat"),
    ("facebook", "ces"),
    ("whatsapp", "rating"),
    ("shop-app", "nps"),
    ("shop-app", "csat"),
)
"""Who asks on which scale."""
WAYS = {"pass": "passed", "take": "taken", "request": "requested", "custom": "passed"}
"""How a conversation passes to another, and what the view calls it."""
NAMED = {"901": ("human", "Desk"), "902": ("bot", "Helper")}
"""Owners of whom somebody says who they are."""
EXAMPLES = max(2, min(20, settings.default.max_examples // 700))
"""Each takes seconds of the local BigQuery."""
EVER = Period(NOON.date() - dt.timedelta(days=1), NOON.date() + dt.timedelta(days=4))


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


class Rated(NamedTuple):
    """What somebody thought of it; whole numbers, some of them off the scale."""

    asked: tuple[str, str]
    answer: int

    def score(self):
        """Return it from 0 to 1; nothing where it is off the scale."""
        lowest, highest = SCALES[self.asked[1]]
        return (self.answer - lowest) / (highest - lowest) if lowest <= self.answer <= highest else None


rated = st.builds(Rated, st.sampled_from(ASKED), st.integers(0, 11))


class Handed(NamedTuple):
    """To whom a conversation passed."""

    way: str
    owner: str

    @property
    def kind(self):
        """What the view calls it."""
        return WAYS[self.way]


handed = st.builds(Handed, st.sampled_from(list(WAYS)), st.sampled_from(["901", "902", "903"]))


class Story(NamedTuple):
    """What happened, and the webhooks about it: in any order, some of them twice."""

    messages: list[Sent]
    ratings: list[Rated]
    handovers: list[Handed]
    told: list[RawEvent]

    def __repr__(self):
        """Leave out the webhooks, which follow from the others but for their order."""
        return f"Story({self.messages}, {self.ratings}, {self.handovers}, {len(self.told)} webhooks)"


@st.composite
def stories(draw):
    """Return a story with something of each kind."""
    messages = draw(st.lists(sent, min_size=12, max_size=20))
    ratings = draw(st.lists(rated, min_size=6, max_size=12))
    handovers = draw(st.lists(handed, min_size=4, max_size=8))
    told = [event for number, each in enumerate(messages) for event in webhooks(number, each)]
    opinions = [opinion(number, each) for number, each in enumerate(ratings)]
    passed = [handover(number, each) for number, each in enumerate(handovers)]
    again = draw(st.lists(st.sampled_from([*told, *opinions, *passed]), max_size=8))
    # One of each kind comes twice in any case.
    everything = [*told, *opinions, *passed, told[0], opinions[0], passed[0], *again]
    return Story(messages, ratings, handovers, draw(st.permutations(everything)))


def handover(number, each):
    """Return what is told of a conversation that passed: over two days, so that days differ."""
    minute = number * 290 + 11
    if each.way == "custom":
        passed = fact(minute, "conversation", f"order-{number}", **{"handover.to": each.owner})
        return shop(minute, metadata=[passed])
    owner = "requested_owner_app_id" if each.way == "request" else "new_owner_app_id"
    return meta(minute, **{f"{each.way}_thread_control": {owner: each.owner, "metadata": "note"}})


def opinion(number, each):
    """Return what is told of a rating: over three days, so that days differ."""
    minute, (source, scale) = number * 290 + 7, each.asked
    if source == "facebook":
        question = {"type": scale, "payload": str(each.answer)}
        return meta(
            minute, messaging_feedback={"feedback_screens": [{"screen_id": 0, "questions": {"q": question}}]}
        )
    if source == "whatsapp":
        return form(minute, f'{{"{scale}":"{each.answer}"}}')
    return shop(minute, metadata=[fact(minute, "conversation", f"order-{number}", **{scale: each.answer})])


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
    @settings(max_examples=EXAMPLES, phases=[Phase.generate])
    @given(stories())
    def check(story):
        quick.forget()
        rates(quick, *(GERMANY.format(category, "message", price) for category, price in PRICES.items()))
        for owner, (kind, name) in NAMED.items():
            quick.insert("actor_names", f"(actor_id, kind, name) VALUES ('{owner}', '{kind}', '{name}')")
        tell(quick, *story.told)
        costs_add_up(quick, story.messages)
        actors_add_up(quick, story.messages)
        templates_add_up(quick, story.messages)
        acquisitions_add_up(quick, story.messages)
        ratings_add_up(quick, story.ratings)
        handovers_add_up(quick, story.handovers)
        panels_say_what_the_views_say(quick)

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


def ratings_add_up(analyst, ratings):
    found = analyst.query(
        "SELECT source, scale, rated_date, channel_id, rating_id, points, score FROM parley.ratings"
    )
    # However often and in whatever order: each counts once.
    assert len({row["rating_id"] for row in found}) == len(found) == len(ratings)
    assert Counter((row["source"], row["scale"], row["score"]) for row in found) == Counter(
        (*each.asked, each.score()) for each in ratings
    )
    readable = [row for row in found if row["score"] is not None]
    for row in readable:
        lowest, highest = SCALES[row["scale"]]
        assert lowest <= row["points"] <= highest
        assert 0 <= row["score"] <= 1
    satisfied = sum((each.score() or 0) >= 0.75 for each in ratings)
    groupings = ("source", "scale", "rated_date", "channel_id")
    sums = "COUNT(*) AS n, COUNT(score) AS readable, COUNTIF(score >= 0.75) AS satisfied"
    parts = (f"SELECT '{by}' AS name, {sums} FROM parley.ratings GROUP BY {by}" for by in groupings)
    groups = analyst.query(" UNION ALL ".join(parts))
    for by in groupings:
        mine = [row for row in groups if row["name"] == by]
        assert all(row["satisfied"] <= row["readable"] <= row["n"] for row in mine)
        totals = tuple(sum(row[column] for row in mine) for column in ("n", "readable", "satisfied"))
        assert totals == (len(ratings), len(readable), satisfied)


def handovers_add_up(analyst, handovers):
    columns = "handover_id, kind, to_id, to_kind, to_name, handed_date, channel_id, note"
    found = analyst.query(f"SELECT {columns} FROM parley.handovers")
    assert len({row["handover_id"] for row in found}) == len(found) == len(handovers)
    assert Counter((row["kind"], row["to_id"]) for row in found) == Counter(
        (each.kind, each.owner) for each in handovers
    )
    for row in found:
        assert (row["to_kind"], row["to_name"]) == NAMED.get(row["to_id"], (None, None))
    assert sum(row["note"] == "note" for row in found) == sum(each.way != "custom" for each in handovers)
    for by in ("kind", "to_id", "handed_date", "channel_id"):
        assert sum(Counter(row[by] for row in found).values()) == len(handovers)


PANELS = {
    "report_costs": (
        "SELECT COUNT(*) AS messages, COUNTIF(billable) AS billable, COUNTIF(is_charged) AS charged, "
        "COUNTIF(is_charged AND cost_micros IS NULL) AS unpriced, SUM(cost_micros) AS cost_micros "
        "FROM parley.message_costs WHERE is_charged IS NOT NULL"
    ),
    "report_templates": (
        "SELECT SUM(messages) AS messages, SUM(sent) AS sent, SUM(delivered) AS delivered, SUM(read) AS read, "
        "SUM(failed) AS failed, SUM(clicked) AS clicked, SUM(answered_within_day) AS answered "
        "FROM parley.templates"
    ),
    "report_actors": "SELECT COUNT(DISTINCT message_id) AS messages FROM parley.actors",
    "report_acquisitions": "SELECT COUNT(*) AS came, COUNT(answered_at) AS answered FROM parley.acquisitions",
    "report_handovers": "SELECT COUNT(*) AS handovers FROM parley.handovers",
    "report_ratings": (
        "SELECT COUNT(*) AS ratings, COUNTIF(score < 0.5) AS low, COUNTIF(score >= 0.75) AS high, "
        "COUNTIF(score IS NULL) AS unreadable FROM parley.ratings"
    ),
    "report_sessions": (
        "SELECT COUNT(*) AS sessions, COUNTIF(is_unanswered) AS unanswered, COUNTIF(is_reopened) AS reopened "
        "FROM parley.conversation_report"
    ),
    # Only where a human wrote there is an answer of a human, however soon a bot wrote.
    "report_first_answers": (
        "SELECT COUNTIF(first_human_response_seconds IS NOT NULL AND human_messages > 0) AS human_sessions, "
        "COUNTIF(first_bot_response_seconds IS NOT NULL AND bot_messages > 0) AS bot_sessions "
        "FROM parley.conversation_report"
    ),
}
"""What the columns of each panel of the dashboard are together, by the views."""


def panels_say_what_the_views_say(analyst):
    warehouse = Warehouse(analyst.target, lambda: analyst.client)
    for question, view in PANELS.items():
        rows = warehouse.ask(question, **EVER.parameters())
        (expected,) = analyst.query(view)
        expected = {name: value or 0 for name, value in expected.items()}
        # Some have a row of all sources beside those of each.
        whole = [row for row in rows if row.get("of_source") == ""]
        parts = [row for row in rows if row not in whole]
        for each in (parts, whole) if whole else (parts,):
            assert {name: sum(row[name] or 0 for row in each) for name in expected} == expected, question
        for row in rows:
            within(row)


def within(row):
    """Assert that the parts of a row of a panel lie within its whole."""
    wholes = {
        "messages": ("billable", "charged", "sent", "delivered", "read", "failed", "clicked"),
        "charged": ("unpriced",),
        "came": ("answered", "conversations"),
        "handovers": ("conversations",),
        "ratings": ("low", "middling", "high", "unreadable"),
        "sessions": ("unanswered", "reopened", "closed", "resolved", "came_back"),
    }
    for whole, parts in wholes.items():
        assert whole not in row or all(row[part] <= row[whole] for part in parts if part in row)
