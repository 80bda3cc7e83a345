"""Custom sources that post Parley's own JSON: `messages[]` and `metadata[]`, as in Airy's Source API.

Every item says by itself where it belongs, so that it makes the same rows in any batch.

https://airy.co/docs/core/api/source
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from pipelines.core import ids
from pipelines.core.bounds import MOST_ROWS, TooMuchError
from pipelines.core.item import Item, Lineage
from pipelines.sources.json_body import (
    NOTHING,
    Body,
    Id,
    fact_key,
    is_array,
    is_given,
    members,
    says,
    scalar,
    text,
)
from pipelines.sources.place import Place
from schemas.raw_event import RawEvent


class Message(Struct):
    """An element of `messages`."""

    source_message_id: Id = None
    source_conversation_id: Id = None
    source_channel_id: Id = None
    source_sender_id: Id = None
    source_recipient_id: Id = None
    content: Raw = NOTHING
    from_contact: bool | None = None
    sent_at: Raw = NOTHING


class Metadata(Struct):
    """An element of `metadata`: what is told of what `namespace` and `source_id` name."""

    namespace: str = ""
    source_id: Id = None
    source_channel_id: Id = None
    source_sender_id: Id = None
    metadata: Raw = NOTHING
    occurred_at: Raw = NOTHING


DEEPEST_FACT: Final = 32
"""Levels of objects in which metadata is looked for."""
LONGEST_PATH: Final = 256
"""Characters of a key behind which no further objects are looked into: each row repeats them."""
BODY: Final = msgspec.json.Decoder(dict[str, Raw])
ITEMS: Final = msgspec.json.Decoder(list[Raw])
MESSAGE: Final = msgspec.json.Decoder(Message)
METADATA: Final = msgspec.json.Decoder(Metadata)


class OwnJson:
    """Reads the bodies of one custom source."""

    def __init__(self, source: str) -> None:
        self._source = source

    def parse(self, event: RawEvent, lineage: Lineage) -> None:
        """Make the rows of a body: of each message, each metadata, and of members that it should not have."""
        body = Body(event.data)
        readers = {"messages": self._message, "metadata": self._metadata}
        for name, value in body.decode(BODY).items():
            if name not in readers:
                with self._item(lineage, body, "/" + escaped(name), value) as item:
                    self._place(item, None).tell(item, fact_key(name), says(body, value))
            elif is_array(value):
                parts = body.decode(ITEMS, value)
                for number, part in enumerate(parts):
                    with self._item(lineage, body, f"/{name}/{number}", part) as item:
                        readers[name](item, body, part)
            elif is_given(value):
                # What should be an array and is none fails alone: the other member may be right.
                with self._item(lineage, body, f"/{name}", value):
                    body.decode(ITEMS, value)

    def _item(self, lineage: Lineage, body: Body, pointer: str, part: Raw) -> Item:
        return lineage.item(pointer, body.exact(part), source=self._source)

    def _place(self, item: Item, source_channel_id: Id) -> Place:
        return Place(item.channel(text(source_channel_id) or self._source))

    def _message(self, item: Item, body: Body, part: Raw) -> None:
        message = body.decode(MESSAGE, part)
        if message.from_contact is None:
            raise ValueError("from_contact is missing: true for a message from the contact, false for one to it")
        if not is_given(message.content):
            raise ValueError("content is missing")
        sender, conversation = text(message.source_sender_id), text(message.source_conversation_id)
        contact = sender if message.from_contact else text(message.source_recipient_id)
        if not contact:
            # As with Airy: without a name for the other side, it is whoever the conversation is with.
            contact = conversation
            item.flags.append("contact_assumed")
        if not contact:
            raise ValueError("neither source_conversation_id nor the contact's id is there")
        item.dated(scalar(message.sent_at))
        channel_id = self._place(item, message.source_channel_id).channel_id
        contact_id = item.contact(channel_id, contact)
        item.message(
            channel_id=channel_id,
            contact_id=contact_id,
            conversation_id=item.conversation(channel_id, contact_id, conversation or contact),
            source_message_id=text(message.source_message_id),
            direction="inbound" if message.from_contact else "outbound",
            sender_id=sender,
        )

    def _metadata(self, item: Item, body: Body, part: Raw) -> None:
        entry = body.decode(METADATA, part)
        item.dated(scalar(entry.occurred_at))
        if not text(entry.source_channel_id) and entry.namespace == "conversation":
            item.flags.append("channel_assumed")
        place = self._place(item, entry.source_channel_id)
        about = text(entry.source_id)
        leaves = {leaf.key: leaf for leaf in flattened(body, entry.metadata)}
        values = {key: leaf.value for key, leaf in leaves.items()}
        message_id = None
        match entry.namespace:
            case "message" if about:
                message_id = ids.message_id(self._source, "", about)
            case "conversation" if about:
                place = place._replace(conversation_id=ids.conversation_id(place.channel_id, about))
            case "contact" if about:
                place = place._replace(contact_id=note_contact(item, place.channel_id, about, values))
            case "channel":
                channel = about or text(entry.source_channel_id)
                place = Place(item.channel(channel or self._source, display_name=values.get("name") or None))
            case _ if not about:
                raise ValueError("source_id is missing")
            case namespace:
                values = {fact_key(namespace): ""}
        for key, value in (values or {"source.metadata": ""}).items():
            # Each key its own slice: an item may list thousands.
            leaf = leaves.get(key)
            own = (leaf.path, body.exact(leaf.raw)) if leaf else None
            place.tell(item, key, value, message_id=message_id, actor=text(entry.source_sender_id), part=own)


def note_contact(item: Item, channel_id: str, source_contact_id: str, profile: Mapping[str, str | None]) -> str:
    """Note that the contact was seen, with what a profile has of a contact's columns, and return its id."""
    return item.contact(
        channel_id,
        source_contact_id,
        display_name=profile.get("display_name") or None,
        username=profile.get("username") or None,
        phone_number=profile.get("phone_number") or None,
        locale=profile.get("locale") or None,
        time_zone=profile.get("time_zone") or None,
        avatar_url=profile.get("avatar_url") or None,
    )


class Leaf(NamedTuple):
    """A member of nested objects: one entry."""

    key: str
    """Its path, with dots."""
    path: str
    """Its path from the item, in a JSON Pointer's form."""
    raw: Raw

    @property
    def value(self) -> str:
        """What it says, as text; empty where it is no scalar."""
        return scalar(self.raw) or ""


def flattened(body: Body, value: Raw) -> Iterator[Leaf]:
    """Yield each leaf of an item's `metadata`. An array is one value, as in Airy; so is what lies too deep.

    Raises:
        TooMuchError: there are more than an event may make rows.
    """
    # With a stack of its own, and each level read once.
    levels = [("", "metadata", iter(members(body, value).items()))]
    count = 0
    while levels:
        key, path, rest = levels[-1]
        for name, member in rest:
            is_deep = len(levels) >= DEEPEST_FACT or len(key) + len(name) > LONGEST_PATH
            deeper = {} if is_deep else members(body, member)
            if deeper:
                levels.append((f"{key}{name}.", f"{path}/{escaped(name)}", iter(deeper.items())))
                break
            count += 1
            if count > MOST_ROWS:
                raise TooMuchError(f"more than {MOST_ROWS:,} pieces of metadata of one item")
            yield Leaf(key + name, f"{path}/{escaped(name)}", member)
        else:
            levels.pop()


def escaped(name: str) -> str:
    """Return an object's key as a token of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
