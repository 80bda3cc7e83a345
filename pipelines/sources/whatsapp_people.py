"""Who is who in WhatsApp's webhooks: our number, the contact, and the group that they may talk in.

A contact is known by phone number, or, where that is withheld, by the business-scoped user id (BSUID);
what else the payload tells of the same person is kept next to it. Phone numbers and BSUIDs are the same on
all channels of a business, so contacts have no scope.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from pipelines.core import phones
from pipelines.core.item import Item
from pipelines.sources.json_body import Id, text
from pipelines.sources.place import Place


class Profile(Struct):
    """What a person shows of themselves."""

    name: str | None = None
    username: str | None = None


class Contact(Struct):
    """An entry of `contacts[]`: the profile of somebody whom the same value speaks of."""

    wa_id: Id = None
    user_id: Id = None
    parent_user_id: Id = None
    profile: Profile | None = None


_REMEMBERED: Final = 16_384
_NO_PROFILE: Final = Profile()
_NOBODY: Final = Contact()


class Person(NamedTuple):
    """The ids by which an item names somebody."""

    phone: str | None = None
    user_id: str | None = None
    parent_user_id: str | None = None
    new_phone: str | None = None
    new_user_id: str | None = None
    new_parent_user_id: str | None = None
    name: str | None = None
    username: str | None = None
    old_phone: str | None = None
    old_user_id: str | None = None

    def is_known_as(self, other: "Person") -> bool:
        """Return whether both name one id."""
        return not {self.phone, self.user_id}.isdisjoint({other.phone, other.user_id} - {None})


class Line:
    """A channel: the business phone number, and the people whom a value describes."""

    def __init__(self, channel: str, number: str | None = None, contacts: tuple[Contact, ...] = ()) -> None:
        self.channel = channel
        self.number = number
        self.contacts = contacts
        self._spelling = _spelling(number)
        # A value may have as many people as messages: whom one is of is not looked for from the first again.
        self._places: dict[str, int] = {}
        for place, contact in enumerate(contacts):
            for known in (text(contact.wa_id), text(contact.user_id)):
                if known is not None:
                    self._places.setdefault(known, place)

    def is_ours(self, phone: str | None) -> bool:
        """Return whether that is the business's own number, however it is written."""
        return bool(phone and self.number) and _spelling(phone) == self._spelling

    def key_of(self, person: Person, *, is_sender: bool = False) -> str | None:
        """Return by which id a person is known: the phone number, else the BSUID, else None."""
        return self._key(person, self._described(person, is_sender))

    @staticmethod
    def _key(person: Person, described: Contact) -> str | None:
        known = person.phone or text(described.wa_id) or person.user_id or text(described.user_id)
        # Whoever changes an id may be named by the new one alone.
        return known or person.new_phone or person.new_user_id

    def place(self, item: Item, person: Person, group: str | None = None, *, is_sender: bool = False) -> Place:
        """Note that channel, contact and conversation were seen, and return where the item belongs.

        A group is a conversation of its own, and its own contact too, since everybody in it may write.
        """
        channel_id = item.channel(self.channel, display_name=self.number)
        key, contact_id = self._contact(item, channel_id, person, is_sender)
        if group:
            group_id = item.contact(channel_id, group)
            return Place(channel_id, contact_id or group_id, item.conversation(channel_id, group_id, group))
        if key is None or contact_id is None:
            return Place(channel_id)
        return Place(channel_id, contact_id, item.conversation(channel_id, contact_id, key))

    def _contact(
        self, item: Item, channel_id: str, person: Person, is_sender: bool
    ) -> tuple[str | None, str | None]:
        described = self._described(person, is_sender)
        key = self._key(person, described)
        if key is None:
            return None, None
        ids = (
            ("wa_id", text(described.wa_id)),
            ("user_id", person.user_id or text(described.user_id)),
            ("parent_user_id", person.parent_user_id or text(described.parent_user_id)),
            ("old_wa_id", person.old_phone),
            ("old_user_id", person.old_user_id),
        )
        changed = (
            ("new_wa_id", person.new_phone),
            ("new_user_id", person.new_user_id),
            ("new_parent_user_id", person.new_parent_user_id),
        )
        profile = described.profile or _NO_PROFILE
        username = profile.username or person.username or None
        others = {name: value for name, value in ids if value and value != key}
        for name, value in changed:
            if value:
                others[name] = value
        contact_id = item.contact(
            channel_id,
            key,
            display_name=profile.name or person.name or None,
            username=username,
            phone_number=key if _is_phone(key) else None,
            alternative_ids=tuple([f"{name}={value}" for name, value in others.items()]),
        )
        _tell_aliases(item, channel_id, key, others, username)
        return key, contact_id

    def _described(self, person: Person, is_sender: bool) -> Contact:
        """Return what the value says of a person: by id, or as the only sender that it describes."""
        places = self._places
        if places:
            named = [places[known] for known in (person.phone, person.user_id) if known in places]
            if named:
                return self.contacts[min(named)]
        return self.contacts[0] if is_sender and len(self.contacts) == 1 else _NOBODY


def _tell_aliases(item: Item, channel_id: str, key: str, others: Mapping[str, str], username: str | None) -> None:
    """Tell every further id of a person, and the one spelling of each phone number that has several."""
    for kind, other in others.items():
        item.alias(channel_id, key, kind, other)
    if handle := (username or "").removeprefix("@").casefold():
        item.alias(channel_id, key, "username", f"@{handle}")
    for number in filter(_is_phone, dict.fromkeys((key, *others.values()))):
        if spelling := phones.e164(number):
            item.alias(channel_id, number, "phone_spelling", spelling.removeprefix("+"))


def _is_phone(known_by: str) -> bool:
    return known_by.removeprefix("+").isdecimal()


@lru_cache(_REMEMBERED)
def _spelling(number: str | None) -> str:
    """Return one spelling of a number, which an item may write otherwise than what shows it (Mexico, Brazil)."""
    digits = "".join(filter(str.isdigit, number or ""))
    return phones.e164(digits) or digits
