"""A small world in which people share bodies, a group, aliases, and redeliveries."""

import dataclasses
import datetime as dt
import json
import uuid
from typing import Any

from pipelines.bigquery import appender
from pipelines.bigquery.bundle import Bundle
from pipelines.bigquery.suppressed import Suppressed
from pipelines.core.batches import EventBatch
from pipelines.erase import apply, plan, verify
from pipelines.erase.apply import Applied
from pipelines.erase.plan import Plan, Wanted
from pipelines.erase.verify import Report
from pipelines.normalize import NormalizeEvents
from pipelines.reprocess import Steps
from schemas.raw_event import RawEvent
from tests.raw_events import NOON, raw_event

ACTOR = "test"
ANN, BOB, EVE = "4915550000101", "4915550000102", "4915550000103"
ANNS_USER_ID = "DE.8801550000101"
NUMBER = {"display_phone_number": "4930550000", "phone_number_id": "7701"}


def text(sender: str, number: int, said: str = "hello", **more: Any) -> dict[str, Any]:
    """Return an item of WhatsApp; its id holds the sender's number, as WhatsApp's do."""
    import base64

    held = base64.b64encode(b"\x1d\x18\x0d" + sender.encode() + b"\x15\x02\x00" + number.to_bytes(4)).decode()
    moment = str(int(NOON.timestamp()) - 600 + number)
    return {
        "from": sender,
        "id": f"wamid.{held}",
        "timestamp": moment,
        "type": "text",
        "text": {"body": f"{said} {number}"},
        **more,
    }


def profile(number: str, name: str, **more: str) -> dict[str, Any]:
    return {"wa_id": number, "profile": {"name": name}, **more}


def whatsapp(
    number: int,
    messages: list[Any],
    contacts: list[Any],
    *,
    received_at: dt.datetime = NOON,
    statuses: list[Any] | None = None,
    ascii_only: bool = True,
) -> RawEvent:
    """Return a webhook of WhatsApp with items of anybody."""
    value: dict[str, Any] = {"messaging_product": "whatsapp", "metadata": NUMBER, "contacts": contacts}
    value |= {"messages": messages} if messages else {}
    value |= {"statuses": statuses} if statuses else {}
    changes = [{"field": "messages", "value": value}]
    body = {"object": "whatsapp_business_account", "entry": [{"id": "55", "changes": changes}]}
    data = json.dumps(body, ensure_ascii=ascii_only).encode()
    return raw_event(data, source="whatsapp", received_at=received_at, number=number)


def again(event: RawEvent, number: int, received_at: dt.datetime) -> RawEvent:
    """Return the same body, delivered once more."""
    made = raw_event(event.data, source=event.source, received_at=received_at, number=number)
    return RawEvent(event.data, {**event.attributes, **made.attributes, "content_type": event.content_type})


def status(message: dict[str, Any], recipient: str) -> dict[str, Any]:
    moment = str(int(message["timestamp"]) + 5)
    return {"id": message["id"], "status": "read", "timestamp": moment, "recipient_id": recipient}


def of_everybody() -> list[RawEvent]:
    """Return what was received of Ann, Bob and Eve: alone, together, escaped, unreadable, twice."""
    anns, bobs = text(ANN, 1), text(BOB, 2)
    both = whatsapp(2, [anns, bobs], [profile(ANN, "Ann", user_id=ANNS_USER_ID), profile(BOB, "Bob")])
    by_user_id = text("", 3)
    del by_user_id["from"]
    by_user_id |= {"from_user_id": ANNS_USER_ID, "id": "wamid.withheld3"}
    escaped = whatsapp(4, [text(ANN, 4)], [profile(ANN, "Ann")])
    written = escaped.data.replace(ANN.encode(), "".join(f"\\u{ord(c):04x}" for c in ANN).encode())
    sms = f"MessageSid=SM{5:032d}&From=%2B{EVE}&To=%2B4930550000&Body=hi+there&NumMedia=0".encode()
    form = raw_event(sms, source="twilio", number=7)
    group = text(BOB, 8, group_id="group-8")
    anns_in_group = text(ANN, 9, group_id="group-8")
    return [
        whatsapp(1, [text(ANN, 10)], [profile(ANN, "Ann")]),
        both,
        whatsapp(3, [by_user_id], [{"user_id": ANNS_USER_ID, "profile": {"name": "Ann"}}]),
        RawEvent(written, escaped.attributes),
        whatsapp(5, [], [], statuses=[status(text(BOB, 20), BOB), status(text(ANN, 21), ANN)]),
        whatsapp(6, [{"from": ANN, "id": ["no", "text"]}, text(BOB, 11)], [profile(BOB, "Bob")]),
        RawEvent(form.data, {**form.attributes, "content_type": "application/x-www-form-urlencoded"}),
        whatsapp(8, [group, anns_in_group], [profile(BOB, "Bob"), profile(ANN, "Ann")]),
        raw_event(f'{{"object": "page", "entry": [{{"broken {ANN}'.encode(), number=9),
        again(both, 10, NOON + dt.timedelta(minutes=3)),
        whatsapp(11, [text(EVE, 12, "nobody else")], [profile(EVE, "Eve")]),
    ]


@dataclasses.dataclass
class Erasing:
    """A warehouse with an archive, and what erases people of it."""

    warehouse: Any

    def plan(self, **wanted: Any) -> Plan:
        w = self.warehouse
        return plan(w.client, w.target, str(w.archive), Wanted(**wanted), ACTOR, "request 7")

    def apply(self, name: str, steps: Steps | None = None, **more: Any) -> Applied:
        from reprocess_support import options

        w = self.warehouse
        return apply(w.client, w.target, str(w.archive), name, ACTOR, options(), steps=steps, **more)

    def verify(self, name: str) -> Report:
        w = self.warehouse
        return verify(w.client, w.target, str(w.archive), name, ACTOR)

    def live(self, events: list[RawEvent], *, knows: bool = True) -> None:
        """Store events as the streaming pipeline does, whether it knows what is suppressed or not yet."""
        bundle = Bundle(appender.shared(self.warehouse.target))
        suppressed = Suppressed(self.warehouse.target) if knows else None
        for batch in NormalizeEvents(suppressed).process(EventBatch(events, "live")):
            bundle.add(batch)
        bundle.finish()

    def rows(self) -> dict[str, list[str]]:
        """Return the rows of all tables that count, but the ledger, as they are."""
        made = {"processed_at", "placed_at", "run_id", "generation", "traceback"}
        found = {}
        for table in ("messages", "conversations", "contacts", "channels", "metadata", "aliases", "dead_letters"):
            rows = self.warehouse.query(f"SELECT * FROM `V.counted_{table}`")
            found[table] = sorted(repr({k: v for k, v in row.items() if k not in made}) for row in rows)
        return found


def event_id(number: int) -> str:
    return str(uuid.UUID(int=number))
