"""Custom sources that the sources file describes: expressions say what each item of a body becomes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from pipelines.core import ids
from pipelines.core.item import Item, Lineage
from pipelines.sources import form_body
from pipelines.sources.custom import note_contact
from pipelines.sources.expressions import Context, Expressions, scalar_text
from pipelines.sources.json_body import Body, members
from pipelines.sources.place import Place
from schemas.custom_sources import BodyMapping, MessageRule, MetadataRule
from schemas.raw_event import HEADER_PREFIX, RawEvent

PROFILE: Final = ("display_name", "username", "phone_number", "locale", "time_zone", "avatar_url")

_ANYTHING: Final = msgspec.json.Decoder()
_ARRAY: Final = msgspec.json.Decoder(list[Raw])
_WHOLE: Final = msgspec.json.Decoder(Raw)


class Part(NamedTuple):
    """A part of a body, and the objects around it, nearest first: each without the member that leads to it."""

    raw: Raw
    pointer: str = ""
    ancestors: tuple[dict[str, Any], ...] = ()


class Mapped:
    """Reads the bodies of one custom source by its mapping.

    Every rule whose `when` holds applies to an item. An item to which none does is kept as the metadata
    `source.unknown` about the closest subject that the mapping's own expressions tell.
    """

    def __init__(self, source: str, mapping: BodyMapping) -> None:
        self._source = source
        self._mapping = Expressions(mapping)
        self._rules: dict[str, list[tuple[MessageRule | MetadataRule, Expressions]]] = {}
        rules: list[MessageRule | MetadataRule] = [*mapping.message, *mapping.metadata]
        for rule in rules:
            pointer = (mapping.items if rule.items is None else rule.items) or ""
            self._rules.setdefault(pointer, []).append((rule, Expressions(mapping, rule)))
        self._pointers = tuple(self._rules)
        # What holds the items of another pointer is not unknown because no rule of its own applies.
        self._holders = {outer for outer in self._rules for inner in self._rules if inner.startswith(f"{outer}/")}

    def parse(self, event: RawEvent, lineage: Lineage) -> str | None:
        """Make the rows of every item that the mapping finds in a body."""
        around: Context = {
            "headers": {
                name.removeprefix(HEADER_PREFIX): value
                for name, value in event.attributes.items()
                if name.startswith(HEADER_PREFIX)
            },
            "query": form_body.read(event.query.encode())[0],
        }
        if form_body.is_form(event.data, event.content_type):
            found = self._form(event.data, lineage, around)
        else:
            body = Body(event.data)
            found = self._json(body, Part(body.decode(_WHOLE)), self._pointers, lineage, around)
        return None if found else "nothing where the mapping looks for items"

    def _form(self, data: bytes, lineage: Lineage, around: Context) -> bool:
        """Read a form: one item, or what the pointers find in fields whose value is JSON."""
        fields, _ = form_body.read(data)
        found = "" in self._pointers
        if found:
            with lineage.item("", data, source=self._source, content_type=form_body.FORM) as item:
                self._read(item, "", {**around, "item": fields, "ancestors": []})
        inside: dict[str, list[str]] = {}
        for pointer in filter(None, self._pointers):
            inside.setdefault(pointer.split("/")[1], []).append(pointer)
        for step, pointers in inside.items():
            value = fields.get(_unescaped(step))
            if value is None:
                continue
            found = True
            others = {name: other for name, other in fields.items() if name != _unescaped(step)}
            # Where the field is no JSON, it fails with the bytes that came.
            with lineage.item(f"/{step}", data, source=self._source, content_type=form_body.FORM):
                body = Body(value.encode())
                self._json(body, Part(body.decode(_WHOLE), f"/{step}", (others,)), pointers, lineage, around)
        return found

    def _json(self, body: Body, whole: Part, pointers: Iterable[str], lineage: Lineage, around: Context) -> bool:
        """Read every item to which pointers lead; the steps to `whole` itself are done."""
        found = False
        done = whole.pointer.count("/") + 1
        for pointer in pointers:
            for part in _parts(body, whole, pointer.split("/")[done:]):
                found = True
                with lineage.item(part.pointer, body.exact(part.raw), source=self._source) as item:
                    objects: dict[str, Any] = {"ancestors": list(part.ancestors)}
                    if part.ancestors:
                        objects |= {"parent": part.ancestors[0], "body": part.ancestors[-1]}
                    self._read(item, pointer, {**around, **objects, "item": body.decode(_ANYTHING, part.raw)})
        return found

    def _read(self, item: Item, pointer: str, context: Context) -> None:
        for rule, expressions in self._rules.get(pointer, ()):
            if expressions.holds("when", context):
                if isinstance(rule, MessageRule):
                    self._message(item, expressions, context)
                else:
                    self._fact(item, rule, expressions, context)
        if not item.told and pointer not in self._holders:
            self._place(item, self._mapping, context).tell(item, "source.unknown")

    def _message(self, item: Item, expressions: Expressions, context: Context) -> None:
        place = self._place(item, expressions, context)
        if not place.contact_id or not place.conversation_id:
            raise ValueError("contact gives nothing")
        from_contact = expressions.value("from_contact", context, default=True)
        if not isinstance(from_contact, bool):
            raise ValueError(f"from_contact gives {from_contact!r}, not true or false")
        sender = expressions.text("sender", context)
        item.message(
            channel_id=place.channel_id,
            contact_id=place.contact_id,
            conversation_id=place.conversation_id,
            source_message_id=expressions.text("id", context),
            direction="inbound" if from_contact else "outbound",
            sender_id=sender or (expressions.text("contact", context) if from_contact else None),
            kind=expressions.text("kind", context) or "message",
        )

    def _fact(self, item: Item, rule: MetadataRule, expressions: Expressions, context: Context) -> None:
        place = self._place(item, expressions, context)
        message_id = None
        match rule.subject:
            case "message":
                source_message_id = expressions.text("id", context)
                if not source_message_id:
                    raise ValueError("id gives nothing")
                message_id = ids.message_id(self._source, "", source_message_id)
            case "conversation" if place.conversation_id:
                pass
            case "contact" if place.contact_id:
                place = place._replace(conversation_id=None)
            case "channel":
                place = Place(place.channel_id)
            case subject:
                raise ValueError(f"no expression tells the {subject}")
        value = scalar_text(expressions.value("value", context))
        if rule.key == "source.delivery_state":
            value = value.lower()
        place.tell(item, rule.key, value, message_id=message_id, actor=expressions.text("sender", context))

    def _place(self, item: Item, expressions: Expressions, context: Context) -> Place:
        """Note channel, contact and conversation as far as the expressions tell them, and when it was."""
        item.dated(expressions.time("time", context))
        channel_id = item.channel(expressions.text("channel", context) or self._source)
        contact = expressions.text("contact", context)
        conversation = expressions.text("conversation", context) or contact
        if not contact:
            if not conversation:
                return Place(channel_id)
            return Place(channel_id, conversation_id=ids.conversation_id(channel_id, conversation))
        profile = {name: expressions.text(name, context) for name in PROFILE}
        contact_id = note_contact(item, channel_id, contact, profile)
        return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, conversation or contact))


def _parts(body: Body, part: Part, steps: list[str]) -> Iterator[Part]:
    """Yield the parts of a body to which a pointer leads from a part."""
    if bytes(part.raw) == b"null":
        return
    if not steps or (steps[0] == "*" and bytes(part.raw)[:1] != b"["):
        # What should be an array and is none is read as an item, so that it fails alone.
        yield part
    elif steps[0] == "*":
        elements = body.decode(_ARRAY, part.raw)
        for number, element in enumerate(elements):
            inner = part._replace(raw=element, pointer=f"{part.pointer}/{number}")
            yield from _parts(body, inner, steps[1:])
    else:
        inside = members(body, part.raw)
        followed = inside.pop(_unescaped(steps[0]), None)
        if followed is not None:
            around = {name: body.decode(_ANYTHING, member) for name, member in inside.items()}
            inner = Part(followed, f"{part.pointer}/{steps[0]}", (around, *part.ancestors))
            yield from _parts(body, inner, steps[1:])


def _unescaped(step: str) -> str:
    """Return the key that a step of a JSON Pointer names."""
    return step.replace("~1", "/").replace("~0", "~")
