"""What the bodies of a custom source mean: tables of the sources file.

`docs/adding-a-source.md` describes them; `pipelines.sources.mapping` does what they say.
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Final, Literal

from schemas.sources_table import Path, Table

_KEY: Final = re.compile(r"[a-z0-9_.]+")
_OFFSET: Final = re.compile(r"Z|[+-](?:0\d|1[0-4]):[0-5]\d")
_SOME_MOMENT: Final = dt.datetime(2026, 11, 22, 18, 29, tzinfo=dt.UTC)


class Whereabouts(Table, frozen=True, kw_only=True):
    """Where items lie, and JMESPath expressions that say where an item belongs.

    They speak of `item`, `ancestors` (the objects around the item, nearest first, each without the member that
    leads to it), `ancestor` (the same by the keys under which they lie), `parent` and `body` (the nearest and the
    outermost of them), `headers` and `query`.
    """

    items: str | None = None
    """A JSON Pointer in which `*` is every element of an array; by default the whole body."""
    channel: str | None = None
    contact: str | None = None
    conversation: str | None = None
    time: str | None = None
    time_format: str | None = None
    """How the time is written, in the letters of strptime, where it is no usual form."""
    time_offset: str | None = None
    """Of which zone such a time is, where it does not say, such as `+09:00`; by default UTC."""
    display_name: str | None = None
    username: str | None = None
    phone_number: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    avatar_url: str | None = None


class Rule(Whereabouts, frozen=True, kw_only=True):
    """What an item becomes; what the rule does not say holds as the mapping says it."""

    when: str | None = None
    id: str | None = None
    sender: str | None = None
    """Who wrote the message, or did what the metadata says."""


class Attachment(Table, frozen=True, kw_only=True):
    """What came with a message: expressions that may speak of `attachment` too."""

    each: str | None = None
    """Gives the attachments, each `attachment` in the other expressions; by default the item is one."""
    when: str | None = None
    type: str | None = None
    url: str | None = None
    id: str | None = None
    name: str | None = None
    caption: str | None = None
    media_type: str | None = None
    size: str | None = None


class MessageRule(Rule, frozen=True, kw_only=True):
    """An item that is a message."""

    from_contact: str | None = None
    kind: str | None = None
    text: str | None = None
    choice: str | None = None
    """What a pressed button sends to the program behind it."""
    reply_to: str | None = None
    """The source's id of the message that this one answers."""
    attachments: tuple[Attachment, ...] = ()


class MetadataRule(Rule, frozen=True, kw_only=True):
    """An item that is metadata."""

    subject: Literal["message", "conversation", "contact", "channel"]
    key: str
    value: str | None = None


class BodyMapping(Whereabouts, frozen=True, kw_only=True):
    """What a source's bodies mean; its own expressions hold for every rule that has none."""

    message: tuple[MessageRule, ...] = ()
    metadata: tuple[MetadataRule, ...] = ()


def mapping_problems(mapping: BodyMapping) -> Iterable[tuple[Path, str]]:
    """Yield what contradicts itself in a mapping, and where in the source's table."""
    rules = _rules(mapping)
    if not rules:
        yield ("mapping",), "has neither [[mapping.message]] nor [[mapping.metadata]]"
    for path, where in (*rules, (("mapping",), mapping)):
        yield from (((*path, key), what) for key, what in _problems_of_place(where))
    for path, rule in rules:
        if isinstance(rule, MetadataRule):
            if not _KEY.fullmatch(rule.key):
                yield (*path, "key"), "a key has lower-case letters, digits, dots and underscores"
            if rule.subject == "message" and rule.id is None:
                yield (*path, "subject"), "metadata about a message needs the message's id"
        elif isinstance(rule, MessageRule):
            if not any((rule.contact, mapping.contact, rule.conversation, mapping.conversation)):
                yield path, "a message needs a contact, or one that is sent a conversation"
            for number, attachment in enumerate(rule.attachments):
                if not any((attachment.url, attachment.id, attachment.name, attachment.type)):
                    yield (*path, "attachments", number), "needs one of url, id, name and type"


def mapping_doubts(mapping: BodyMapping) -> Iterable[tuple[Path, str]]:
    """Yield what can never do what it says, and where in the source's table: it hinders nobody from starting."""
    for path, where in (*_rules(mapping), (("mapping",), mapping)):
        if where.time_format is not None and not _reads_times(where.time_format):
            yield (
                (*path, "time_format"),
                "strptime reads no time of any year by it; it reads such as %Y-%m-%d %H:%M:%S",
            )


def _rules(mapping: BodyMapping) -> list[tuple[Path, "Rule"]]:
    return [
        (("mapping", kind, number), rule)
        for kind, listed in (("message", mapping.message), ("metadata", mapping.metadata))
        for number, rule in enumerate(listed)
    ]


def _problems_of_place(where: Whereabouts) -> Iterable[tuple[str, str]]:
    if where.time_format is not None and (where.time is None or "%" not in where.time_format):
        yield "time_format", "needs time beside it, and letters of strptime, such as %Y-%m-%d %H:%M:%S"
    if where.time_offset is not None and not (where.time_format and _OFFSET.fullmatch(where.time_offset)):
        yield "time_offset", "belongs to time_format, and is such as +09:00"
    if where.items and not where.items.startswith("/"):
        yield "items", "a JSON Pointer starts with /; the whole body is the empty text"


def _reads_times(form: str) -> bool:
    """Say whether times of a form can be read, and say their year: without it, each would be that of receipt."""
    try:
        return dt.datetime.strptime(_SOME_MOMENT.strftime(form), form).year == _SOME_MOMENT.year
    except (ValueError, re.error):
        return False
