"""What happens in a conversation: who writes when, what is read, edited, reacted to, or fails."""

from random import Random
from typing import Final, NamedTuple

from pipelines.generate.phrases import ANSWERS, EMOJI, LANGUAGES, PHRASES

SECOND: Final = 1_000_000
"""In microseconds, as all times here."""
DAY: Final = 86_400 * SECOND
_LONGEST: Final = 60
_MEAN_MESSAGES: Final = 7
_HOURS_OF_NIGHT: Final = range(0, 7)


class Happening(NamedTuple):
    """Something that a source would report."""

    kind: str
    """said, state (of an outbound message), reaction, edit, deletion; identity (an id has changed), joined (a
    group); came (by a link), handover (to a human or a bot), rated, closed, bought (what came of a click)."""
    at: int
    """Microseconds since 1970."""
    message: int
    """Which message of the conversation it is, or is about."""
    inbound: bool
    text: str = ""


def talked(random: Random, begin: int) -> list[Happening]:
    """Return who writes when from a moment on, and what becomes of it, by time."""
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
