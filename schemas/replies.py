"""Replies: what is posted to be sent, and what became of it; three kinds of raw events of one source.

Receiver, sender and pipeline read the same bodies. `docs/sending.md` describes them for those who post.
"""

import base64
import datetime as dt
import re
import uuid
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw

SOURCE: Final = "replies"
"""The endpoint, and so the `source` attribute of all three kinds of events."""
REPLY_ID: Final = "reply_id"
"""The attribute that holds the id which the receiver gave a reply."""
SENDER: Final = "sender"
"""The `verified_by` of attempts and outcomes, which come from Parley itself; nobody who posts has this name."""
IDEMPOTENCY_KEY: Final = "Idempotency-Key"

REPLY_TYPE: Final = "application/json"
ATTEMPT_TYPE: Final = "application/vnd.parley.attempt+json"
OUTCOME_TYPE: Final = "application/vnd.parley.outcome+json"

MAX_BODY_BYTES: Final = 64 * 1024
"""Many times the longest message of any source; pictures travel as addresses or ids."""
MAX_ID_CHARACTERS: Final = 256
"""Of a channel, a person, an actor's id and name, a provider's id."""
MAX_DEPTH: Final = 100
"""How deep content may be nested: how deep is too deep must not depend on who reads it."""
MAX_DAYS_AHEAD: Final = 30
"""How far in the future a reply may expire."""

# It never changes: the same key must give the same reply for ever.
_NAMESPACE: Final = uuid.UUID("48ec5146-0bdf-5c4d-986c-a525fa1e2f3d")
_IN_A_PATH: Final = frozenset({"facebook", "instagram", "whatsapp"})
"""The sources whose calls have the channel's id in their path."""
_PATH_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: a string, so in quotes.
_KEY: Final = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
Moment = Annotated[dt.datetime, Meta(tz=True)]
Channelled = Literal["facebook", "instagram", "whatsapp", "twilio", "chatplugin"]
SOURCES: Final[tuple[str, ...]] = get_args(Channelled)
"""The sources to whose conversations a reply can be posted."""
CHAT: Final = "chatplugin"
"""The one of them that Parley provides itself: the sender shows a visitor of the live chat the answer."""
SEEN_ON_WHATSAPP: Final = "read"
"""The `status` by which a business says that it has seen a message, and types where there is a `typing_indicator`.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/mark-message-as-read
"""
Result = Literal["accepted", "refused", "not_sent", "in_doubt", "expired", "dropped"]
"""What came of an attempt: `accepted` by the provider; `refused` by it; `not_sent`, so that it is tried again;
`in_doubt`, as the answer was lost; `expired` before it could be sent; `dropped`, as it stayed in doubt."""


T = TypeVar("T")


class InvalidReplyError(ValueError):
    """A body is no reply, attempt or outcome; the text says what is wrong with it, and where."""


class _Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A body, or a part of one. Fields that later versions add are passed over."""


class Actor(_Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers on the business's side."""

    kind: Literal["human", "bot", "system"]
    id: Id | None = None
    name: Id | None = None


class Addressed(_Body, frozen=True, kw_only=True):
    """What is sent, by whom and to whom, by the source's own ids."""

    source: Channelled
    channel: Id
    to: Id
    content: Raw
    """The source-native message, byte for byte as it was posted, or `{"text": …}`."""
    actor: Actor | None = None

    @property
    def conversation(self) -> tuple[str, str, str]:
        """Within which the order is kept."""
        return (self.source, self.channel, self.to)

    @property
    def text(self) -> str | None:
        """The text, where the content is `{"text": …}` and nothing else."""
        try:
            return _TEXT.decode(self.content).text
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @property
    def is_action(self) -> bool:
        """Whether the content is no message (typing, seen): it is given no id, and no receipt ever tells of it."""
        try:
            action = _ACTION.decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if self.source == "whatsapp":
            return action.status == SEEN_ON_WHATSAPP
        return self.source in {"facebook", "instagram"} and bool(action.sender_action)


