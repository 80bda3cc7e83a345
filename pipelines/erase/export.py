"""Gives a person all that is known of them: their rows, and of the archive what they are made of.

Of a body with items of others it has the person's items alone. What others say of the person is theirs.
"""

import base64
import datetime as dt
from importlib import resources
from typing import Any, Final

import jinja2
import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core import rows
from pipelines.core.rows import TABLE_OF
from pipelines.core.spellings import Spellings
from pipelines.erase import stores, warehouse
from pipelines.erase.person import Person
from pipelines.erase.plan import NobodyError, Wanted, find_person
from pipelines.erase.scan import events
from pipelines.io.archive_damages import Damage
from pipelines.normalize import every_row_or_dead_letter
from pipelines.reprocess.steps import Steps
from pipelines.sources.erasing import InseparableError, without
from schemas.raw_event import EVENT_ID, RECEIVED_AT, SOURCE, InvalidRawEventError, RawEvent

_RUN: Final = "export"


class Received(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one archived event has of a person."""

    event_id: str
    source: str
    received_at: str
    body: str | None = None
    """All of it, where nobody else is in it and it is text."""
    body_base64: str | None = None
    """All of it, where it is not text."""
    items: list[str] = []
    """The person's items, byte for byte, where others are in the body as well."""


class Export(msgspec.Struct, frozen=True):
    """All that is known of a person."""

    made_at: dt.datetime
    contacts: list[str]
    """The contact_ids that the person is."""
    rows: dict[str, list[dict[str, Any]]]
    """The rows that count, by table."""
    received: list[Received]
    """What the archive has, in the order of its segments."""
    waiting_replies: list[str]
    """Replies that wait to be sent to the person, as they were posted."""
    damages: int
    """Places of the archive that cannot be read, and so may hold more."""


def export(
    client: bigquery.Client, live: Target, archive: str, wanted: Wanted, *, steps: Steps | None = None
) -> Export:
    """Return all that is known of a person; nothing changes.

    Raises:
        NobodyError: nobody knows the person.
        FileNotFoundError: there is no archive.
    """
    steps = steps or Steps()
    person = find_person(client, live, archive, wanted, steps)
    damages: list[Damage] = []
    spelt = person.spellings()
    received = [
        found
        for event in events(archive, steps, "reading", damages)
        if (found := _of_event(event, person, spelt)) is not None
    ]
    known = _rows(client, live, person)
    if not (received or any(known.values())):
        raise NobodyError("neither the archive nor the tables have anything of that person")
    waiting = [_text(each.data) for _, _, each in stores.Stores(archive, person).pending()]
    return Export(dt.datetime.now(dt.UTC), sorted(person.contacts), known, received, waiting, len(damages))


def as_json(found: Export) -> str:
    """Return an export as JSON: times in RFC 3339, bytes in base64."""
    return msgspec.json.format(msgspec.json.encode(found, enc_hook=str)).decode()


def as_page(found: Export) -> str:
    """Return an export as a page of HTML that loads nothing, and runs nothing of what was received."""
    templates = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = resources.files(__package__).joinpath("export.html.j2").read_text("utf-8")
    return templates.from_string(text).render(found=found)


def _of_event(event: RawEvent, person: Person, spelt: Spellings) -> Received | None:
    """Return what an event has of a person, as what erasing it would take out; None where that is nothing."""
    try:
        left = without(event, person.owns, spelt, _RUN)
        removed = left.removed if left is not None else []
        is_alone = left is not None and left.is_alone
    except InvalidRawEventError:
        removed, is_alone = [], spelt.are_in(event.data)
    except InseparableError:
        removed, is_alone = list(every_row_or_dead_letter(event)), False
    if is_alone:
        try:
            return _received(event, body=event.data.decode())
        except UnicodeDecodeError:
            return _received(event, body_base64=base64.b64encode(event.data).decode())
    own = (row for row in removed if person.owns(row) and not _is_anothers(row, person))
    items = dict.fromkeys(content for row in own if (content := getattr(row, "content", None)))
    return _received(event, items=list(items)) if items else None


def _received(event: RawEvent, **more: Any) -> Received:
    told = event.attributes
    return Received(told.get(EVENT_ID, ""), told.get(SOURCE, ""), told.get(RECEIVED_AT, ""), **more)


def _is_anothers(row: rows.Row, person: Person) -> bool:
    """Return whether a row about a person or a message of theirs is what somebody else has said or done."""
    teller = getattr(row, "contact_id", None)
    return TABLE_OF[type(row)] != "aliases" and teller is not None and teller not in person.contacts


def _rows(client: bigquery.Client, live: Target, person: Person) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in reversed(warehouse.OF_PEOPLE):
        told: dict[str, dict[str, Any]] = {}
        for condition in warehouse.of(live, table, person, None):
            sql = f"SELECT stored.* FROM `{live.view(f'counted_{table}')}` AS stored WHERE {condition}"  # noqa: S608
            for row in client.query_and_wait(sql):
                teller = row.get("contact_id")
                if table == "aliases" or teller is None or teller in person.contacts:
                    told.setdefault(repr(row.values()), dict(row.items()))
        found[table] = [told[each] for each in sorted(told, key=lambda name: _order(told[name], name))]
    return found


def _order(row: dict[str, Any], name: str) -> tuple[str, str]:
    return str(row.get("sent_at") or row.get("occurred_at") or row.get("received_at") or ""), name


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
