"""Who is to be erased: all ids of the person, as the archive tells them, and which rows are theirs."""

from typing import Final

import msgspec

from pipelines.core import rows
from pipelines.core.spellings import Spellings, phone_forms

_CHAT: Final = "chatplugin"
_EMAIL: Final = "source.email"
_REPLY: Final = "reply"
_USERNAME: Final = "username"


class Person(msgspec.Struct, frozen=True):
    """All that a person is known by."""

    contacts: frozenset[str] = frozenset()
    """Parley's ids of the contacts that the person is."""
    named: frozenset[tuple[str, str]] = frozenset()
    """Contacts by source and the source's own id, as they were asked for."""
    conversations: frozenset[tuple[str, str, str]] = frozenset()
    """The person's own: source, Parley's id, and the source's id."""
    shared: frozenset[str] = frozenset()
    """Parley's ids of conversations of theirs in which others are as well."""
    messages: frozenset[str] = frozenset()
    """Parley's ids of their messages, in both directions."""
    replies: frozenset[str] = frozenset()
    """Ids of replies that were posted to them."""
    texts: frozenset[str] = frozenset()
    """What to look for beside these ids: the sources' own ids, phone numbers, user names, addresses."""
    ours: frozenset[str] = frozenset()
    """Ids of channels among these, which are the business's own: they are not looked for."""
    bodies: frozenset[str] = frozenset()
    """Hashes of whole bodies of theirs."""
    chats: frozenset[tuple[str, str]] = frozenset()
    """Conversations of the live chat: channel and conversation, as the receiver has them."""

    @property
    def own_conversations(self) -> frozenset[str]:
        """Parley's ids of conversations in which nobody else is."""
        return frozenset(conversation for _, conversation, _ in self.conversations) - self.shared

    def owns(self, row: rows.Row) -> bool:
        """Return whether a row is of the person: it tells of them, or of a message of theirs."""
        match row:
            case rows.Message():
                return row.contact_id in self.contacts or row.message_id in self.messages
            case rows.Metadata():
                about = row.subject_id in self.contacts or row.subject_id in self.messages
                return about or row.contact_id in self.contacts or self._of_conversation(row)
            case rows.Alias():
                return row.contact_id in self.contacts or row.other_contact_id in self.contacts
            case rows.Contact():
                return row.contact_id in self.contacts or (row.source, row.source_contact_id) in self.named
            case rows.Conversation():
                return row.contact_id in self.contacts
        return False

    def and_also(self, other: "Person") -> "Person":
        """Return the person with all that another one is known by."""
        return Person(
            **{name: getattr(self, name) | getattr(other, name) for name in Person.__struct_fields__},
        )

    def spellings(self) -> Spellings:
        """Return what finds the person in bytes."""
        found = {*self.contacts, *self.own_conversations, *self.texts}
        found |= {form for each in self.texts if _is_number(each) for form in phone_forms(each)}
        return Spellings(found - self.ours)

    def _of_conversation(self, row: rows.Metadata) -> bool:
        own = row.conversation_id or row.subject_id
        return row.contact_id is None and any(
            own == known and own not in self.shared for _, known, _ in self.conversations
        )


class Told:
    """What rows tell of a person beside what was known; `different` are pairs that an operator took apart."""

    def __init__(self, person: Person, different: frozenset[frozenset[str]]) -> None:
        self._before = person
        self._different = different
        self._conversations = {known for _, known, _ in person.conversations}
        self._channels: dict[str, str] = {}
        self._sets = {name: set(getattr(person, name)) for name in Person.__struct_fields__}

    def hear(self, row: rows.Row) -> None:
        """Take what a row tells."""
        if isinstance(row, rows.Channel):
            self._hear_channel(row)
        elif isinstance(row, rows.Conversation):
            self._hear_conversation(row)
        elif self._before.owns(row):
            self._hear_own(row)

    def _hear_own(self, row: rows.Row) -> None:
        add = self._sets
        match row:
            case rows.Contact():
                add["contacts"].add(row.contact_id)
                told = (row.source_contact_id, row.phone_number, row.phone_e164, row.username)
                others = (each.partition("=")[2] for each in row.alternative_ids)
                add["texts"].update(_bare(each) for each in (*told, *others) if each)
            case rows.Alias():
                pair = frozenset((row.contact_id, row.other_contact_id))
                # A user name may pass from one person to another: who is who by it, the warehouse tells.
                if row.kind != _USERNAME and pair not in self._different:
                    add["contacts"].update(pair)
                    add["texts"].update(map(_bare, (row.source_contact_id, row.other_source_contact_id)))
            case rows.Message():
                add["messages"].add(row.message_id)
            case rows.Metadata():
                if row.key == _EMAIL and row.value:
                    add["texts"].add(row.value)
                if row.subject_type == _REPLY:
                    add["replies"].add(row.subject_id)

    def _hear_channel(self, row: rows.Channel) -> None:
        # Told before whatever else an item tells.
        self._channels[row.channel_id] = row.source_channel_id
        bare = _bare(row.source_channel_id)
        if bare in self._before.texts or row.source_channel_id in self._before.texts:
            self._sets["ours"].update({bare, row.source_channel_id})

    def _hear_conversation(self, row: rows.Conversation) -> None:
        add = self._sets
        if self._before.owns(row):
            add["conversations"].add((row.source, row.conversation_id, row.source_conversation_id))
            if row.source == _CHAT and row.channel_id in self._channels:
                add["chats"].add((self._channels[row.channel_id], row.source_conversation_id))
        elif row.conversation_id in self._conversations:
            add["shared"].add(row.conversation_id)

    def person(self) -> Person:
        """Return the person as known by now."""
        return Person(**{name: frozenset(found) for name, found in self._sets.items()})


def _bare(known: str) -> str:
    """Return an id without the prefix of its channel, as in `whatsapp:+49…`."""
    prefix, colon, rest = known.rpartition(":")
    return rest if colon and prefix.isalpha() else known


def _is_number(text: str) -> bool:
    return text.removeprefix("+").isdecimal()
