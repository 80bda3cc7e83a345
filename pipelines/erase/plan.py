"""Finds a person, and what there is of them, everywhere; nothing changes but that the plan is kept, sealed."""

import datetime as dt
import os
from typing import Final

import msgspec
import uuid_utils
from google.cloud import bigquery

from pipelines.bigquery.suppressed import KEY, key_from_environment
from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.core.rows import TABLES
from pipelines.core.suppression import Key
from pipelines.erase import holds, stores, warehouse
from pipelines.erase.erasures import PLANNED, Erasure, Erasures
from pipelines.erase.holds import Holds
from pipelines.erase.person import Person
from pipelines.erase.scan import Eraser, events, gather, received
from pipelines.erase.sealed import Seals
from pipelines.io.archive_damages import Damage
from pipelines.reprocess.steps import Steps

DATA_DIR: Final = "PARLEY_DATA_DIR"


class Wanted(msgspec.Struct, frozen=True):
    """Who is to be erased, as somebody asks for it: exactly one of the three."""

    contact_id: str | None = None
    source: tuple[str, str] | None = None
    """A row's source, and its own id of the contact."""
    person_id: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """What there is of a person."""

    run_id: str
    contacts: int
    alone: int
    beside: int
    mentions: int
    inseparable: list[str]
    archived_rows: dict[str, int]
    """Rows that the archive's events make, by table and day."""
    stored_rows: dict[str, int]
    """Rows that are stored, by table and day, those that no longer count among them."""
    kept_runs: int
    """Runs that keep rows; those of erased events go."""
    spooled: int
    """Segments on this machine's disk that name the person."""
    conversations: int
    """Entries of the live chat's store."""
    replies: int
    """Replies that wait to be sent to the person: they never will be."""
    outcomes: int
    """What came of replies to the person."""
    damages: int
    """Places of the archive that cannot be read."""
    too_short: int
    """Ids that are too short to be looked for in bytes; rows and items are found by them all the same."""


class NobodyError(LookupError):
    """Neither the archive nor the tables know the person."""


def plan(
    client: bigquery.Client,
    live: Target,
    archive: str,
    wanted: Wanted,
    actor: str,
    reason: str,
    *,
    steps: Steps | None = None,
) -> Plan:
    """Find a person and everything of theirs, and record an erasure as planned.

    Raises:
        ConfigurationError: there is no key.
        NobodyError: nobody knows the person.
        RefusedError: a legal hold is in the way.
        FileNotFoundError: there is no archive.
    """
    steps, key = steps or Steps(), required_key()
    person = find_person(client, live, archive, wanted, steps)
    holds.check(Holds(archive).active(dt.datetime.now(dt.UTC)), person, key, received(archive, person, steps))
    run_id = str(uuid_utils.uuid7())
    eraser = Eraser(person, run_id, None)
    damages: list[Damage] = []
    for event in events(archive, steps, "looking for events", damages):
        eraser.change(event)
    found, beside = eraser.found, stores.Stores(archive, person)
    spelt = person.spellings()
    stored = {
        f"{table} {day}": count
        for table, days in warehouse.by_day(client, live, person, None).items()
        for day, count in days.items()
    }
    if not (found.alone or found.beside or found.inseparable or stored):
        raise NobodyError("neither the archive nor the tables have anything of that person")
    disks = stores.disks(os.environ.get(DATA_DIR), archive)
    planned = Plan(
        run_id=run_id,
        contacts=len(person.contacts),
        alone=found.alone,
        beside=found.beside,
        mentions=found.mentions,
        inseparable=found.inseparable,
        archived_rows=dict(sorted(found.rows.items(), key=_in_order)),
        stored_rows=dict(sorted(stored.items(), key=_in_order)),
        kept_runs=len(warehouse.kept_runs(client, live)),
        spooled=sum(stores.names_in(spelt, path) for path in disks),
        conversations=beside.conversations(),
        replies=len(beside.pending()),
        outcomes=sum(1 for _ in beside.outcomes()),
        damages=len(damages),
        too_short=len(spelt.left_out),
    )
    Seals(archive, key).keep(run_id, msgspec.structs.replace(person, bodies=frozenset(found.bodies)))
    run = Erasure(run_id, PLANNED, dt.datetime.now(dt.UTC), actor, reason, key.id, None)
    Erasures(client, live).record(run, PLANNED, actor, counts(planned))
    steps.reached("planned")
    return planned


def counts(planned: Plan) -> dict[str, int | dict[str, int]]:
    """Return a plan as the table `erasures` keeps it: in numbers."""
    told = msgspec.to_builtins(planned)
    told["inseparable"] = len(planned.inseparable)
    del told["run_id"]
    return dict(told)


def required_key() -> Key:
    """Return the operator's key.

    Raises:
        ConfigurationError: it is not set, or too short.
    """
    key = key_from_environment()
    if key is None:
        raise ConfigurationError(f"{KEY} is not set: the secret with which an erasure is sealed, kept for years")
    return key


def find_person(client: bigquery.Client, live: Target, archive: str, wanted: Wanted, steps: Steps) -> Person:
    """Return whom somebody asks for, with all ids that tables and archive tell.

    Raises:
        NobodyError: the view people has no such person.
        FileNotFoundError: there is no archive.
    """
    named: frozenset[tuple[str, str]] = frozenset()
    contacts: list[str] = []
    if wanted.contact_id:
        contacts = [wanted.contact_id]
    elif wanted.person_id:
        contacts = warehouse.contacts_of_person(client, live, wanted.person_id)
        if not contacts:
            raise NobodyError("there is no such person in the view people")
    elif wanted.source:
        named = frozenset([wanted.source])
        contacts = warehouse.contacts_of(client, live, *wanted.source)
    known = Person(contacts=warehouse.resolved(client, live, contacts), named=named)
    return gather(archive, known, warehouse.different(client, live), steps)


def _in_order(entry: tuple[str, int]) -> tuple[int, str]:
    table, _, day = entry[0].partition(" ")
    return (list(TABLES).index(table), day)


__all__ = ["NobodyError", "Plan", "Wanted", "find_person", "plan", "required_key"]
