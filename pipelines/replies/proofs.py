"""Which replies a receipt or echo proves: the provider gives the reply's id back, beside its own; pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from pipelines.replies.register import is_reply_id
from schemas.raw_event import RawEvent

SOURCES: Final = ("facebook", "whatsapp", "twilio")
"""The endpoints whose webhooks tell of replies; Instagram's come to `facebook`."""
_HINT: Final = re.compile(rb'"(?:biz_opaque_callback_data|metadata)"')


class Proof(NamedTuple):
    """That a provider has a reply's message."""

    reply_id: str
    source_message_id: str


class Heard(NamedTuple):
    """What a webhook of WhatsApp tells of a number's load."""

    channel: str
    messages: int


class _Status(msgspec.Struct):
    id: str = ""
    biz_opaque_callback_data: str = ""


class _Metadata(msgspec.Struct):
    phone_number_id: str = ""


class _Value(msgspec.Struct):
    statuses: list[Raw] = []
    messages: list[Raw] = []
    metadata: Raw = Raw(b"{}")


class _Change(msgspec.Struct):
    value: Raw = Raw(b"{}")


class _Message(msgspec.Struct):
    mid: str = ""
    is_echo: bool = False
    metadata: str = ""


class _Messaging(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Entry(msgspec.Struct):
    changes: list[Raw] = []
    messaging: list[Raw] = []
    standby: list[Raw] = []


class _Body(msgspec.Struct):
    entry: list[Raw] = []


T = TypeVar("T")


def find_proofs(event: RawEvent) -> Iterator[Proof]:
    """Yield the replies that a webhook proves, each once for every time it is told."""
    for proof in _in_twilio(event) if event.source == "twilio" else _in_graph(event):
        if is_reply_id(proof.reply_id) and proof.source_message_id:
            yield proof


def find_heard(event: RawEvent) -> Iterator[Heard]:
    """Yield how many messages people have written to numbers of WhatsApp."""
    if event.source != "whatsapp" or b'"messages"' not in event.data:
        return
    for value in _values(event.data):
        for number in _read((value.metadata,), _Metadata):
            if value.messages and number.phone_number_id:
                yield Heard(number.phone_number_id, len(value.messages))


def _in_graph(event: RawEvent) -> Iterator[Proof]:
    # Most webhooks tell of no reply of ours: they are not decoded.
    if not _HINT.search(event.data):
        return
    for value in _values(event.data):
        for status in _read(value.statuses, _Status):
            yield Proof(status.biz_opaque_callback_data, status.id)
    for entry in _entries(event.data):
        for each in _read((*entry.messaging, *entry.standby), _Messaging):
            if each.message.is_echo:
                yield Proof(each.message.metadata, each.message.mid)


def _in_twilio(event: RawEvent) -> Iterator[Proof]:
    for reply_id in parse_qs(event.query).get("reply", []):
        form = parse_qs(event.data.decode("utf-8", "replace"))
        for sid in (form.get("MessageSid") or form.get("SmsSid") or [])[:1]:
            yield Proof(reply_id, sid)


def _values(data: bytes) -> Iterator[_Value]:
    for entry in _entries(data):
        for change in _read(entry.changes, _Change):
            yield from _read((change.value,), _Value)


def _entries(data: bytes) -> Iterator[_Entry]:
    for body in _read((data,), _Body):
        yield from _read(body.entry, _Entry)


def _read(parts: Iterable[bytes | Raw], kind: type[T]) -> Iterator[T]:
    """Yield what is of a kind; what is not proves nothing, and keeps nothing else from being read."""
    for part in parts:
        try:
            yield msgspec.json.decode(part, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
