"""What happens in a conversation: who writes when, what is read, edited, reacted to, or fails."""

import datetime as dt
from bisect import bisect
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from pipelines.generate import people
from pipelines.generate.phrases import ANSWERS, EMOJI, LANGUAGES, PHRASES

SECOND: Final = 1_000_000
"""In microseconds, as all times here."""
DAY: Final = 86_400 * SECOND
DEFAULT_START: Final = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
WEIGHTS: Final = {
    "facebook": 20,
    "instagram": 14,
    "whatsapp": 30,
    "twilio.sms": 10,
    "twilio.whatsapp": 8,
    "google": 4,
    "chatplugin": 10,
    "airy": 4,
}
"""How many conversations of a hundred a source has."""
# How busy each hour of a day is: little at night, most in the evening.
_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 10, 11, 11, 12, 13, 14, 16, 17, 14, 9, 5)
_CUMULATED_HOURS: Final = tuple(sum(_HOURS[: n + 1]) for n in range(24))
_LONGEST: Final = 60
_MEAN_MESSAGES: Final = 7
_CHANNELS: Final = 5
# Microseconds between the changes of two people's ids, so that they are spread over the days of any world.
_SPREAD: Final = 7_919 * 1_000_003
_HOURS_OF_NIGHT: Final = range(0, 7)
HISTORIES: Final = 12
"""One conversation on WhatsApp of so many is told as history, of a number that was used with the app before."""
GROUPS: Final = 10
"""One conversation on WhatsApp of so many is in a group, unless it is history."""


class Happening(NamedTuple):
    """Something that a source would report."""

    kind: str
    """said, state (of an outbound message), reaction, edit, deletion; identity (an id has changed), joined (a
    group)."""
    at: int
    """Microseconds since 1970."""
    message: int
    """Which message of the conversation it is, or is about."""
    inbound: bool
    text: str = ""


