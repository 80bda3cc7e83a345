"""Who talks with whom, on which source and when; and what happens around the talk."""

import datetime as dt
from bisect import bisect
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from pipelines.generate import occasions, people
from pipelines.generate.phrases import LANGUAGES
from pipelines.generate.talk import DAY, SECOND, Happening, talked

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
_CHANNELS: Final = 5
# Microseconds between the changes of two people's ids, so that they are spread over the days of any world.
_SPREAD: Final = 7_919 * 1_000_003
HISTORIES: Final = 12
"""One conversation on WhatsApp of so many is told as history, of a number that was used with the app before."""
_NEAR: Final = 12
"""Among so many conversations before one that of somebody is looked for who bought."""
GROUPS: Final = 10
"""One conversation on WhatsApp of so many is in a group, unless it is history."""


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

    @property
    def came_by(self) -> str | None:
        """By what the contact came: ad, shortlink; None where nothing is told."""
        is_told = not (self.is_history or self.is_group)
        return occasions.came_by(self.source, self.number) if is_told else None

    @property
    def is_by_api(self) -> bool:
        """Whether it is on WhatsApp, and answered by a system of ours instead of the business's app."""
        is_plain = self.source == "whatsapp" and not self.is_history and not self.is_group
        return is_plain and occasions.is_by_api(self.number)

    def before(self, said: Happening) -> Happening | None:
        """Return the message before one; None for the first."""
        return next((e for e in self.happenings if e.kind == "said" and e.message == said.message - 1), None)

    def speaker(self, said: Happening) -> int:
        """Return who of the people wrote a message, or received it."""
        return self.members[said.message % len(self.members)]

    def has_changed(self, at: int) -> bool:
        """Return whether the person's ids are the new ones by a moment."""
        return at >= self.changes_at


def conversation(world: World, number: int, day: int) -> Conversation:
    """Return a conversation of a world; it differs from the others by its number alone."""
    random = _random(world, number)
    source = _source(world, random)
    hour = bisect(_CUMULATED_HOURS, random.randrange(_CUMULATED_HOURS[-1]))
    begin = world.start + day * DAY + int((hour + random.random()) * 3_600 * SECOND)
    channel, person = random.randrange(_CHANNELS), world.whom(random.randrange(world.people))
    talk = Conversation(
        number=number,
        source=source,
        channel=channel,
        person=person,
        language=random.choice(LANGUAGES),
        happenings=talked(random, begin),
        random=random,
        world=world,
        changes_at=world.start + person * _SPREAD % (world.days * DAY),
    )
    talk = talk._replace(happenings=_with_ids(talk))
    return talk._replace(happenings=sorted([*_around(talk), *talk.happenings], key=lambda each: each.at))


def clicked(world: World, number: int) -> int | None:
    """Return which of the conversations shortly before one began with a click on an advertisement; the nearest."""
    for earlier in range(number - 1, max(-1, number - _NEAR), -1):
        source = _source(world, _random(world, earlier))
        is_plain = source != "whatsapp" or (earlier % HISTORIES != 0 and earlier % GROUPS != 1)
        if is_plain and source in occasions.BY_CLICK and occasions.came_by(source, earlier) == "ad":
            return earlier
    return None


def _random(world: World, number: int) -> Random:
    return Random(world.seed << 40 | number)  # noqa: S311 - a sample, no secret


def _source(world: World, random: Random) -> str:
    (source,) = random.choices(world.sources, [WEIGHTS.get(source, 10) for source in world.sources])
    return source


def _around(talk: Conversation) -> Iterator[Happening]:
    """Yield what happens around the talk: how it begins, who takes over, and what comes of it."""
    said = [each for each in talk.happenings if each.kind == "said"]
    first, last = said[0], said[-1]
    if talk.came_by == "shortlink":
        yield first._replace(kind="came", text="")
    if occasions.is_passed(talk.source, talk.number) and len(said) > occasions.PASSED_BEFORE:
        passed = said[occasions.PASSED_BEFORE]
        yield Happening("handover", passed.at, passed.message, True, "human")
        yield Happening("handover", last.at + 5 * SECOND, last.message, True, "bot")
    is_custom = talk.source not in WEIGHTS
    if is_custom:
        yield Happening("closed", last.at + 60 * SECOND, last.message, True)
        if (click := clicked(talk.world, talk.number)) is not None:
            # Whoever came may do so until the evening.
            yield Happening("bought", last.at + 2 * DAY, click, True)
    if (is_custom or talk.source in {"facebook", "google"}) and occasions.rating(talk.source, talk.number):
        yield Happening("rated", last.at + 90 * SECOND, last.message, True)


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
