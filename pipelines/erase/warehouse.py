"""What BigQuery has of a person: who it is there, how many rows, and the statements that delete them."""

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from pipelines.bigquery import load, resolving
from pipelines.bigquery.target import Target, drop_dataset
from pipelines.core.rows import TABLES
from pipelines.erase.person import Person
from pipelines.reprocess.sql import Extent, literal, moment, partitions, superseded
from pipelines.reprocess.staging import AFFECTED, CHANGES, wait_for
from schemas import loader

OF_PEOPLE: Final = ("metadata", "aliases", "contacts", "conversations", "messages")
"""The tables with rows of people, those of messages last: metadata is found by them."""
_MOST_IDS: Final = 500
"""Of a statement: BigQuery takes a megabyte of text."""
IDS_AT_ONCE: Final = 2_000
"""So many are looked for by one statement."""
LONGEST_EXPRESSION: Final = 8_000
"""Characters: BigQuery's have bounds."""
_DAY_MS: Final = 86_400_000
_SCHEMA: Final = pa.schema([pa.field("id", pa.string())])
COLUMNS: Final = [bigquery.SchemaField("id", "STRING")]
"""Of the tables `LISTS`, which are there for the time of a step."""
ERASED: Final = "erased_events"
MESSAGES: Final = "erased_messages"
SPOKEN_OF: Final = "spoken_of"
LISTS: Final = (ERASED, MESSAGES, SPOKEN_OF)


def resolved(client: bigquery.Client, live: Target, contacts: Sequence[str]) -> frozenset[str]:
    """Return contacts, and whoever else is the same person in their source, as the views have it."""
    return frozenset(resolving.members(client, live, contacts)) if contacts else frozenset()


def contacts_of_person(client: bigquery.Client, live: Target, person_id: str) -> list[str]:
    """Return all contacts of a person of the view `people`, across sources."""
    sql = f"SELECT contact_ids FROM `{live.view('people')}` WHERE person_id = {literal(person_id)}"  # noqa: S608
    return [each for row in client.query_and_wait(sql) for each in row["contact_ids"]]


def contacts_of(client: bigquery.Client, live: Target, source: str, source_contact_id: str) -> list[str]:
    """Return the contacts that a source's own id means, on whatever channel."""
    sql = (
        f"SELECT DISTINCT contact_id FROM `{live.view('seen_contacts')}` "  # noqa: S608
        f"WHERE source = {literal(source)} AND source_contact_id = {literal(source_contact_id)}"
    )
    return [row["contact_id"] for row in client.query_and_wait(sql)]


def different(client: bigquery.Client, live: Target) -> frozenset[frozenset[str]]:
    """Return the pairs of contacts of which an operator has decided that they are not one person."""
    sql = (
        f"SELECT contact_id, other_contact_id FROM `{live.view('alias_decisions')}` "  # noqa: S608
        "WHERE decision = 'different'"
    )
    return frozenset(frozenset(row.values()) for row in client.query_and_wait(sql))


def of(live: Target, table: str, person: Person, until: dt.datetime | None) -> list[str]:
    """Return conditions that `stored`, a row of one of `OF_PEOPLE`, is of a person and was received by then.

    Each names so many ids as a statement takes.
    """
    by = f" AND stored.received_at <= {moment(until)}" if until else ""
    contacts = list(chunks(person.contacts))
    found = [f"stored.contact_id IN ({each}){by}" for each in contacts]
    if table == "aliases":
        found += [f"stored.other_contact_id IN ({each}){by}" for each in contacts]
    if table == "metadata":
        found += [f"stored.subject_id IN ({each}){by}" for each in contacts]
        own = chunks(person.own_conversations)
        found += [f"stored.contact_id IS NULL AND stored.conversation_id IN ({each}){by}" for each in own]
        messages = live.table("messages")
        found += [
            f"stored.subject_type = 'message'{by} AND stored.subject_id IN "  # noqa: S608
            f"(SELECT message_id FROM `{messages}` WHERE contact_id IN ({each}))"
            for each in contacts
        ]
    return found


def by_day(
    client: bigquery.Client, live: Target, person: Person, until: dt.datetime | None
) -> dict[str, dict[dt.date, int]]:
    """Return how many rows of a person are stored, counted or not, by table and day of their partition."""
    found: dict[str, dict[dt.date, int]] = {}
    for table in OF_PEOPLE:
        conditions = of(live, table, person, until)
        if not conditions:
            continue
        either = " OR ".join(f"({each})" for each in conditions)
        sql = (
            f"SELECT stored.`{loader.partition(table)}`, COUNT(*) FROM `{live.table(table)}` AS stored "  # noqa: S608
            f"WHERE {either} GROUP BY 1 ORDER BY 1"
        )
        days = {day: int(count) for day, count in (row.values() for row in client.query_and_wait(sql))}
        if days:
            found[table] = days
    return found


