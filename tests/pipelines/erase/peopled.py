"""Archives of people by chance: in shared bodies and groups, with several ids, told twice, late, and broken."""

import datetime as dt
import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from erased_world import NUMBER, profile, status, text
from histories import history

from pipelines.core.rows import Contact
from pipelines.normalize import every_row_or_dead_letter
from schemas.archive_layout import folder
from schemas.raw_event import CONTENT_ENCODING, EVENT_ID, RECEIVED_AT, RawEvent, format_received_at
from tests.raw_events import NOON, raw_event, write_segment

_PEOPLE = [f"49155500007{number:02}" for number in range(6)]
_CONVERSATIONS = 4
_ENVELOPES = (b'{"object":"whatsapp_business_account"', b'{"object":"page"', b'{"object":"instagram"')


def peopled(seed: int, conversations: int = _CONVERSATIONS) -> list[RawEvent]:
    """Return what was received, in the order of receipt; the same for the same seed."""
    # Not what the histories take: the same chance would give the same ids.
    random = Random(f"peopled {seed}")
    generated = history(seed, conversations).archived
    events = list(_shared(random, [*generated, *_of_whatsapp(random)]))
    events = [_spelt(random, each) for each in events]
    events += [_again(random, each) for each in events if random.random() < 0.15]
    return sorted(events, key=lambda event: event.attributes[RECEIVED_AT])


def people(events: list[RawEvent]) -> list[frozenset[str]]:
    """Return the contacts of every person; who has the same number in several sources is one."""
    found: dict[str, set[str]] = {}
    for event in events:
        for row in every_row_or_dead_letter(event):
            if isinstance(row, Contact) and not is_group(row):
                found.setdefault(row.phone_e164 or row.contact_id, set()).add(row.contact_id)
    return sorted(map(frozenset, found.values()), key=sorted)


def is_group(contact: Contact) -> bool:
    """Return whether a contact is a group: its id says so here, in base64 where the generator made it."""
    return contact.source_contact_id.startswith(("group-", "Z3JvdXA6"))


def archived(root: Path, events: list[RawEvent]) -> None:
    """Write events into segments, a few in each."""
    by_folder: dict[str, list[RawEvent]] = {}
    for event in events:
        by_folder.setdefault(str(folder(event.source, event.received_at)), []).append(event)
    for group in by_folder.values():
        for start in range(0, len(group), 5):
            write_segment(root, group[start : start + 5], f"host-1-0-{start}.avro")


def _of_whatsapp(random: Random) -> Iterator[RawEvent]:
    """Yield webhooks with items of several: texts, in groups or not, receipts, user ids, and what nobody reads."""
    for number in range(14):
        items, statuses, profiles = [], [], {}
        for place in range(random.randrange(1, 5)):
            who = random.choice(_PEOPLE)
            user = f"DE.88015502{who[-2:]}44"
            item: dict[str, Any] = text(who, number * 10 + place, random.choice(["hello", "moin", "ciào"]))
            chance = random.random()
            if chance < 0.2:
                item["group_id"] = f"group-{number % 3}"
            elif chance < 0.4:
                statuses.append(status(item, who))
                continue
            elif chance < 0.5:
                # The number is withheld: the user id, told beside it elsewhere, is all that there is.
                del item["from"]
                item |= {"from_user_id": user, "id": f"wamid.withheld{number}{place}"}
                profiles[user] = {"user_id": user, "profile": {"name": f"person {who[-2:]}"}}
            elif chance < 0.6:
                item = {"from": who, "id": ["no", "text"]}
            if "from" in item:
                told = {"user_id": user} if random.random() < 0.5 else {}
                profiles[who] = profile(who, f"person {who[-2:]}", **told)
            items.append(item)
        value: dict[str, Any] = {"messaging_product": "whatsapp", "metadata": NUMBER}
        value |= {"contacts": list(profiles.values()), "messages": items} if items else {}
        value |= {"statuses": statuses} if statuses else {}
        body = {
            "object": _ENVELOPES[0][11:-1].decode(),
            "entry": [{"id": "55", "changes": [{"field": "messages"}]}],
        }
        body["entry"][0]["changes"][0]["value"] = value  # type: ignore[index]
        data = json.dumps(body, separators=(",", ":")).encode()
        yield _dated(raw_event(data, source="whatsapp"), random, NOON + dt.timedelta(seconds=number))


def _shared(random: Random, events: list[RawEvent]) -> Iterator[RawEvent]:
    """Yield events, some of them in one body with the next of the same kind."""
    waiting: dict[bytes, RawEvent] = {}
    for event in events:
        envelope = next((each for each in _ENVELOPES if event.data.startswith(each)), None)
        if envelope is None:
            yield event
        elif (earlier := waiting.pop(envelope, None)) is not None:
            yield from _joined(earlier, event)
        elif random.random() < 0.5:
            waiting[envelope] = event
        else:
            yield event
    yield from waiting.values()


def _joined(one: RawEvent, other: RawEvent) -> Iterator[RawEvent]:
    start = b'"entry":['
    try:
        json.loads(one.data), json.loads(other.data)
    except ValueError:
        # Cut off: nothing can be joined with it.
        yield from (one, other)
        return
    entries = other.data.partition(start)[2]
    end = one.data.rindex(b"]")
    yield RawEvent(one.data[:end] + b"," + entries, one.attributes)


def _spelt(random: Random, event: RawEvent) -> RawEvent:
    """Return an event that may be written otherwise: with every digit escaped in strings, or compressed."""
    chance = random.random()
    if chance < 0.1 and event.data.startswith(_ENVELOPES):
        for who in _PEOPLE:
            escaped = "".join(f"\\u{ord(each):04x}" for each in who).encode()
            event = RawEvent(event.data.replace(who.encode(), escaped), event.attributes)
    elif chance < 0.2 and event.data.startswith(_ENVELOPES):
        packed = gzip.compress(event.data, mtime=0)
        return RawEvent(packed, {**event.attributes, CONTENT_ENCODING: "gzip"})
    return event


def _again(random: Random, event: RawEvent) -> RawEvent:
    return _dated(event, random, event.received_at + dt.timedelta(seconds=random.randrange(1, 90_000)))


def _dated(event: RawEvent, random: Random, received: dt.datetime) -> RawEvent:
    known = {EVENT_ID: str(uuid.UUID(int=random.getrandbits(128), version=4))}
    return RawEvent(event.data, {**event.attributes, **known, RECEIVED_AT: format_received_at(received)})
