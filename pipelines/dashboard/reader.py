"""Puts one conversation together: each message as it stands, and what else happened, in the order of time.

Says of a message what the view messages_current says of it, from the metadata of one conversation alone.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pipelines.dashboard.warehouse import Row

# As the view delivery_states ranks them.
_RANKS = {
    **dict.fromkeys(("accepted", "pending", "scheduled"), 1),
    "queued": 2,
    "sending": 3,
    "sent": 4,
    **dict.fromkeys(("failed", "undelivered", "canceled"), 5),
    "delivered": 6,
    **dict.fromkeys(("read", "seen"), 7),
    "played": 8,
}
_FINAL = {"read", "seen", "played", "failed", "undelivered", "canceled"}
FAILURES = {"failed", "undelivered", "canceled"}
_SHOWN_OTHERWISE = {
    "reaction.emoji",
    "source.deleted",
    "source.delivered_watermark",
    "source.delivery_state",
    "source.edited",
    "source.error",
    "source.is_typing",
    "source.read_watermark",
    "source.reply",
    "source.reply_state",
}
_EXCERPT = 120


class Standing(NamedTuple):
    """How far a message came."""

    state: str | None = None
    error: str | None = None


class Entry(msgspec.Struct, kw_only=True):
    """A message, or, with no direction, something else that happened in a conversation."""

    at: dt.datetime
    id: str
    event_id: str
    received_at: dt.datetime
    day: dt.date
    """The partition of its row."""
    direction: str = ""
    kind: str = ""
    text: str | None = None
    choice: str | None = None
    attachments: Sequence[dict[str, Any]] = ()
    flags: Sequence[str] = ()
    quoted: str | None = None
    """What it answers: an excerpt, empty where that is not on this page, None where it quotes nothing."""
    earlier_texts: Sequence[str] = ()
    edited_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    state: str | None = None
    error: str | None = None
    reactions: Sequence[str] = ()
    notes: Sequence[tuple[str, str]] = ()
    """What else is known of it: key and value."""
    has_message: bool = True
    """Whether the message itself has come, and not its receipts alone."""
    reply_id: str | None = None
    """Which reply it was."""
    conversation_id: str = ""
    """In which conversation it is, where several are shown as one."""


def assemble(
    messages: Sequence[Row],
    metadata: Sequence[Row],
    conversation_ids: Sequence[str],
    since: dt.datetime,
    until: dt.datetime,
) -> list[Entry]:
    """Return messages of a conversation, and what else happened in it from a time until before another.

    It has an id for each id of its person.

    Metadata is in the order of time. A message that is known by its receipts alone is one without text.
    """
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for row in metadata:
        by_subject[row["subject_id"]].append(row)
    marks = [row for each in conversation_ids for row in by_subject.get(each, ())]
    by_source_id = {m["source_message_id"]: m for m in messages if m["source_message_id"]}
    entries = [_message(each, by_subject[each["message_id"]], marks, by_source_id) for each in messages]
    others = []
    for subject_id, known in by_subject.items():
        if known and known[0]["subject_type"] != "message":
            others += [_note(row) for row in known if row["key"] not in _SHOWN_OTHERWISE]
        elif known and not known[0]["has_message"]:
            others += _by_receipt(subject_id, known)
    entries += [entry for entry in others if since <= entry.at < until]
    return sorted(entries, key=lambda entry: (entry.at, entry.id))


def standing(metadata: Sequence[Row]) -> Standing:
    """Return how far a message came, by its own metadata, in whatever order that came."""
    states = [row["value"] for row in metadata if row["key"] == "source.delivery_state"]
    errors = [row["value"] for row in metadata if row["key"] == "source.error"]
    furthest = max(states, key=lambda state: (_RANKS.get(state, 0), state), default=None)
    return Standing(furthest, max(errors, default=None))


def _message(message: Row, metadata: Sequence[Row], marks: Sequence[Row], known: dict[str, Row]) -> Entry:
    # Of edits made at one time the last that came, as in the view.
    edits = sorted(
        (row for row in metadata if row["key"] == "source.edited" and row["value"]),
        key=lambda row: (row["occurred_at"], row["received_at"]),
    )
    deletions = [
        row["occurred_at"]
        for row in metadata
        if (row["key"], row["value"]) in {("source.deleted", "true"), ("source.delivery_state", "deleted")}
    ]
    texts = [text for text in (message["text"], *(edit["value"] for edit in edits)) if text is not None]
    own = standing(metadata)
    return Entry(
        at=message["sent_at"],
        id=message["message_id"],
        event_id=message["event_id"],
        received_at=message["received_at"],
        day=message["sent_date"],
        direction=message["direction"],
        kind=message["kind"],
        text=None if deletions or not texts else texts[-1],
        choice=message["choice"],
        attachments=message["attachments"],
        flags=[flag for flag in message["flags"] if flag != "echo"],
        quoted=_quoted(message["reply_to_source_message_id"], known),
        earlier_texts=texts[:-1] if edits else (),
        edited_at=edits[-1]["occurred_at"] if edits else None,
        deleted_at=min(deletions, default=None),
        state=_state(message, own.state, marks),
        error=own.error,
        reply_id=next((row["value"] for row in metadata if row["key"] == "source.reply"), None),
        reactions=_reactions(metadata),
        notes=[(row["key"], row["value"]) for row in metadata if row["key"] not in _SHOWN_OTHERWISE],
    )


def _quoted(source_message_id: str | None, known: dict[str, Row]) -> str | None:
    if not source_message_id:
        return None
    text: str = known.get(source_message_id, {}).get("text") or ""
    return text[:_EXCERPT] + "…" if len(text) > _EXCERPT else text


def _state(message: Row, own: str | None, marks: Sequence[Row]) -> str | None:
    """Return how far a message came, with what covers a whole conversation up to a time (watermarks)."""
    if own in _FINAL or message["direction"] != "outbound":
        return own
    for key, state in (("source.read_watermark", "read"), ("source.delivered_watermark", "delivered")):
        up_to = [_time(mark["value"]) for mark in marks if mark["key"] == key]
        if any(time and time >= message["sent_at"] for time in up_to):
            return state
    return own


def _time(text: str) -> dt.datetime | None:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or dt.UTC)


def _reactions(metadata: Sequence[Row]) -> list[str]:
    """Return the reactions that stand: of each person the last, unless it was taken back."""
    latest = {row["actor_id"]: row["value"] for row in metadata if row["key"] == "reaction.emoji"}
    return [emoji for emoji in latest.values() if emoji]


def _by_receipt(message_id: str, metadata: Sequence[Row]) -> list[Entry]:
    states = [row for row in metadata if row["key"] == "source.delivery_state"]
    if not states:
        return []
    first = next((row for row in states if row["value"] == "sent"), states[0])
    state, error = standing(metadata)
    return [
        Entry(
            at=first["occurred_at"],
            id=message_id,
            event_id=first["event_id"],
            received_at=first["received_at"],
            day=first["occurred_date"],
            direction="outbound",
            state=state,
            error=error,
            reactions=_reactions(metadata),
            has_message=False,
        )
    ]


def _note(row: Row) -> Entry:
    return Entry(
        at=row["occurred_at"],
        id=row["metadata_id"],
        event_id=row["event_id"],
        received_at=row["received_at"],
        day=row["occurred_date"],
        notes=[(row["key"], row["value"])],
    )
