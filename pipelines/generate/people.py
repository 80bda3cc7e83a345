"""Who a person of a world is to WhatsApp: by which ids, which of them change, and which a webhook tells.

By the person's own number, so that a world's course does not depend on it, and every conversation tells the same.
"""

from typing import Final, NamedTuple

KINDS: Final = ("both", "hidden", "moved", "updated", "spelt")
"""How a person has several ids: a number and a user id; only user ids, of which one replaces the other;
two numbers, likewise; a number, and two user ids; a number that is written in two ways."""
CHANGES: Final = {"hidden": "user_changed_user_id", "moved": "user_changed_number", "updated": "user_id_update"}
"""How a change of an id is told."""
USUAL: Final = 7
"""How many people of a hundred have several ids, where nobody chooses."""
MOST: Final = 33
"""How many can have at most."""
IN_GROUP: Final = 3
"""How many people a group has."""
_OF_SEVERAL: Final = 3
"""One person of so many may have several ids."""
_STRIDE: Final = 20


class Ids(NamedTuple):
    """By which ids a webhook names somebody."""

    phone: str | None = None
    """Digits without a plus sign."""
    user_id: str | None = None


def kind_of(person: int) -> str | None:
    """Return how a person has several ids; None for whoever is known by a phone number alone."""
    return KINDS[person // _OF_SEVERAL % len(KINDS)] if person % _OF_SEVERAL == 0 else None


def is_among(person: int, several: int) -> bool:
    """Return whether somebody who may have several ids has, where so many people of a hundred have."""
    # Of each kind as many, also where there are few.
    block = person // (_OF_SEVERAL * len(KINDS))
    return block * _STRIDE % MOST < several


def number(person: int, *, changed: bool = False, spelt: bool = False) -> str:
    """Return the digits of a person's phone number; `spelt` is the way in which statuses write it."""
    kind = kind_of(person)
    if kind == "spelt":
        # Of Mexican numbers some have kept the 1 that has marked mobile ones.
        return f"{'52' if spelt else '521'}552{person:07}"
    return f"{49156 if changed and kind == 'moved' else 49155}{person:08}"


def user_id(person: int, *, changed: bool = False) -> str:
    """Return a person's business-scoped user id."""
    return f"DE.{32 if changed and kind_of(person) in {'hidden', 'updated'} else 31}{person:012}"


def known_ids(person: int, *, changed: bool = False, spelt: bool = False) -> Ids:
    """Return all ids by which a person is known, before or after the change that there may be."""
    phone, bsuid = number(person, changed=changed, spelt=spelt), user_id(person, changed=changed)
    match kind_of(person):
        case "both" | "updated":
            return Ids(phone, bsuid)
        case "hidden":
            return Ids(None, bsuid)
        case _:
            return Ids(phone)


def told_ids(person: int, message: int, *, changed: bool = False, spelt: bool = False) -> Ids:
    """Return the ids that a webhook about a message names: the first in a conversation names all."""
    known = known_ids(person, changed=changed, spelt=spelt)
    if known.phone is None or known.user_id is None or message % 3 == 0:
        return known
    return Ids(known.phone) if message % 3 == 1 else Ids(None, known.user_id)


def all_ids(person: int) -> frozenset[str]:
    """Return every id that any webhook names a person by."""
    told = (known_ids(person, changed=late, spelt=spelt) for late in (False, True) for spelt in (False, True))
    return frozenset(known for ids in told for known in ids if known is not None)
