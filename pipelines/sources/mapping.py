"""Custom sources that the sources file describes: expressions say what each item of a body becomes."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pipelines.core import ids
from pipelines.core.item import Item, Lineage
from pipelines.core.times import Written
from pipelines.sources import form_body
from pipelines.sources.custom import note_contact
from pipelines.sources.expressions import Context, Expressions, Given
from pipelines.sources.interpreter import Interpreter, scalar_text
from pipelines.sources.json_body import Body
from pipelines.sources.parts import Part, parts, unescaped, whole
from pipelines.sources.place import Place
from pipelines.sources.readings import MOST_ATTACHMENTS, Reader
from schemas.mapping_tables import BodyMapping, MessageRule, MetadataRule, Whereabouts
from schemas.raw_event import HEADER_PREFIX, RawEvent

PROFILE: Final = ("display_name", "username", "phone_number", "locale", "time_zone", "avatar_url")
READ: Final = {
    "type": "type",
    "url": "url",
    "id": "id",
    "name": "filename",
    "caption": "caption",
    "media_type": "mime_type",
    "size": "size",
}
"""What the view `message_texts` calls the expressions of an attachment."""

_ANYTHING: Final = msgspec.json.Decoder()


class Mapped:
    """Reads the bodies of one custom source by its mapping.

    Every rule whose `when` holds applies to an item. An item to which none does is kept as the metadata
    `source.unknown` about the closest subject that the mapping's own expressions tell.
    """

    def __init__(self, source: str, mapping: BodyMapping) -> None:
        self._source = source
        self._mapping = _Rule(mapping, mapping, "mapping")
        self._rules: dict[str, list[_Rule]] = {}
        for kind, rules in (("message", mapping.message), ("metadata", mapping.metadata)):
            for number, rule in enumerate(rules):
                pointer = (mapping.items if rule.items is None else rule.items) or ""
                made = _Rule(mapping, rule, f"{kind}[{number}]")
                self._rules.setdefault(pointer, []).append(made)
        self._pointers = tuple(self._rules)
        # What holds the items of another pointer is not unknown because no rule of its own applies.
        self._holders = {outer for outer in self._rules for inner in self._rules if inner.startswith(f"{outer}/")}

    def parse(self, event: RawEvent, lineage: Lineage, seen: list[Given] | None = None) -> str | None:
        """Make the rows of every item that the mapping finds in a body; `seen` takes what expressions give."""
        headers = {
            name.removeprefix(HEADER_PREFIX): value
            for name, value in event.attributes.items()
            if name.startswith(HEADER_PREFIX)
        }
        query = form_body.read(event.query.encode())[0]
        around = Context({"headers": headers, "query": query}, Interpreter(), seen)
        if not event.data and query:
            # All that a sender by GET says.
            found = self._fields(event.query.encode(), query, lineage, around)
        elif form_body.is_form(event.data, event.content_type):
            read = form_body.read(event.data, form_body.charset_of(event.content_type))[0]
            found = self._fields(event.data, read, lineage, around)
        elif form_body.is_multipart(event.content_type):
            read = form_body.read_multipart(event.data, event.content_type)
            found = self._fields(event.data, read, lineage, around, form_body.MULTIPART)
        else:
            found = self._json(whole(Body(event.data)), self._pointers, lineage, around)
        return None if found else "nothing where the mapping looks for items"

    def _fields(
        self,
        data: bytes,
        fields: dict[str, str],
        lineage: Lineage,
        around: Context,
        content_type: str = form_body.FORM,
    ) -> bool:
        """Read a form: one item, or what the pointers find in fields whose value is JSON."""
        found = "" in self._pointers
        if found:
            with lineage.item("", data, source=self._source, content_type=content_type) as item:
                values = {"item": fields, "ancestors": [], "ancestor": {}, "body": fields}
                self._read(item, "", around.having(values), Reader(data, is_json=False))
        inside: dict[str, list[str]] = {}
        for pointer in filter(None, self._pointers):
            inside.setdefault(pointer.split("/")[1], []).append(pointer)
        for step, pointers in inside.items():
            name = unescaped(step)
            value = fields.get(name)
            if value is None:
                continue
            found = True
            others = {each: other for each, other in fields.items() if each != name}
            # Where the field is no JSON, it fails with the bytes that came.
            with lineage.item(f"/{step}", data, source=self._source, content_type=content_type):
                part = whole(Body(value.encode()), f"/{step}", (others,))
                self._json(part, pointers, lineage, around)
        return found

    def _json(self, start: Part, pointers: Iterable[str], lineage: Lineage, around: Context) -> bool:
        """Read every item to which pointers lead; the steps to `start` itself are done."""
        found = False
        done = start.pointer.count("/") + 1
        for pointer in pointers:
            for part in parts(start, pointer.split("/")[done:]):
                found = True
                content = part.body.exact(part.raw)
                with lineage.item(part.pointer, content, source=self._source) as item:
                    read = part.body.decode(_ANYTHING, part.raw)
                    ancestors = list(part.ancestors)
                    values: dict[str, Any] = {"item": read, "ancestors": ancestors, "ancestor": part.named}
                    values["body"] = ancestors[-1] if ancestors else read
                    if ancestors:
                        values["parent"] = ancestors[0]
                    self._read(item, pointer, around.having(values), Reader(content, is_json=True))
        return found

    def _read(self, item: Item, pointer: str, context: Context, reader: Reader) -> None:
        for rule in self._rules.get(pointer, ()):
            if rule.expressions.holds("when", context):
                if isinstance(rule.table, MessageRule):
                    self._message(item, rule, context, reader)
                elif isinstance(rule.table, MetadataRule):
                    self._fact(item, rule, rule.table, context)
        if not item.told and pointer not in self._holders:
            self._place(item, self._mapping, context).tell(item, "source.unknown")

    def _message(self, item: Item, rule: "_Rule", context: Context, reader: Reader) -> None:
        expressions = rule.expressions
        from_contact = expressions.value("from_contact", context, default=True)
        if not isinstance(from_contact, bool):
            raise ValueError(f"from_contact gives {from_contact!r}, not true or false")
        place = self._place(item, rule, context, assume=not from_contact)
        if not place.contact_id or not place.conversation_id:
            raise ValueError("contact gives nothing")
        sender = expressions.text("sender", context)
        item.message(
            channel_id=place.channel_id,
            contact_id=place.contact_id,
            conversation_id=place.conversation_id,
            source_message_id=expressions.text("id", context),
            direction="inbound" if from_contact else "outbound",
            sender_id=sender or (expressions.text("contact", context) if from_contact else None),
            kind=expressions.text("kind", context) or "message",
            reading=rule.reading(context, reader),
        )

    def _fact(self, item: Item, rule: "_Rule", table: MetadataRule, context: Context) -> None:
        expressions = rule.expressions
        place = self._place(item, rule, context)
        message_id = None
        match table.subject:
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
        if table.key == "source.delivery_state":
            value = value.lower()
        place.tell(item, table.key, value, message_id=message_id, actor=expressions.text("sender", context))

    def _place(self, item: Item, rule: "_Rule", context: Context, *, assume: bool = False) -> Place:
        """Note channel, contact and conversation as far as the expressions tell them, and when it was.

        Of what was sent without saying to whom, the contact can be assumed: whoever the conversation is with.
        """
        expressions = rule.expressions
        told = expressions.time("time", context)
        item.dated(rule.time(told), written=told if rule.has_form else None)
        channel_id = item.channel(expressions.text("channel", context) or self._source)
        contact = expressions.text("contact", context)
        conversation = expressions.text("conversation", context) or contact
        if not contact and assume and conversation:
            contact = conversation
            item.flags.append("contact_assumed")
        if not contact:
            if not conversation:
                return Place(channel_id)
            return Place(channel_id, conversation_id=ids.conversation_id(channel_id, conversation))
        profile = {name: expressions.text(name, context) for name in PROFILE}
        contact_id = note_contact(item, channel_id, contact, profile)
        return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, conversation or contact))


class _Rule:
    """A rule, ready to be applied."""

    def __init__(self, mapping: BodyMapping, table: Whereabouts, place: str) -> None:
        self.table = table
        self.expressions = Expressions(mapping, table, place=place)
        self._time_format = table.time_format or (mapping.time_format if table.time is None else None)
        self.has_form = self._time_format is not None
        """Whether times are of a form that is declared."""
        self._offset: dt.tzinfo = dt.UTC
        if offset := table.time_offset or mapping.time_offset:
            self._offset = dt.datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo or dt.UTC
        attachments = table.attachments if isinstance(table, MessageRule) else ()
        self._attachments = [
            Expressions(each, place=f"{place}.attachments[{number}]") for number, each in enumerate(attachments)
        ]
        self._reads = bool(attachments) or self.expressions.has("text", "choice", "reply_to")

    def time(self, told: Written) -> Written:
        """Return a time as it was told, or read by the declared form: None where it is not of that."""
        if self._time_format is None or told is None:
            return told
        try:
            moment = dt.datetime.strptime(str(told).strip(), self._time_format)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._offset)).isoformat()

    def reading(self, context: Context, reader: Reader) -> str | None:
        """Return where a message's text and attachments are; None where the rule does not say."""
        if not self._reads:
            return None
        expressions = self.expressions
        attachments: list[dict[str, Any]] = []
        for table in self._attachments:
            given = table.value("each", context, default=context.values["item"])
            listed = given if isinstance(given, list) else [given]
            for each in listed[: MOST_ATTACHMENTS - len(attachments)]:
                inner = context.having({"attachment": each})
                if each is not None and table.holds("when", inner):
                    attachments.append({called: table.value(name, inner) for name, called in READ.items()})
        return reader.reading(
            expressions.value("text", context),
            expressions.value("choice", context),
            expressions.value("reply_to", context),
            attachments,
        )
