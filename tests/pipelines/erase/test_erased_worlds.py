"""Whoever is in worlds made by chance: some are erased, nothing of them is left, nobody else loses a row.

Of 3 worlds by default; of as many as `PARLEY_ERASED_WORLDS` says, 1,000 with `make erased-worlds`. The seed tells
which they were.
"""

import os
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest
from peopled import archived, is_group, people, peopled

from pipelines.core import rows
from pipelines.core.suppression import BODY, CONTACT, MESSAGE, Entry, Key, Suppression
from pipelines.erase.person import Person
from pipelines.erase.scan import Eraser, events, gather
from pipelines.erase.segments import rewrite
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.normalize import every_row_or_dead_letter
from pipelines.reprocess import Steps
from pipelines.sources.suppressing import normalize_suppressed
from schemas.raw_event import RawEvent
from tests import seen

pytestmark = pytest.mark.thorough

WORLDS = int(os.environ.get("PARLEY_ERASED_WORLDS") or 3)
RUN = "0199-run"
NOBODY: frozenset[frozenset[str]] = frozenset()
SIGHTINGS = (rows.Channel, rows.Conversation)
"""That these were seen by an item of the person alone goes with it, as does that a group was."""


def all_rows(told: list[RawEvent]) -> list[rows.Row]:
    return [row for event in told for row in every_row_or_dead_letter(event)]


def of_others(made: list[rows.Row], person: Person, retold: set[tuple[str, str | None]]) -> Counter[rows.Row]:
    """Return the rows that tell something, and nothing of a person; without those of items that hold a part."""
    spelt = person.spellings()
    return Counter(
        # Of its event a dead letter says how it was compressed, which the rest of it is not.
        msgspec.structs.replace(row, attributes="") if isinstance(row, rows.DeadLetter) else row
        for row in made
        if not isinstance(row, rows.Event | SIGHTINGS[0] | SIGHTINGS[1])
        and not person.owns(row)
        and not (isinstance(row, rows.Contact) and is_group(row))
        and not (isinstance(row, rows.DeadLetter) and spelt.are_in(row.data + repr(row).encode()))
        and place(row) not in retold
    )


def held(made: list[rows.Row], person: Person) -> set[tuple[str, str | None]]:
    """Return the items of others that hold a part of a person's, as the list of a group's members."""
    spelt = person.spellings()
    return {
        place(row)
        for row in made
        if (content := getattr(row, "content", None)) and not person.owns(row) and spelt.are_in(content.encode())
    }


def place(row: rows.Row) -> tuple[str, str | None]:
    return getattr(row, "event_id", ""), getattr(row, "pointer", None)


def read(root: Path) -> list[RawEvent]:
    return list(events(str(root), Steps(), "reading", []))


@pytest.mark.parametrize("seed", range(WORLDS))
def test_of_whoever_is_erased_nothing_is_left_and_of_all_others_everything(seed: int, tmp_path: Path):
    archived(tmp_path, peopled(seed))
    told, random = read(tmp_path), Random(seed)
    before = all_rows(told)
    for number, known in enumerate(random.sample(people(told), 2)):
        person = gather(str(tmp_path), Person(contacts=known), NOBODY, Steps())
        retold, earlier = held(before, person), read(tmp_path)
        expected = of_others(before, person, retold)
        eraser = Eraser(person, f"{RUN}-{number}", None)

        for path in find_segments(str(tmp_path), Selection()):
            rewrite(path, eraser.change)

        left = read(tmp_path)
        assert eraser.found.inseparable == []
        assert [each.event_id for each in left] == [each.event_id for each in told]
        before = all_rows(left)
        assert of_others(before, person, retold) == expected
        assert [row for row in before if person.owns(row)] == []
        assert {row for row in before if isinstance(row, SIGHTINGS)} <= {*all_rows(earlier)}
        spelt = person.spellings()
        assert [
            each for each in left if spelt.are_in(each.data) or spelt.are_in(repr(each.attributes).encode())
        ] == []
        assert all(spelt.are_in(path.read_bytes()) is False for path in tmp_path.rglob("*.avro"))
        # Said twice, it finds nothing to do.
        again = Eraser(person, f"{RUN}-{number}", None)
        assert [each for each in left if again.change(each) is not None] == []
        _comes_back_never(earlier, person, retold, expected)


def _comes_back_never(
    earlier: list[RawEvent], person: Person, retold: set[tuple[str, str | None]], expected: Counter[rows.Row]
) -> None:
    """Live, or whoever reads a copy of the old archive, makes the rows of others and none of the person."""
    key = Key("a key of tests, and of nothing else in the world")
    until = max(each.received_at for each in earlier)
    entries = [
        *(Entry(CONTACT, key.hash(CONTACT, each), until) for each in person.contacts),
        *(Entry(MESSAGE, key.hash(MESSAGE, each), until) for each in person.messages),
        *(Entry(BODY, key.hash_of_body(each.data), until) for each in earlier if person_in(each, person)),
    ]
    made = [row for event in earlier for row in normalize_suppressed(event, Suppression(key, entries))]
    assert [row for row in made if person.owns(row)] == []
    # Nothing that cannot be read in a body of which something was erased comes again.
    assert without_letters(of_others(made, person, retold)) == without_letters(expected)
    known = {row.contact_id for row in expected if isinstance(row, rows.Contact)}
    assert known <= {contact_id for contact_id, *_ in seen.told(made)["contacts"]}


def without_letters(made: Counter[rows.Row]) -> Counter[rows.Row]:
    """Return rows without dead letters, and without those of contacts, which other rows may tell of."""
    left_out = rows.DeadLetter | rows.Contact
    return Counter({row: count for row, count in made.items() if not isinstance(row, left_out)})


def person_in(event: RawEvent, person: Person) -> bool:
    return any(map(person.owns, every_row_or_dead_letter(event))) or person.spellings().are_in(event.data)