class World(NamedTuple):
    """How large the world is and what chooses its course."""

    conversations: int
    seed: int
    start: int
    """Microseconds since 1970."""
    days: int
    sources: tuple[str, ...]
    several: int = people.USUAL
    """How many people of a hundred have several ids."""
    flawed: int = 0
    """How many webhooks of a thousand have one beside them that nobody can make rows of."""
    until: int | None = None
    """When the world is looked at, in microseconds since 1970: what would come later has not come."""

    @property
    def people(self) -> int:
        """How many people there are; some come back, so there are fewer than conversations."""
        return self.conversations * 7 // 10 + 1

    def whom(self, number: int) -> int:
        """Return one of the people: where one would have several ids and too many have, the next."""
        person = number % self.people
        return person if people.kind_of(person) is None or people.is_among(person, self.several) else person + 1

    def of_day(self, day: int) -> range:
        """Return the numbers of the conversations that begin on a day."""
        return range(self.conversations * day // self.days, self.conversations * (day + 1) // self.days)


class Conversation(NamedTuple):
    """One contact on one channel, for a while."""

    number: int
    source: str
    channel: int
    person: int
    language: str
    happenings: Sequence[Happening]
    random: Random
    """Goes on to choose how the source reports the happenings."""
    world: World
    changes_at: int
    """When the person's ids change, where they do; the same in each of their conversations."""

    @property
    def is_history(self) -> bool:
        """Whether it is told as history."""
        return self.source == "whatsapp" and self.number % HISTORIES == 0

    @property
    def is_group(self) -> bool:
        """Whether several people talk in it."""
        return self.source == "whatsapp" and self.number % GROUPS == 1 and not self.is_history

    @property
    def members(self) -> list[int]:
        """The people who talk in it."""
        others = people.IN_GROUP if self.is_group else 1
        return list(dict.fromkeys(self.world.whom(self.person + n) for n in range(others)))

    def speaker(self, said: Happening) -> int:
        """Return who of the people wrote a message, or received it."""
        return self.members[said.message % len(self.members)]

    def has_changed(self, at: int) -> bool:
        """Return whether the person's ids are the new ones by a moment."""
        return at >= self.changes_at


def conversation(world: World, number: int, day: int) -> Conversation:
    """Return a conversation of a world; it differs from the others by its number alone."""
    random = Random(world.seed << 40 | number)  # noqa: S311 - a sample, no secret
    weights = [WEIGHTS.get(source, 10) for source in world.sources]
    (source,) = random.choices(world.sources, weights)
    hour = bisect(_CUMULATED_HOURS, random.randrange(_CUMULATED_HOURS[-1]))
    begin = world.start + day * DAY + int((hour + random.random()) * 3_600 * SECOND)
    channel, person = random.randrange(_CHANNELS), world.whom(random.randrange(world.people))
    talk = Conversation(
        number=number,
        source=source,
        channel=channel,
        person=person,
        language=random.choice(LANGUAGES),
        happenings=_happenings(random, begin),
        random=random,
        world=world,
        changes_at=world.start + person * _SPREAD % (world.days * DAY),
    )
    return talk._replace(happenings=_with_ids(talk))


def _with_ids(talk: Conversation) -> list[Happening]:
    """Return what happens, and what becomes of ids: who joins a group, and that an id has changed."""
    found = list(talk.happenings)
    if talk.is_group:
        return [Happening("joined", found[0].at, 0, True), *found]
    if talk.source != "whatsapp" or talk.is_history or people.kind_of(talk.person) not in people.CHANGES:
        return found
    # Told when somebody next writes or is written to; a conversation that begins later tells it, too.
    later = next((n for n, each in enumerate(found) if talk.has_changed(each.at)), None)
    if later is not None:
        found.insert(later, Happening("identity", found[later].at, found[later].message, True))
    return found


def _happenings(random: Random, begin: int) -> list[Happening]:
    language = PHRASES[random.choice(LANGUAGES)]
    at, happenings, inbound = begin, [], True
    for message in range(min(_LONGEST, 1 + int(random.expovariate(1 / _MEAN_MESSAGES)))):
        text = random.choice(language if inbound else ANSWERS)
        happenings.append(Happening("said", at, message, inbound, text))
        happenings += _consequences(random, at, message, inbound)
        inbound = random.random() < (0.35 if inbound else 0.8)
        at += _pause(random, at)
    happenings.sort(key=lambda happening: happening.at)
    return happenings


def _consequences(random: Random, at: int, message: int, inbound: bool) -> list[Happening]:
    """Return what follows from a message: how it fares, and what becomes of it."""
    found = []
    if not inbound:
        found.append(Happening("state", at + random.randrange(SECOND), message, inbound, "sent"))
        if random.random() < 0.03:
            found.append(Happening("state", at + 2 * SECOND, message, inbound, "failed"))
        else:
            delivered = at + SECOND + random.randrange(4 * SECOND)
            found.append(Happening("state", delivered, message, inbound, "delivered"))
            if random.random() < 0.7:
                # Now and then a phone is off for days.
                late = random.randrange(2 * DAY) if random.random() < 0.03 else random.randrange(600 * SECOND)
                found.append(Happening("state", delivered + late, message, inbound, "read"))
    chance = random.random()
    if chance < 0.05:
        found.append(
            Happening("reaction", at + random.randrange(60 * SECOND), message, True, random.choice(EMOJI))
        )
    elif chance < 0.07 and inbound:
        found.append(
            Happening("edit", at + random.randrange(90 * SECOND), message, True, "* " + random.choice(ANSWERS))
        )
    elif chance < 0.08 and inbound:
        found.append(Happening("deletion", at + random.randrange(300 * SECOND), message, True))
    return found


def _pause(random: Random, at: int) -> int:
    """Return how long it takes until somebody writes again: bursts, breaks, and nights."""
    chance = random.random()
    if chance < 0.6:
        return int(random.uniform(1, 25) * SECOND)
    if chance < 0.95:
        return int(random.uniform(1, 40) * 60 * SECOND)
    hour = at % DAY // (3_600 * SECOND)
    hours = 8 if hour in _HOURS_OF_NIGHT else 1
    return int(random.uniform(hours, hours + 10) * 3_600 * SECOND)
