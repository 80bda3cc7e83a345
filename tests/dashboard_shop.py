"""A shop to which something is told bit by bit, in datasets of its own."""

import datetime as dt
import json
from typing import Any

from pipelines.dashboard.conversations import END_OF_TIME
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Row, Warehouse
from schemas.raw_event import RawEvent, format_received_at
from tests.schemas import sample_world
from tests.schemas.analyst import Analyst

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
WEEK = Period(NOON.date() - dt.timedelta(days=6), NOON.date())
PHONE = "4915550000101"


def counted(warehouse: Warehouse, period: Period = WEEK) -> Row:
    """Return what the overview counts in a period."""
    (row,) = warehouse.ask("overview", **period.parameters())
    return row


class Shop:
    """What was told of a shop's conversations, one after another."""

    def __init__(self, analyst: Analyst) -> None:
        self.analyst = analyst
        self.warehouse = Warehouse(self.analyst.target, lambda: self.analyst.client)
        self._events: list[RawEvent] = []
        self._told = 0

    def told(self, source: str, body: Any, received: dt.datetime, **more: str) -> None:
        """Remember a webhook, with further attributes."""
        self.told_raw(source, json.dumps(body).encode(), received, **more)

    def told_raw(self, source: str, body: bytes, received: dt.datetime, **more: str) -> None:
        """Remember a webhook that is no JSON, with further attributes."""
        self._told += 1
        event_id = f"019caaaa-0000-7000-8000-{self._told:012d}"
        attributes = {"event_id": event_id, "source": source, "received_at": format_received_at(received)}
        self._events.append(RawEvent(body, attributes | more))

    def told_of_a_reply(
        self, reply_id: str, body: Any, at: dt.datetime, content_type: str = "application/json"
    ) -> None:
        """A reply is posted, or something becomes of it."""
        self.told("replies", body, at, reply_id=reply_id, content_type=content_type)

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

    def receipt(self, message: str, state: str, at: dt.datetime, **more: Any) -> None:
        """WhatsApp tells how far a message came, and more of it."""
        status = {"id": message, "status": state, "recipient_id": PHONE, "timestamp": str(int(at.timestamp()))}
        self._told_whatsapp(at, statuses=[status | more])

    def wrote(self, name: str, at: dt.datetime, *, inbound: bool, state: str = "") -> None:
        """A message of the shop's own app, and how far it came."""
        self.told("shop-app", {"messages": [self.message(name, at, inbound=inbound)]}, at)
        if state:
            self.came(name, at, state)

    def message(self, name: str, at: dt.datetime, *, inbound: bool) -> dict[str, Any]:
        """Return a message as the shop's own app tells it."""
        common = {"source_conversation_id": "order", "source_channel_id": "app", "content": name}
        people = {"source_sender_id": "c"} if inbound else {"source_sender_id": "d", "source_recipient_id": "c"}
        return common | people | {"source_message_id": name, "from_contact": inbound, "sent_at": _ms(at)}

    def note(self, key: str, value: str, at: dt.datetime) -> None:
        """The shop's own app tells something of the conversation."""
        fact = {
            "namespace": "conversation",
            "source_id": "order",
            "source_channel_id": "app",
            "occurred_at": _ms(at),
        }
        self.told("shop-app", {"metadata": [fact | {"metadata": {key: value}}]}, at)

    def came(self, name: str, at: dt.datetime, state: str) -> None:
        """The shop's own app tells how far a message came."""
        fact = {"namespace": "message", "source_id": name, "source_channel_id": "app", "occurred_at": _ms(at)}
        fact["metadata"] = {"source": {"delivery_state": state}}
        self.told("shop-app", {"metadata": [fact]}, at)

    def messenger(self, at: dt.datetime, **item: Any) -> None:
        """Messenger tells something of the conversation with the one contact of a page."""
        contact, page = {"id": "7310000000000001"}, {"id": sample_world.PAGE}
        echoed = item.get("message", {}).get("is_echo", False)
        ends = {"sender": page, "recipient": contact} if echoed else {"sender": contact, "recipient": page}
        messaging = [ends | {"timestamp": _ms(at)} | item]
        self.told("facebook", {"object": "page", "entry": [{"id": page["id"], "messaging": messaging}]}, at)

    def stored(self) -> None:
        """Store what was told."""
        with sample_world.custom_sources():
            self.analyst.tell(*self._events)
        self._events.clear()

    def waiting(self, period: Period = WEEK) -> list[bool]:
        """Return of each conversation with messages in a period whether it waits, by the list of conversations."""
        self.stored()
        page = {"contact": "", "before": END_OF_TIME, "after_id": "", "page_size": 50} | period.parameters()
        listed = self.warehouse.ask("conversations", waiting=False, **page)
        only = self.warehouse.ask("conversations", waiting=True, **page)
        totals = counted(self.warehouse, period)["totals"]
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
