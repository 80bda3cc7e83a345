"""The box by which a conversation is answered: whom it goes to, whether the source takes it, and its own proofs.

It is there where a desk is configured, and it only posts to the receiver: nothing is sent from here.
"""

import datetime as dt
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from flask import Flask, current_app, request

from pipelines.dashboard.reader import Entry
from pipelines.dashboard.warehouse import Row
from pipelines.run.desk import Desk, NotTakenError, reply_body
from schemas.replies import SOURCES

WINDOW: Final = dt.timedelta(hours=24)
WINDOW_SOURCES: Final = frozenset({"facebook", "instagram", "whatsapp", "twilio.whatsapp"})
"""https://developers.facebook.com/docs/whatsapp/pricing and /docs/messenger-platform/policy/policy-overview"""
LONGEST: Final = {"whatsapp": 4096, "facebook": 2000, "instagram": 1000, "twilio": 1600}
"""Characters of a text that the source takes."""
DEFAULT_LONGEST: Final = 4096
LONGEST_BYTES: Final = {"instagram": 1000}
"""Bytes of its UTF-8: https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message"""
LIVES: Final = dt.timedelta(hours=12)
"""After that a form is not taken any more."""
_EXTENSION: Final = "parley-reply-box"
_RANKS: Final = {"posted": 0, "reported": 0, "not_sent": 1, "in_doubt": 1}
"""As the view replies ranks them; what ends a reply comes after all of these."""
_WAITS: Final = {"posted": "pending", "not_sent": "pending"}
_SHOWN_AS_MESSAGES: Final = frozenset({"accepted", "reported"})
_WORDS: Final = {
    401: "The receiver does not know the dashboard's token (PARLEY_REPLY_TOKEN). Nothing was sent.",
    403: "The dashboard's token may not reply on this channel. Nothing was sent.",
    404: "The receiver takes no replies: PARLEY_REPLY_TOKENS is not set there. Nothing was sent.",
}
OTHER_TEXT: Final = (
    "This form has posted another text before, which may have been taken: look whether it shows above. "
    "This text was not. Send it again, and it goes out as an answer of its own."
)
_UNKNOWN: Final = "The receiver does not answer, and may have taken it or not. Send it again: it goes out once."


class Draft(msgspec.Struct, frozen=True):
    """What somebody wants to answer, and why it was not taken."""

    text: str
    key: str
    problem: str = ""


class Box(msgspec.Struct, frozen=True):
    """What the page shows of it."""

    source: str
    longest: int
    text: str
    key: str
    proof: str
    problem: str
    open_until: dt.datetime | None
    """Until when the source takes an answer; None where it always does, or where it does not now."""
    is_closed: bool
    since: dt.datetime | None
    """When the contact wrote last, in the last days."""


class _Settings(msgspec.Struct, frozen=True):
    desk: Desk
    now: Callable[[], dt.datetime]
    secret: bytes


def init_app(app: Flask, desk: Desk, now: Callable[[], dt.datetime]) -> None:
    """Let the conversations of an app be answered."""
    app.extensions[_EXTENSION] = _Settings(desk, now, secrets.token_bytes(32))


def can_answer(source: str) -> bool:
    """Return whether there is a desk, and replies go to a source."""
    return _EXTENSION in current_app.extensions and endpoint(source) in SOURCES


def endpoint(source: str) -> str:
    """Return the source as replies name it: rows tell SMS from Twilio's WhatsApp."""
    return source.partition(".")[0]


def unsendable(endpoint: str, text: str) -> str:
    """Return in words why a source takes no such text, empty where it does."""
    if not text:
        return "There is nothing to send."
    longest, most_bytes = LONGEST.get(endpoint, DEFAULT_LONGEST), LONGEST_BYTES.get(endpoint)
    if len(text) > longest:
        return f"This is longer than the {longest} characters it may have."
    if most_bytes and (size := len(text.encode())) > most_bytes:
        return (
            f"This has {size} bytes, and may have {most_bytes}: letters other than English ones and emoji have "
            "several each. Send it in parts."
        )
    return ""


def now() -> dt.datetime:
    """Return the time, by which windows are open."""
    return _settings().now()


def box(conversation_id: str, source: str, asked_at: dt.datetime | None, draft: Draft | None) -> Box:
    """Return what is shown, where a contact has written last at `asked_at`."""
    moment, key = now(), draft.key if draft else str(uuid.uuid4())
    windowed = source in WINDOW_SOURCES
    closes = asked_at + WINDOW if windowed and asked_at else None
    is_closed = windowed and (closes is None or closes <= moment)
    return Box(
        source,
        LONGEST.get(endpoint(source), DEFAULT_LONGEST),
        draft.text if draft else "",
        key,
        prove(conversation_id, key, moment),
        draft.problem if draft else "",
        None if is_closed else closes,
        is_closed,
        asked_at,
    )


def prove(conversation_id: str, key: str, moment: dt.datetime) -> str:
    """Return what only a form of this dashboard holds, for a conversation and a key."""
    at = str(int(moment.timestamp()))
    told = json.dumps([conversation_id, key, at]).encode()
    return f"{at}.{hmac.digest(_settings().secret, told, 'sha256').hex()}"


def is_ours(conversation_id: str, key: str, proof: str) -> bool:
    """Return whether a form is one of this dashboard's, for this conversation, and not too old."""
    at, _, _ = proof.partition(".")
    if not at.isdecimal() or len(at) > 12:
        return False
    made = dt.datetime.fromtimestamp(int(at), dt.UTC)
    return hmac.compare_digest(prove(conversation_id, key, made).encode(), proof.encode()) and (
        made <= now() < made + LIVES
    )


def is_from_here() -> bool:
    """Return whether the browser says that the running request comes from a page of this dashboard."""
    return request.headers.get("Origin") == request.host_url.rstrip("/")


def post(whom: Mapping[str, str], text: str, key: str) -> tuple[str, str]:
    """Post an answer; return its id, or an empty text and in words why it was not taken."""
    body = reply_body({**whom, "actor": {"kind": "human"}}, json.dumps({"text": text}, ensure_ascii=False))
    try:
        return _settings().desk.post(body, key), ""
    except NotTakenError as error:
        if error.status in _WORDS:
            return "", _WORDS[error.status]
        if error.status == HTTPStatus.CONFLICT:
            return "", OTHER_TEXT
        if not error.status or error.status >= 500:
            return "", _UNKNOWN
        return "", f"The receiver refuses it: {error} Nothing was sent."


def entries(told: Sequence[Row]) -> list[Entry]:
    """Return the answers that are no messages yet, or never will be, as the last that was told of each."""
    latest: dict[str, Row] = {}
    for row in sorted(told, key=lambda row: (_RANKS.get(row["value"], 2), row["occurred_at"], row["received_at"])):
        latest[row["reply_id"]] = row
    begun: dict[str, dt.datetime] = {
        row["reply_id"]: row["occurred_at"] for row in told if row["value"] == "posted"
    }
    return [
        Entry(
            at=begun[reply_id] if reply_id in begun else row["occurred_at"],
            id=reply_id,
            event_id=row["event_id"],
            received_at=row["received_at"],
            day=row["occurred_date"],
            direction="outbound",
            text=row["text"],
            state=_WAITS.get(row["value"], row["value"]),
            error=row["error"],
        )
        for reply_id, row in latest.items()
        if row["value"] not in _SHOWN_AS_MESSAGES
    ]


def _settings() -> _Settings:
    found: _Settings = current_app.extensions[_EXTENSION]
    return found
