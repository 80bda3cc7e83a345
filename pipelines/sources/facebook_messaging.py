"""An item between a contact and a Page or account: a message, or metadata about one or about a conversation.

Contacts' ids are page-scoped, so a contact belongs to its channel. So do message ids: both ends of a
message may be channels of ours, and each has it in a conversation of its own. Everything that speaks of a
message comes in an entry of the same channel, so echoes, edits, reactions and receipts join it.

https://developers.facebook.com/docs/messenger-platform/reference/webhook-events
"""

from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from pipelines.core import ids, times
from pipelines.core.item import Item
from pipelines.sources.facebook_metadata import metadata_of
from pipelines.sources.json_body import NOTHING, Body, Id, is_given, members, scalar, text
from pipelines.sources.place import Place

ADDRESSING: Final = frozenset({"sender", "recipient", "timestamp"})


class Party(Struct):
    """Either end of an item."""

    id: Id = None


class Product(Struct):
    """What a shop sells."""

    id: Id = None


class Referral(Struct):
    """The link, advertisement or product through which somebody came."""

    ref: Id = None
    ad_id: Id = None
    source: Id = None
    product: Product | None = None


class Message(Struct):
    """A message, an echo of one of ours, or the withdrawal of one."""

    mid: Id = None
    is_echo: bool | None = None
    is_deleted: bool | None = None
    is_self: bool | None = None
    is_unsupported: bool | None = None
    quick_reply: Raw = NOTHING
    referral: Referral | None = None


class MessageEdit(Struct):
    """The new text of a message; Instagram sends one with `num_edit` 0, and no text, beside every message."""

    mid: Id = None
    text: str | None = None
    num_edit: Raw = NOTHING


class Postback(Struct):
    """A tap on a button; it has a `mid` since Graph v11."""

    mid: Id = None
    referral: Referral | None = None


class Reaction(Struct):
    """A reaction to the message `mid`, or its removal."""

    mid: Id = None
    action: str | None = None
    reaction: str | None = None
    emoji: str | None = None


class Receipt(Struct):
    """A delivery (of `mids`) or a read (of `mid`, on Instagram), or of all up to a watermark."""

    mid: Id = None
    mids: list[Id] | None = None
    watermark: Raw = NOTHING


class Messaging(Struct):
    """An item of `messaging[]` or `standby[]`: its two ends, and one payload."""

    sender: Party | None = None
    recipient: Party | None = None
    timestamp: Raw = NOTHING
    is_self: bool | None = None
    message: Message | None = None
    message_edit: MessageEdit | None = None
    postback: Postback | None = None
    reaction: Reaction | None = None
    delivery: Receipt | None = None
    read: Receipt | None = None


MESSAGING: Final = msgspec.json.Decoder(Messaging)


def read_messaging(item: Item, body: Body, part: Raw, channel: str, name: str) -> None:
    """Make the rows of an item; `name` is what to call one that has no payload."""
    said = body.decode(MESSAGING, part)
    item.dated(scalar(said.timestamp))
    telling = _telling(item, channel, said)
    if said.message:
        telling.message(said.message, is_self=bool(said.is_self))
    if said.postback:
        telling.postback(said.postback)
    if said.message_edit:
        telling.edit(said.message_edit)
    if said.reaction:
        telling.reaction(said.reaction)
    if said.delivery:
        telling.receipt(said.delivery, "delivered")
    if said.read:
        telling.receipt(said.read, "read")
    if not item.told:
        payloads = {key: value for key, value in members(body, part).items() if key not in ADDRESSING}
        for key, payload in (payloads or {name: NOTHING}).items():
            telling.metadata(key, payload, body)


