"""What rows say was seen: of every channel, contact and conversation each sighting, whichever row tells it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from pipelines.core import rows

Sighting = tuple[Any, ...]


def apart(made: Iterable[rows.Row]) -> dict[str, set[Sighting]]:
    """Return the sightings that have rows of their own, by table: what they say, without their event."""
    found: dict[str, set[Sighting]] = {"channels": set(), "contacts": set(), "conversations": set()}
    for row in made:
        table = rows.TABLE_OF[type(row)]
        if table in found:
            found[table].add(tuple(getattr(row, name) for name in COLUMNS[table]))
    return found


def told(made: Iterable[rows.Row]) -> dict[str, set[Sighting]]:
    """Return all sightings, those that messages and metadata tell among them."""
    made = list(made)
    found = apart(made)
    for row in made:
        if isinstance(row, rows.Message):
            _hear(found, row, row.sent_at, row.sent_date)
        elif isinstance(row, rows.Metadata):
            _hear(found, row, row.occurred_at, row.occurred_date)
    return found


COLUMNS = {
    "channels": ("channel_id", "source", "source_channel_id", "display_name", "seen_at", "seen_date"),
    "contacts": (
        *("contact_id", "source", "source_contact_id", "channel_id", "display_name", "username", "phone_number"),
        *("locale", "time_zone", "avatar_url", "alternative_ids", "phone_e164", "seen_at", "seen_date"),
    ),
    "conversations": (
        *("conversation_id", "channel_id", "contact_id", "source", "source_conversation_id"),
        *("seen_at", "seen_date"),
    ),
}


def _hear(found: dict[str, set[Sighting]], row: rows.Message | rows.Metadata, at: int, day: int) -> None:
    if row.source_channel_id is not None:
        seen = (row.channel_id, row.source, row.source_channel_id, row.channel_display_name)
        found["channels"].add((*seen, at, day))
    who = row.source_contact_id
    if who is None:
        return
    if row.contact_display_name != "":
        number = who.split(":")[-1] if row.contact_phone_e164 else None
        known = (row.contact_id, row.source, who, row.channel_id, row.contact_display_name, None, number)
        found["contacts"].add((*known, None, None, None, (), row.contact_phone_e164, at, day))
    if row.conversation_id is not None and row.source_conversation_id != "":
        own = row.source_conversation_id or who
        found["conversations"].add((row.conversation_id, row.channel_id, row.contact_id, row.source, own, at, day))


NAMES = (
    *("source_channel_id", "channel_display_name", "source_contact_id", "contact_display_name"),
    *("contact_phone_e164", "source_conversation_id"),
)
"""What messages and metadata say of their place since generation 4."""


def as_earlier(made: Iterable[rows.Row]) -> list[rows.Row]:
    """Return every row of one event as generation 3 made it."""
    made = list(made)
    counted = sum(not isinstance(row, rows.Event | rows.DeadLetter) for row in made)
    more: dict[type[rows.Row], dict[str, Any]] = {
        rows.Event: {"rows": counted},
        **dict.fromkeys((rows.Message, rows.Metadata), dict.fromkeys(NAMES)),
    }
    return [msgspec.structs.replace(row, generation=3, **more.get(type(row), {})) for row in made]
