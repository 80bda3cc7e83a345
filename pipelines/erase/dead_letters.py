"""Dead letters of a person that no run replaces: of events that are not archived, or have no id."""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.spellings import Spellings
from pipelines.erase import warehouse
from pipelines.erase.person import Person
from pipelines.erase.scan import events
from pipelines.reprocess.sql import Extent, literal, moment, partitions
from pipelines.reprocess.steps import Steps
from schemas.raw_event import EVENT_ID

_LETTER: Final = (
    "TO_JSON_STRING(STRUCT("
    + ", ".join(
        f"stored.{name}" for name in ("event_id", "stage", "pointer", "error_message", "data", "attributes")
    )
    + "))"
)
"""What a dead letter, `stored`, says and is known by."""


class Letter(msgspec.Struct, frozen=True):
    """A dead letter that is stored."""

    event_id: str | None
    day: dt.date
    """On which it was received."""
    known: str
    """The hash by which it is known: it has no id of its own."""


def delete(
    client: bigquery.Client,
    live: Target,
    archive: str,
    person: Person,
    until: dt.datetime,
    before: dt.datetime,
    steps: Steps,
) -> tuple[int, int]:
    """Delete dead letters that name the person, of events that the archive does not have, or that have no id.

    No run replaces them. Returns how many were deleted, and how many have to wait.
    """
    spelt, place = person.spellings(), live.table("dead_letters")
    found = named(client, place, spelt, until)
    nowhere = not_archived(archive, {each.event_id for each in found if each.event_id}, steps)
    gone = [each for each in found if each.event_id is None or each.event_id in nowhere]
    deleted = _delete(client, place, gone, before)
    return deleted + _delete_of_runs(client, live, spelt, until), len(gone) - deleted


def not_archived(archive: str, ids: set[str], steps: Steps) -> set[str]:
    """Return which of some events the archive does not have, and remember none of those that it has."""
    left = set(ids)
    for event in events(archive, steps, "looking for dead letters", []) if left else ():
        left.discard(event.attributes.get(EVENT_ID, ""))
        if not left:
            break
    return left


def _delete_of_runs(client: bigquery.Client, live: Target, spelt: Spellings, until: dt.datetime) -> int:
    """Delete dead letters that runs have made, and keep, of events without an id, and that name the person."""
    deleted = 0
    for dataset in warehouse.kept_runs(client, live):
        place = f"{dataset}.dead_letters"
        if any(each.table_id == "dead_letters" for each in client.list_tables(dataset)):
            found = named(client, place, spelt, until, "stored.event_id IS NULL")
            deleted += _delete(client, place, found, None)
    return deleted


def named(
    client: bigquery.Client, place: str, spelt: Spellings, until: dt.datetime, condition: str = "TRUE"
) -> list[Letter]:
    """Return the dead letters in a table, received by then, that name somebody; `condition` is on `stored`."""
    found = []
    before: list[Spellings] = []
    for start in range(0, len(spelt.ids), warehouse.IDS_AT_ONCE):
        part = Spellings(spelt.ids[start : start + warehouse.IDS_AT_ONCE])
        hints = " OR ".join(
            f"REGEXP_CONTAINS(line, {literal(each)})" for each in part.hints(warehouse.LONGEST_EXPRESSION)
        )
        sql = (
            f"SELECT event_id, day, line FROM (SELECT event_id, DATE(received_at) AS day, {_LETTER} AS line "  # noqa: S608
            f"FROM `{place}` AS stored WHERE stored.received_at <= {moment(until)} AND {condition}) WHERE {hints}"
        )
        for row in client.query_and_wait(sql):
            line = row["line"].encode()
            if part.are_in(line) and not any(each.are_in(line) for each in before):
                found.append(Letter(row["event_id"], row["day"], hashlib.sha256(line).hexdigest()))
        before.append(part)
    return found


def _delete(client: bigquery.Client, place: str, letters: Sequence[Letter], before: dt.datetime | None) -> int:
    """Delete dead letters, those that have left the write buffer where there is one; return how many."""
    deleted = 0
    left = f" AND (stored.placed_at IS NOT NULL OR stored.processed_at < {moment(before)})" if before else ""
    for day in sorted({each.day for each in letters}):
        for known in warehouse.chunks({each.known for each in letters if each.day == day}):
            deleted += warehouse.run(
                client,
                f"DELETE FROM `{place}` AS stored "  # noqa: S608
                f"WHERE {partitions('dead_letters', Extent(day, day, day, day), 'stored.')} "
                f"AND TO_HEX(SHA256({_LETTER})) IN ({known}){left}",
            )
    return deleted
