"""What an item has noted of channels, contacts and conversations, and which of it no row has told yet."""

from collections.abc import Iterable
from typing import Optional, TypeVar

import msgspec

from pipelines.core import rows
from pipelines.core.sightings import ELSEWHERE, profile

Sighting = rows.Channel | rows.Contact | rows.Conversation
SightingT = TypeVar("SightingT", rows.Channel, rows.Contact, rows.Conversation)
Names = tuple[str | None, str | None, str | None, str | None, str | None, str | None]
_NAMELESS: Names = (None, None, None, None, None, None)


class Noted(msgspec.Struct, eq=False):
    """The sightings of an item, by Parley's ids."""

    # What the item, or what it is a part of, has noted last.
    channels: dict[str, rows.Channel] = {}
    contacts: dict[str, rows.Contact] = {}
    conversations: dict[str, rows.Conversation] = {}
    _untold: dict[str, Sighting] = {}
    """What the item has noted itself, and no message and no metadata of it or of its parts has told."""
    _whole: Optional["Noted"] = None
    """What the whole has noted of which the item is a part."""
    _told: list[tuple[str, Sighting]] = []
    """What a part has told, which the whole may have noted: heard there once the part is read."""

    def of_a_part(self) -> "Noted":
        """Return what a part of the item begins with."""
        return Noted(self.channels.copy(), self.contacts.copy(), self.conversations.copy(), _whole=self)

    def note(self, known: str, seen: SightingT, those: dict[str, SightingT]) -> Sighting | None:
        """Take a sighting among those of its kind; return another that now needs a row of its own."""
        other = None
        if those.get(known) != seen:
            other = self._untold.get(known)
            self._untold[known] = seen
        those[known] = seen
        return other

    def left(self) -> Iterable[Sighting]:
        """Return what needs rows of its own now that the item is read; the whole hears what has been told."""
        if self._whole is not None and self._told:
            self._whole._hear(self._told)
        return self._untold.values()

    def names(self, channel_id: str, contact_id: str | None, conversation_id: str | None, at: int) -> Names:
        """Return what a row says of its channel, contact and conversation, so far as they were seen at that time.

        The source's id and the name of the channel; the source's id, name and phone number of the contact; and the
        source's id of the conversation where it is another than the contact's, and `ELSEWHERE` where it was not
        seen as the contact's own. What the row says needs no row of its own any more.
        """
        channel = self.channels.get(channel_id)
        if channel is None or channel.seen_at != at:
            return _NAMELESS
        self._tell(channel_id, channel)
        own, name = channel.source_channel_id, channel.display_name
        contact = self.contacts.get(contact_id) if contact_id is not None else None
        if contact is None or contact.seen_at != at or contact.channel_id != channel_id:
            return own, name, None, None, None, None
        if (said := profile(contact)) is not None:
            self._tell(contact.contact_id, contact)
            called, number = said
        else:
            called, number = ELSEWHERE, None
        who = contact.source_contact_id
        if conversation_id is None:
            return own, name, who, called, number, None
        talk = self.conversations.get(conversation_id)
        if talk is None or talk.seen_at != at or talk.contact_id != contact_id or talk.channel_id != channel_id:
            return own, name, who, called, number, ELSEWHERE
        self._tell(conversation_id, talk)
        theirs = talk.source_conversation_id
        return own, name, who, called, number, None if theirs == who else theirs

    def _tell(self, known: str, seen: Sighting) -> None:
        if self._untold.pop(known, None) is None and self._whole is not None:
            self._told.append((known, seen))

    def _hear(self, told: list[tuple[str, Sighting]]) -> None:
        """Hear what a part has told: it needs no row of its own where the item has noted it."""
        for known, seen in told:
            if self._untold.get(known) == seen:
                del self._untold[known]
            elif self._whole is not None:
                self._told.append((known, seen))
