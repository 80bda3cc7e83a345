"""Where an item belongs: on which channel, and in whose conversation, where that can be known."""

from typing import NamedTuple

from pipelines.core.item import Item


class Place(NamedTuple):
    """The channel, contact and conversation of an item, by Parley's ids."""

    channel_id: str
    contact_id: str | None = None
    conversation_id: str | None = None

    def tell(
        self,
        item: Item,
        key: str,
        value: str = "",
        *,
        message_id: str | None = None,
        actor: str | None = None,
        part: tuple[str, bytes] | None = None,
    ) -> None:
        """Make a metadata row about the closest subject that is known: message, conversation, contact or channel.

        `actor` is the source's own id of whoever did it; `part` as `Item.metadata` takes it.
        """
        subject_type, subject_id = "channel", self.channel_id
        if message_id:
            subject_type, subject_id = "message", message_id
        elif self.conversation_id:
            subject_type, subject_id = "conversation", self.conversation_id
        elif self.contact_id:
            subject_type, subject_id = "contact", self.contact_id
        self._tell(item, subject_type, subject_id, key, value, actor, part)

    def tell_of_contact(self, item: Item, key: str, value: str = "") -> None:
        """Make a metadata row about the contact, in the conversation; without a contact as `tell` does."""
        if self.contact_id:
            self._tell(item, "contact", self.contact_id, key, value)
        else:
            self.tell(item, key, value)

    def _tell(
        self,
        item: Item,
        subject_type: str,
        subject_id: str,
        key: str,
        value: str,
        actor: str | None = None,
        part: tuple[str, bytes] | None = None,
    ) -> None:
        item.metadata(
            subject_type,
            subject_id,
            key,
            value,
            channel_id=self.channel_id,
            conversation_id=self.conversation_id,
            contact_id=self.contact_id,
            actor_id=actor,
            part=part,
        )
