"""What is stored tells every sighting that a payload does, though most of them have no row of their own."""

import itertools

import pytest

from pipelines.core.rows import Channel, Contact, Conversation
from pipelines.generate import delivery, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.sources import PARSERS
from pipelines.sources.normalization import every_row, normalize
from tests import material, seen

SIGHTINGS = Channel, Contact, Conversation


@pytest.fixture(autouse=True)
def _own_sources(monkeypatch):
    for name, parse in material.own_parsers().items():
        monkeypatch.setitem(PARSERS, name, parse)


def check(event) -> int:
    """Hold what is stored of an event against all that it tells; return how many rows of sightings that spares."""
    every, stored = every_row(event), normalize(event)
    assert seen.told(stored) == seen.apart(every)
    assert [row for row in stored[1:] if not isinstance(row, SIGHTINGS)] == [
        row for row in every[1:] if not isinstance(row, SIGHTINGS)
    ]
    assert stored[0].rows + stored[0].dead_letters == len(stored) - 1
    return len(every) - len(stored)


@pytest.mark.parametrize(
    "known", [*material.samples(), *material.fixtures(), *material.faults()], ids=lambda k: k.name
)
def test_what_is_stored_of_a_payload_tells_every_sighting(known):
    check(known.event)


def test_a_generated_world_has_few_rows_of_sightings():
    world = World(150, 4, write_archive.day_of(DEFAULT_START), 2, tuple(WEIGHTS))
    events = [item.event for day in range(world.days) for item in delivery.of_day(world, day)]

    spared = sum(map(check, events))

    rows = list(itertools.chain.from_iterable(map(normalize, events)))
    assert spared > 2 * len(events)
    assert len(rows) < 2.5 * len(events)
