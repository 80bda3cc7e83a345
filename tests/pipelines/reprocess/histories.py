"""Event histories as they happen: retold, redelivered, late, broken, over midnight, and in no order at all."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from random import Random

from pipelines.generate import people
from pipelines.generate.delivery import of_conversation
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World, conversation
from pipelines.generate.write_archive import day_of
from schemas.raw_event import EVENT_ID, RECEIVED_AT, RawEvent, format_received_at

MOST_EVENTS = 15
_EVENING = 22 * 3_600
_LATE = (dt.timedelta(minutes=10), dt.timedelta(days=2), dt.timedelta(days=9), dt.timedelta(days=70))
"""Within the day or into the next, within the week that Pub/Sub keeps an event, beyond it, and months later."""


@dataclasses.dataclass
class History:
    """What the archive has, in the order of receipt, and what live hears of it."""

    archived: list[RawEvent]
    heard: list[RawEvent]


def history(seed: int, count: int) -> History:
    """Return the history of a number of conversations, the same for the same seed."""
    random = Random(seed)
    archived = [event for number in range(count) for event in _of_one(random, count, number)]
    archived.sort(key=lambda event: event.attributes[RECEIVED_AT])
    # Pub/Sub delivers at least once, and in no order.
    heard = archived + [event for event in archived if random.random() < 0.2]
    random.shuffle(heard)
    return History(archived, heard)


def _of_one(random: Random, count: int, number: int) -> Iterator[RawEvent]:
    # All begin late in the evening, at any hour of the generator's own: most of them go on after midnight.
    world = World(count, random.getrandbits(24), day_of(DEFAULT_START), 1, tuple(WEIGHTS), people.MOST)
    told = [delivery.event for delivery in of_conversation(conversation(world, number, 0))][:MOST_EVENTS]
    begin = told[0].received_at if told else DEFAULT_START
    evening = DEFAULT_START + dt.timedelta(seconds=_EVENING + random.randrange(7_100))
    for event in told:
        moved = _at(random, event, evening + (event.received_at - begin))
        yield moved
        if random.random() < 0.1:
            # The source sends it again, since our answer was lost.
            yield _at(random, moved, moved.received_at + dt.timedelta(seconds=random.randrange(1, 3_600)))


def _at(random: Random, event: RawEvent, received: dt.datetime) -> RawEvent:
    if random.random() < 0.05:
        received += random.choice(_LATE)
    attributes = {EVENT_ID: str(uuid.UUID(int=random.getrandbits(128), version=4))}
    attributes[RECEIVED_AT] = format_received_at(received)
    return RawEvent(_body(random, event.data), {**event.attributes, **attributes})


def _body(random: Random, data: bytes) -> bytes:
    """Return the body, or what a broken sender makes of it: cut off, or with an item that nobody can read."""
    chance = random.random()
    if chance < 0.02:
        return data[: random.randrange(len(data))]
    if chance < 0.06:
        return data.replace(b'"messaging":[', b'"messaging":["no object",').replace(
            b'"statuses":[', b'"statuses":[1,'
        )
    return data