def delete(client: bigquery.Client, live: Target, person: Person, until: dt.datetime, before: dt.datetime) -> int:
    """Delete a person's rows that have left the write buffer, partition by partition; return how many."""
    deleted = 0
    for table, days in by_day(client, live, person, until).items():
        either = " OR ".join(f"({each})" for each in of(live, table, person, until))
        for day in days:
            deleted += run(
                client,
                f"DELETE FROM `{live.table(table)}` AS stored "  # noqa: S608
                f"WHERE {partitions(table, Extent(day, day, day, day), 'stored.')} AND ({either}) "
                f"AND (stored.placed_at IS NOT NULL OR stored.processed_at < {moment(before)})",
            )
    return deleted


def waiting(client: bigquery.Client, live: Target, person: Person, until: dt.datetime, erased: str) -> int:
    """Return how many rows are to be deleted yet: the person's, and those of erased events that count no more."""
    left = sum(sum(days.values()) for days in by_day(client, live, person, until).values())
    for table in TABLES:
        sql = (
            f"SELECT COUNT(*) FROM `{live.table(table)}` AS stored WHERE {superseded(live)} "  # noqa: S608
            f"AND stored.event_id IN (SELECT id FROM `{erased}`)"
        )
        left += int(next(iter(client.query_and_wait(sql)))[0])
    return left


def forget_decisions(client: bigquery.Client, live: Target, person: Person, messages: str) -> None:
    """Delete what is kept of who the person is, and of where their messages are shown."""
    tables = {"alias_decisions": ("contact_id", "other_contact_id"), "resolved_contacts": ("contact_id",)}
    tables["resolved_contacts"] += ("resolved_contact_id",)
    for table, columns in tables.items():
        for ids in chunks(person.contacts):
            for column in columns:
                run(client, f"DELETE FROM `{live.table(table)}` WHERE {column} IN ({ids})")  # noqa: S608
    run(client, f"DELETE FROM `{live.table('retold')}` WHERE id IN (SELECT id FROM `{messages}`)")  # noqa: S608


def kept_runs(client: bigquery.Client, live: Target) -> list[str]:
    """Return the full names of the datasets in which runs keep rows."""
    prefix = f"{live.views_dataset}_run_"
    names = (each.dataset_id for each in client.list_datasets())
    return sorted(f"{live.project}.{name}" for name in names if name.startswith(prefix))


def take_out_of_runs(
    client: bigquery.Client, live: Target, person: Person, until: dt.datetime, erased: str
) -> int:
    """Let kept runs know nothing of erased events any more, nor of others in which they have rows of the person.

    A run then leaves these events as they are, whoever applies it or takes it back. Returns how many rows went.
    """
    tables = {*TABLES, *(f"before_{table}" for table in TABLES), AFFECTED, CHANGES}
    deleted = 0
    for dataset in kept_runs(client, live):
        there = {each.table_id for each in client.list_tables(dataset)} & tables
        own = [
            f"SELECT event_id FROM `{dataset}.{name}` AS stored WHERE {condition}"  # noqa: S608
            for table in OF_PEOPLE
            for name in sorted({table, f"before_{table}"} & there)
            for condition in of(live, table, person, until)
        ]
        if own:
            found = " UNION ALL ".join(own)
            run(client, f"INSERT INTO `{erased}` (id) SELECT DISTINCT event_id FROM ({found})")  # noqa: S608
        for table in sorted(there):
            deleted += run(
                client,
                f"DELETE FROM `{dataset}.{table}` WHERE event_id IN (SELECT id FROM `{erased}`)",  # noqa: S608
            )
    return deleted


def place_of_lists(live: Target, run_id: str) -> str:
    """Return the name of the dataset that has an erasure's lists for the time of a step."""
    return f"{live.views_dataset}_erasing_{run_id.replace('-', '')}"


@contextlib.contextmanager
def listed(
    client: bigquery.Client, live: Target, run_id: str, lists: Mapping[str, Iterable[str]]
) -> Iterator[list[str]]:
    """Give tables with the column `id` for the time of a block, one a list; BigQuery drops what we cannot."""
    name = place_of_lists(live, run_id)
    place = msgspec.structs.replace(live, rows_dataset=name)
    dataset = bigquery.Dataset(f"{live.project}.{name}")
    dataset.location = live.location
    dataset.default_table_expiration_ms = _DAY_MS
    drop_dataset(client, f"{live.project}.{name}")
    client.create_dataset(dataset)
    try:
        with tempfile.TemporaryDirectory(prefix="parley-") as folder:
            for table, ids in lists.items():
                client.create_table(bigquery.Table(place.table(table), COLUMNS))
                (Path(folder) / table).mkdir()
                rows = pa.Table.from_pydict({"id": sorted(set(ids))}, _SCHEMA)
                pq.write_table(rows, Path(folder) / table / f"ids{load.SUFFIX}")
                if len(rows):
                    load.load_files(client, place.table(table), COLUMNS, f"{folder}/{table}", _SCHEMA)
        yield [place.table(table) for table in lists]
    finally:
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def run(client: bigquery.Client, statement: str) -> int:
    """Run a statement that changes rows, and return how many."""
    job: Any = client.query(statement)
    wait_for(job)
    return int(job.num_dml_affected_rows or 0)


def chunks(ids: Iterable[str]) -> Iterator[str]:
    """Yield ids in parts, each as the literals of a statement that BigQuery takes."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _MOST_IDS):
        yield ", ".join(map(literal, ordered[start : start + _MOST_IDS]))
