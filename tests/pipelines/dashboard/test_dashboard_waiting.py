"""Who waits for an answer is one number, wherever it is asked: the view's, the overview's, the list's."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from bigquery_fixtures import Emulator

from pipelines.dashboard.conversations import END_OF_TIME
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Warehouse
from schemas.raw_event import RawEvent, format_received_at
from tests.schemas import sample_world
from tests.schemas.analyst import Analyst

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
WEEK = Period(NOON.date() - dt.timedelta(days=6), NOON.date())
PHONE = "4915550000101"


class Shop:
    """What was told of a shop's conversations, one after another."""

    def __init__(self) -> None:
        self.analyst = Analyst()
        self.warehouse = Warehouse(self.analyst.target, lambda: self.analyst.client)
        self._events: list[RawEvent] = []

    def told(self, source: str, body: Any, received: dt.datetime) -> None:
        """Remember a webhook."""
        event_id = f"019caaaa-0000-7000-8000-{len(self._events):012d}"
        attributes = {"event_id": event_id, "source": source, "received_at": format_received_at(received)}
        self._events.append(RawEvent(json.dumps(body).encode(), attributes))

    def asked(self, at: dt.datetime) -> None:
        """A contact writes by WhatsApp."""
        seconds = str(int(at.timestamp()))
        text = {
            "from": PHONE,
            "id": f"wamid.q{seconds}",
            "timestamp": seconds,
            "type": "text",
            "text": {"body": "?"},
        }
        self._told_whatsapp(at, messages=[text])

    def receipt(self, message: str, state: str, at: dt.datetime) -> None:
        """WhatsApp tells how far a message came."""
        status = {"id": message, "status": state, "recipient_id": PHONE, "timestamp": str(int(at.timestamp()))}
        self._told_whatsapp(at, statuses=[status])

    def wrote(self, name: str, at: dt.datetime, *, inbound: bool, state: str = "") -> None:
        """A message of the shop's own app, and how far it came."""
        common = {"source_conversation_id": "order", "source_channel_id": "app", "content": name}
        message = common | {"source_message_id": name, "from_contact": inbound, "sent_at": _ms(at)}
        message |= {"source_sender_id": "c"} if inbound else {"source_sender_id": "d", "source_recipient_id": "c"}
        self.told("shop-app", {"messages": [message]}, at)
        if state:
            self.came(name, at, state)

    def came(self, name: str, at: dt.datetime, state: str) -> None:
        """The shop's own app tells how far a message came."""
        fact = {"namespace": "message", "source_id": name, "source_channel_id": "app", "occurred_at": _ms(at)}
        fact["metadata"] = {"source": {"delivery_state": state}}
        self.told("shop-app", {"metadata": [fact]}, at)

    def waiting(self, period: Period = WEEK) -> list[bool]:
        """Return of each conversation with messages in a period whether it waits, by the list of conversations."""
        with sample_world.custom_sources():
            self.analyst.tell(*self._events)
        self._events.clear()
        page = {"contact": "", "before": END_OF_TIME, "after_id": "", "page_size": 50} | period.parameters()
        listed = self.warehouse.ask("conversations", waiting=False, **page)
        only = self.warehouse.ask("conversations", waiting=True, **page)
        totals = self.warehouse.first("totals", **period.parameters())
        assert totals is not None
        assert totals["waiting"] == len(only) == sum(row["is_waiting"] for row in listed)
        assert totals["conversations"] == len(listed)
        return [row["is_waiting"] for row in listed]

    def view(self) -> list[bool]:
        """Return the same by the view."""
        return [row["is_waiting"] for row in self.analyst.query("SELECT * FROM parley.conversations")]

    def _told_whatsapp(self, at: dt.datetime, **lists: Any) -> None:
        _, source, body, _ = sample_world.whatsapp_event(at, **lists)
        self.told(source, json.loads(body), at)


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)


def before(**by: float) -> dt.datetime:
    return NOON - dt.timedelta(**by)


@pytest.fixture
def shop(bigquery_environment: Emulator) -> Iterator[Shop]:
    """A shop that nobody has written to yet."""
    made = Shop()
    yield made
    made.analyst.close()


def test_a_receipt_of_an_old_message_is_no_answer(shop: Shop) -> None:
    shop.wrote("old", before(days=20), inbound=False, state="sent")
    shop.wrote("question", before(hours=3), inbound=True)
    shop.came("old", before(hours=1), "delivered")
    shop.came("old", before(hours=1), "read")

    assert shop.waiting() == shop.view() == [True]


def test_who_reads_only_now_what_was_sent_long_ago_has_no_answer(shop: Shop) -> None:
    shop.receipt("wamid.old", "sent", before(days=40))
    shop.asked(before(hours=3))
    shop.receipt("wamid.old", "read", before(hours=1))

    assert shop.waiting() == shop.view() == [True]


def test_an_answer_that_only_its_receipts_tell_of_is_one(shop: Shop) -> None:
    shop.asked(before(hours=3))
    shop.receipt("wamid.new", "delivered", before(hours=1))
    shop.receipt("wamid.new", "sent", before(hours=2))

    assert shop.waiting() == shop.view() == [False]


@pytest.mark.parametrize(("state", "waits"), [("delivered", False), ("failed", True)])
@pytest.mark.parametrize("is_told", [True, False])
def test_an_answer_that_failed_is_none_however_it_is_known(
    shop: Shop, state: str, waits: bool, is_told: bool
) -> None:
    if is_told:
        shop.wrote("question", before(hours=3), inbound=True)
        shop.wrote("answer", before(hours=2), inbound=False, state=state)
    else:
        shop.asked(before(hours=3))
        shop.receipt("wamid.new", state, before(hours=2))

    assert shop.waiting() == shop.view() == [waits]
    (counts,) = shop.warehouse.ask("responses", **WEEK.parameters())
    assert (counts["unanswered"], counts["within_4_hours"]) == (int(waits), int(not waits))


def test_what_went_out_at_the_very_time_of_a_question_answers_it(shop: Shop) -> None:
    for name in "abcdef":
        shop.wrote(name, before(hours=1), inbound=name in "ace")

    assert shop.waiting() == shop.view() == [False]
    (row,) = shop.warehouse.ask(
        "conversations",
        contact="",
        waiting=False,
        before=END_OF_TIME,
        after_id="",
        page_size=5,
        **WEEK.parameters(),
    )
    (last,) = shop.analyst.query(
        "SELECT message_id FROM parley.messages ORDER BY sent_at DESC, message_id DESC LIMIT 1"
    )
    assert row["last_message_id"] == last["message_id"]


def test_a_question_of_the_period_waits_until_it_is_answered_later(shop: Shop) -> None:
    shop.wrote("question", before(days=8), inbound=True)
    earlier = Period(WEEK.first_day - dt.timedelta(days=7), WEEK.first_day - dt.timedelta(days=1))
    assert shop.waiting(earlier) == [True]

    shop.wrote("answer", before(days=5, hours=20), inbound=False)
    assert shop.waiting(earlier) == shop.view() == [False]
