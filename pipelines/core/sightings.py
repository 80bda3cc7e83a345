"""Sightings that messages and metadata tell as well: they have no row of their own.

A message and a piece of metadata carry what the source calls their channel, contact and conversation, where their
item says so at the same moment. The views `seen_channels`, `seen_contacts` and `seen_conversations` read sightings
from there too, so that a row is left only to what tells more: a picture, a user name, somebody of whom
no message is.
"""

from collections.abc import Callable
from typing import Any, Final

from pipelines.core import rows

ELSEWHERE = ""
"""What a row says of a conversation that is not its contact's own, as a group's, and instead of the name of a
contact of whom more is known: these have rows of their own."""


def untold(made: list[rows.Row]) -> list[rows.Row]:
    """Return rows without the sightings that others among them tell."""
    told: set[Key] = set()
    for row in made:
        kind = type(row)
        if kind is rows.Message or kind is rows.Metadata:
            _add_told(told, row)  # type: ignore[arg-type]
    return [row for row in made if type(row) not in _KEYS or _KEYS[type(row)](row) not in told] if told else made


def profile(row: rows.Contact) -> tuple[str | None, str | None] | None:
    """Return name and phone number (E.164) of a contact, where a message can say all that a sighting does.

    None where it cannot: anything else is known, or the number is not what the source's own id is, or ends in.
    """
    if (
        row.display_name == ELSEWHERE
        or row.username is not None
        or row.locale is not None
        or row.time_zone is not None
        or row.avatar_url is not None
        or row.alternative_ids
    ):
        return None
    number = row.phone_number
    if number is not None and not (row.phone_e164 and number == row.source_contact_id.rpartition(":")[2]):
        return None
    return row.display_name, row.phone_e164


Key = tuple[str | int | None, ...]
"""What stands for a sighting: two of the same key say the same."""


def _add_told(told: set[Key], row: rows.Message | rows.Metadata) -> None:
    """Add what stands for the sightings that a row tells."""
    at = row.sent_at if isinstance(row, rows.Message) else row.occurred_at
    channel_id = row.channel_id
    if row.source_channel_id is not None:
        told.add((channel_id, row.channel_display_name, at))
    if row.source_contact_id is not None:
        contact_id = row.contact_id
        if row.contact_display_name != ELSEWHERE:
            told.add((contact_id, channel_id, row.contact_display_name, row.contact_phone_e164, at))
        if row.conversation_id is not None and row.source_conversation_id != ELSEWHERE:
            told.add((row.conversation_id, channel_id, contact_id, at))


def _of_channel(row: rows.Channel) -> Key:
    return row.channel_id, row.display_name, row.seen_at


def _of_contact(row: rows.Contact) -> Key | None:
    said = profile(row)
    return said and (row.contact_id, row.channel_id, *said, row.seen_at)


def _of_conversation(row: rows.Conversation) -> Key:
    return row.conversation_id, row.channel_id, row.contact_id, row.seen_at


_KEYS: Final[dict[type[rows.Row], Callable[[Any], Key | None]]] = {
    rows.Channel: _of_channel,
    rows.Contact: _of_contact,
    rows.Conversation: _of_conversation,
}
