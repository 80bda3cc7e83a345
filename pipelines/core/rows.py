"""One class per table of `schemas/tables`, its fields in the table's order, without `processed_at`.

Times are microseconds and dates days since 1970, as Arrow takes them. `processed_at` is left to the
writer: `normalize` knows no clock. `placed_at` and `run_id` are null but in rows
that a reprocessing run has put in place.
"""

import msgspec


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row of some table."""


class Event(Row, frozen=True):
    """The ledger row of one raw event."""

    event_id: str
    source: str
    received_at: int
    outcome: str
    reason: str | None
    rows: int
    dead_letters: int
    body_bytes: int
    body_sha256: str
    content_type: str | None
    verified_by: str | None
    first_date: int | None
    last_date: int | None
    generation: int


class Message(Row, frozen=True):
    """One message as one raw event carries it."""

    message_id: str
    conversation_id: str
    contact_id: str
    channel_id: str
    source: str
    source_message_id: str | None
    direction: str
    sender_id: str | None
    kind: str
    sent_at: int
    sent_at_from: str
    sent_at_raw: str | None
    sent_date: int
    content: str | None
    content_type: str | None
    pointer: str
    flags: tuple[str, ...]
    event_id: str
    received_at: int
    generation: int
    reading: str | None = None
    source_channel_id: str | None = None
    channel_display_name: str | None = None
    source_contact_id: str | None = None
    contact_display_name: str | None = None
    contact_phone_e164: str | None = None
    source_conversation_id: str | None = None


class Conversation(Row, frozen=True):
    """One sighting of a conversation."""

    conversation_id: str
    channel_id: str
    contact_id: str
    source: str
    source_conversation_id: str
    seen_at: int
    seen_date: int
    event_id: str
    received_at: int
    generation: int


class Contact(Row, frozen=True):
    """One sighting of a contact."""

    contact_id: str
    source: str
    source_contact_id: str
    channel_id: str
    display_name: str | None
    username: str | None
    phone_number: str | None
    locale: str | None
    time_zone: str | None
    avatar_url: str | None
    alternative_ids: tuple[str, ...]
    phone_e164: str | None
    seen_at: int
    seen_date: int
    event_id: str
    received_at: int
    generation: int


class Channel(Row, frozen=True):
    """One sighting of a channel."""

    channel_id: str
    source: str
    source_channel_id: str
    display_name: str | None
    seen_at: int
    seen_date: int
    event_id: str
    received_at: int
    generation: int


class Metadata(Row, frozen=True):
    """One entry of metadata about a message, conversation, contact or channel."""

    metadata_id: str
    subject_type: str
    subject_id: str
    channel_id: str
    conversation_id: str | None
    contact_id: str | None
    actor_id: str | None
    source: str
    key: str
    value: str
    occurred_at: int
    occurred_at_from: str
    occurred_at_raw: str | None
    occurred_date: int
    content: str | None
    content_type: str | None
    pointer: str
    flags: tuple[str, ...]
    event_id: str
    received_at: int
    generation: int
    source_channel_id: str | None = None
    channel_display_name: str | None = None
    source_contact_id: str | None = None
    contact_display_name: str | None = None
    contact_phone_e164: str | None = None
    source_conversation_id: str | None = None


class Alias(Row, frozen=True):
    """Two ids of one person, as one raw event told them together."""

    alias_id: str
    source: str
    channel_id: str
    contact_id: str
    source_contact_id: str
    kind: str
    other_contact_id: str
    other_source_contact_id: str
    told_at: int
    told_date: int
    pointer: str
    event_id: str
    received_at: int
    generation: int


class DeadLetter(Row, frozen=True):
    """What could not be normalized or stored."""

    event_id: str | None
    source: str | None
    received_at: int
    stage: str
    pointer: str
    error_class: str
    error_message: str
    traceback: str | None
    table_name: str | None
    data: bytes | None
    attributes: str
    generation: int


TABLES: dict[str, type[Row]] = {
    "events": Event,
    "messages": Message,
    "conversations": Conversation,
    "contacts": Contact,
    "channels": Channel,
    "metadata": Metadata,
    "aliases": Alias,
    "dead_letters": DeadLetter,
}
"""Every table that the pipeline writes, by name."""
TABLE_OF: dict[type[Row], str] = {row: table for table, row in TABLES.items()}