class _Telling(NamedTuple):
    """An item, and between whom it is."""

    item: Item
    place: Place
    sender: str | None
    contact: str | None
    is_outbound: bool

    def message(self, message: Message, *, is_self: bool) -> None:
        if message.is_deleted:
            self.of_message(message.mid, "source.deleted", "true", self.sender)
            return
        flags = {
            "echo": message.is_echo,
            "self": message.is_self or is_self,
            "unsupported": message.is_unsupported,
        }
        self.item.flags.extend([flag for flag, is_set in flags.items() if is_set])
        self._said(message.mid, "quick_reply" if is_given(message.quick_reply) else "message")
        self._referral(message.referral)

    def postback(self, postback: Postback) -> None:
        self._said(postback.mid, "postback")
        self._referral(postback.referral)

    def edit(self, edit: MessageEdit) -> None:
        count = scalar(edit.num_edit) or ""
        if edit.text and count != "0":
            self.of_message(edit.mid, "source.edited", edit.text, self.sender)
        else:
            # No change of the text is told, so nothing may take its place.
            self.of_message(edit.mid, "source.message_edit", count, self.sender)

    def reaction(self, reaction: Reaction) -> None:
        emoji = reaction.emoji or reaction.reaction or ""
        if reaction.action == "unreact":
            self.of_message(reaction.mid, "reaction.emoji", "", self.sender)
        elif emoji:
            self.of_message(reaction.mid, "reaction.emoji", emoji, self.sender)
        else:
            # An empty emoji would take away the reaction that stands.
            self.of_message(reaction.mid, "source.reaction", reaction.action or "", self.sender)

    def receipt(self, receipt: Receipt, state: str) -> None:
        for mid in (receipt.mid, *(receipt.mids or ())):
            self.of_message(mid, "source.delivery_state", state, self.contact)
        watermark = times.parse(scalar(receipt.watermark))
        if watermark is not None and self.place.conversation_id:
            moment = times.rfc3339(watermark)
            self.place.tell(self.item, f"source.{state}_watermark", moment, actor=self.contact)

    def of_message(self, mid: Id, key: str, value: str, actor: str | None) -> None:
        """Make metadata about a message by its actor; without an id it is left to `metadata`."""
        if source_message_id := text(mid):
            target = ids.message_id(self.item.source, self.place.channel_id, source_message_id)
            self.place.tell(self.item, key, value, message_id=target, actor=actor)

    def metadata(self, name: str, payload: Raw, body: Body) -> None:
        """Make metadata of an item that has no reading of its own."""
        key, value, mid = metadata_of(body, name, payload)
        target = ids.message_id(self.item.source, self.place.channel_id, mid) if mid else None
        self.place.tell(self.item, key, value, message_id=target)

    def _said(self, mid: Id, kind: str) -> None:
        channel_id, contact_id, conversation_id = self.place
        # What has no contact is in no conversation: it is left to `metadata`, which keeps it with the channel.
        if contact_id and conversation_id:
            self.item.message(
                channel_id=channel_id,
                contact_id=contact_id,
                conversation_id=conversation_id,
                source_message_id=text(mid),
                direction="outbound" if self.is_outbound else "inbound",
                sender_id=self.sender,
                kind=kind,
                scope=channel_id,
            )

    def _referral(self, referral: Referral | None) -> None:
        if referral and self.place.conversation_id:
            product = referral.product.id if referral.product else None
            come = (referral.ref, referral.ad_id, referral.source, product)
            self.place.tell(self.item, "source.referral", next(filter(None, map(text, come)), ""))


def _telling(item: Item, channel: str, said: Messaging) -> _Telling:
    """Return between whom an item is: the contact is whichever end is not the channel."""
    sender = text(said.sender.id) if said.sender else None
    recipient = text(said.recipient.id) if said.recipient else None
    is_echo = bool(said.message and said.message.is_echo)
    ends = (recipient, sender) if is_echo else (sender, recipient)
    contact = next((end for end in ends if end and end != channel), None)
    if contact is None and sender and recipient:
        contact = sender  # Whoever writes to oneself is both ends.
    place = place_of(item, channel, contact)
    return _Telling(item, place, sender, contact, is_outbound=is_echo or sender == channel != contact)


def place_of(item: Item, channel: str, contact: str | None) -> Place:
    """Note that channel, contact and conversation were seen, and return where the item belongs."""
    channel_id = item.channel(channel)
    if not contact:
        return Place(channel_id)
    contact_id = item.contact(channel_id, contact, scope=channel_id)
    return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, contact))
