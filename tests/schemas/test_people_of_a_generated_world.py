"""People, conversations and who waits, against a generated world's own truth (`make recount`: 10,000 people)."""

import os
from collections import Counter

import pytest
from analyst import Analyst
from told_truth import Exchange, Truth

from pipelines.core.rows import Alias
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.sources.normalization import normalize

pytestmark = pytest.mark.thorough

PEOPLE = int(os.environ.get("PARLEY_RECOUNT_PEOPLE", "250"))
DAYS = 6
WORLD = World(PEOPLE * 10 // 7, 23, write_archive.day_of(DEFAULT_START), DAYS, tuple(WEIGHTS), people.MOST)


@pytest.fixture(scope="module")
def truth():
    return Truth(WORLD)


@pytest.fixture(scope="module")
def rows():
    return [row for day in range(DAYS) for item in delivery.of_day(WORLD, day) for row in normalize(item.event)]


@pytest.fixture(scope="module")
def shop(emulator_environment, rows):
    someone = Analyst()
    someone.load(rows)
    yield someone
    someone.close()


def test_a_third_of_the_people_has_several_ids():
    several = sum(people.kind_of(WORLD.whom(person)) is not None for person in range(WORLD.people))
    assert several == pytest.approx(WORLD.people / 3, abs=1)


def test_each_kind_of_several_ids_is_told(rows):
    told = {row.kind for row in rows if isinstance(row, Alias)}
    assert {"user_id", "new_wa_id", "new_user_id", "phone_spelling", "username", "external_user_id"} <= told


def test_each_contact_is_one(shop, truth):
    found = shop.query("SELECT source, messages FROM parley.contacts")
    expected = Counter((contact[0], messages) for contact, messages in truth.contacts.items())
    assert Counter((row["source"], row["messages"]) for row in found) == expected


def test_each_person_is_one_across_sources(shop, truth):
    found = shop.query("SELECT sources, messages FROM parley.people")
    assert Counter((tuple(row["sources"]), row["messages"]) for row in found) == truth.people()


def test_each_conversation_is_one_and_waits_and_is_answered_as_it_was(shop, truth):
    found = shop.query("SELECT source, messages, is_waiting, first_response_seconds FROM parley.conversations")
    expected = Counter(truth.exchanges())
    assert any(exchange.is_waiting for exchange in expected)
    assert Counter(Exchange(**row) for row in found) == expected
