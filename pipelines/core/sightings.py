"""Sightings that messages and metadata tell as well: they have no row of their own.

A message and a piece of metadata carry what the source calls their channel, contact and conversation, where their
item says so at the same moment. The views `seen_channels`, `seen_contacts` and `seen_conversations` read sightings
from there too, so that a row is left only to what tells more: a picture, a user name, somebody of whom
no message is.
"""

from collections.abc import Sequence

from pipelines.core import rows

ELSEWHERE = ""
"""What a row says of a conversation that is not its contact's own, such as a group's: that has its own row."""


def untold(made: Sequence[rows.Row]) -> list[rows.Row]:
    """Return rows without the sightings that others among them tell."""
    told = {key for row in made if isinstance(row, rows.Message | rows.Metadata) for key in _told(row)}
    return [row for row in made if _key(row) not in told] if told else list(made)


def profile(row: rows.Contact) -> tuple[str | None, str | None] | None:
    """Return name and phone number (E.164) of a contact, where a message can say all that a sighting does.

    None where it cannot: anything else is known, or the number is not what the source's own id is, or ends in.
    """
    if (
        row.username is not None
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


def _told(row: rows.Message | rows.Metadata) -> list[Key]:
    """Return what stands for the sightings that a row tells."""
    at = row.sent_at if isinstance(row, rows.Message) else row.occurred_at
    told: list[Key] = []
    if row.source_channel_id is not None:
        told.append((row.channel_id, row.channel_display_name, at))
    if row.source_contact_id is not None:
        told.append((row.contact_id, row.channel_id, row.contact_display_name, row.contact_phone_e164, at))
        if row.conversation_id is not None and row.source_conversation_id != ELSEWHERE:
            told.append((row.conversation_id, row.channel_id, row.contact_id, None, at))
    return told


def _key(row: rows.Row) -> Key | None:
    """Return what stands for a sighting; None for every other row."""
    match row:
        case rows.Channel():
            return (row.channel_id, row.display_name, row.seen_at)
        case rows.Contact():
            said = profile(row)
            return said and (row.contact_id, row.channel_id, *said, row.seen_at)
        case rows.Conversation():
            return (row.conversation_id, row.channel_id, row.contact_id, None, row.seen_at)
    return None