class Reply(Addressed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is posted. A misspelt field is an error: nobody notices a lost `expires_at` otherwise."""

    expires_at: Moment | None = None
    """After which it is not sent any more."""
    on_doubt: Literal["drop", "send"] = "drop"
    """What to do where nothing ever tells whether an attempt was sent."""
    sent_by_others: bool = False
    """Another system has sent it: it is reported, and not sent."""
    source_message_id: Id | None = None
    """The provider's id of what others sent."""
    sent_at: Moment | None = None
    """When others sent it."""

    def addressed(self) -> Addressed:
        """Return what an outcome tells of the reply again."""
        return Addressed(
            source=self.source, channel=self.channel, to=self.to, content=self.content, actor=self.actor
        )


class Attempt(_Body, frozen=True, kw_only=True):
    """That a call is about to be made; durable before it is."""

    reply_id: str
    number: int
    """1 for the first attempt."""
    at: Moment
    sender: str
    """Which sender makes the call."""


class Outcome(_Body, frozen=True, kw_only=True):
    """What came of an attempt; tells the reply again, so that a message can be made from this event alone."""

    reply_id: str
    number: int
    """That of the attempt; 0 where none was made."""
    at: Moment
    result: Result
    status: int | None = None
    """The answer's HTTP status."""
    body: str | None = None
    """The answer's body."""
    body_base64: str | None = None
    """The answer's body, where that is no UTF-8."""
    source_message_id: str | None = None
    """The provider's id of the message."""
    error_code: str | None = None
    """The provider's code, or a word of ours."""
    retry_at: Moment | None = None
    """Not before which it is tried again."""
    reply: Addressed


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Action(msgspec.Struct):
    sender_action: str = ""
    status: str = ""


_CONTENT: Final = msgspec.json.Decoder(dict[str, Any])
_TEXT: Final = msgspec.json.Decoder(_Text)
_ACTION: Final = msgspec.json.Decoder(_Action)
REPLY: Final = msgspec.json.Decoder(Reply)
_ATTEMPT: Final = msgspec.json.Decoder(Attempt)
OUTCOME: Final = msgspec.json.Decoder(Outcome)


def idempotency_key(header: str | None) -> str | None:
    """Return the key that a header holds, without its quotes; None where there is none or it is malformed."""
    key = _KEY.fullmatch(header or "")
    return key[1] if key else None


def reply_id(token_name: str, key: str) -> str:
    """Return the id of a reply: the same for the same key of the same token's entry."""
    return str(uuid.uuid5(_NAMESPACE, f"{token_name}\n{key}"))


def kind(content_type: str) -> str:
    """Return which of the three types a `content_type` attribute names, whatever parameters it has."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type if media_type in {ATTEMPT_TYPE, OUTCOME_TYPE} else REPLY_TYPE


def decode_reply(data: bytes) -> Reply:
    """Return a reply as posted.

    Raises:
        InvalidReplyError: it is not JSON, or no reply.
    """
    reply = _decode(REPLY, data)
    # What is passed over is not read: a lone surrogate would come to light only at the provider.
    content = _decode(_CONTENT, reply.content)
    if not content:
        raise InvalidReplyError("an empty object says nothing - at `$.content`")
    if _is_deep(content):
        raise InvalidReplyError(f"nested deeper than {MAX_DEPTH} levels - at `$.content`")
    if reply.source in _IN_A_PATH and not _PATH_ID.fullmatch(reply.channel):
        # With a token of ours the call would go to some other place of the provider's.
        raise InvalidReplyError(f"no id of {reply.source} - at `$.channel`")
    if reply.sent_by_others and reply.source_message_id is None:
        raise InvalidReplyError("sent_by_others needs source_message_id, the provider's id of what was sent")
    for name in ("source_message_id", "sent_at"):
        if getattr(reply, name) is not None and not reply.sent_by_others:
            raise InvalidReplyError(f"{name} belongs to what others sent: sent_by_others is not true")
    return reply


def decode_attempt(data: bytes) -> Attempt:
    """Return an attempt.

    Raises:
        InvalidReplyError: it is not JSON, or no attempt.
    """
    return _decode(_ATTEMPT, data)


def decode_outcome(data: bytes) -> Outcome:
    """Return an outcome.

    Raises:
        InvalidReplyError: it is not JSON, or no outcome.
    """
    return _decode(OUTCOME, data)


def encode(body: Attempt | Outcome | Reply) -> bytes:
    """Return a body as JSON, its `content` byte for byte as it came."""
    return msgspec.json.encode(body)


def answer_fields(body: bytes) -> dict[str, str]:
    """Return the fields of an outcome that hold an answer's body: as text, or as base64 where it is none."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            each
            for one in level
            if isinstance(one, (dict, list))
            for each in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _decode(decoder: "msgspec.json.Decoder[T]", data: bytes | Raw) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidReplyError(str(error)) from error
