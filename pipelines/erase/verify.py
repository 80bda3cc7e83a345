"""Proves that nothing of a person is left: searches every place for every id in every spelling, and says so.

What was received after the erasure is left aside: whoever writes again is a new contact. Where others speak of the
person in messages of their own, that is theirs, and is counted by itself.
"""

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.core.spellings import Spellings
from pipelines.erase import stores, warehouse
from pipelines.erase.copies import Copy, copies, last_day
from pipelines.erase.erasures import FOUND, PLANNED, VERIFIED, Erasures
from pipelines.erase.person import Person
from pipelines.erase.plan import DATA_DIR, required_key
from pipelines.erase.scan import Eraser
from pipelines.erase.sealed import Seals
from pipelines.io.archive_damages import Damage
from pipelines.io.archive_segments import Selection, find_segments, read_segment
from pipelines.reprocess.runs import RefusedError
from pipelines.reprocess.sql import literal
from pipelines.reprocess.steps import Steps
from receiver.replies.store import BucketStore, Store, open_store
from schemas.archive_layout import OPEN_SUFFIX, REPLIES, SUFFIX, files_on_disk
from schemas.raw_event import RawEvent

_LONGEST_STATEMENT: Final = 500_000
"""Characters: BigQuery takes a megabyte, https://cloud.google.com/bigquery/quotas#query_jobs."""


class Searched(msgspec.Struct, frozen=True):
    """What was searched of one place."""

    place: str
    things: int
    """Events, rows, objects or files."""
    hits: int
    """In how many of them something was found."""
    where: list[str]
    """Some of these, by names that name nobody."""


class Report(msgspec.Struct, frozen=True):
    """What a verification has found."""

    run_id: str
    at: dt.datetime
    ids: int
    """How many ids and spellings of numbers were looked for, each in every encoding."""
    left_out: int
    """Ids that are too short to be looked for in bytes."""
    searched: list[Searched]
    mentions: int
    """Events in which others speak of the person."""
    later: int
    """Events received after the erasure that name the person: whoever comes back is a new contact."""
    copies: list[Copy]
    last_day: dt.date
    """After which no copy can exist."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(each.hits for each in self.searched)


def verify(
    client: bigquery.Client, live: Target, archive: str, name: str, actor: str, *, steps: Steps | None = None
) -> Report:
    """Search everything for a person who was erased, and record what came of it.

    Once no copy can exist any more, and nothing is found, it is forgotten whom the erasure meant.

    Raises:
        ConfigurationError: there is no key.
        RefusedError: nothing was erased yet.
        UnknownRunError: there is no such erasure.
        SealError: it is not known any more whom it meant.
    """
    steps, key = steps or Steps(), required_key()
    erasures = Erasures(client, live)
    run = erasures.get(name)
    if run.state == PLANNED or run.until is None:
        raise RefusedError(f"the erasure {run.run_id} is {run.state}: apply it first")
    seals = Seals(archive, key)
    person = seals.read(run.run_id)
    spelt = person.spellings()
    found = _Archive(person, spelt, run.run_id, run.until)
    searched = [found.search(archive, steps)]
    searched += [_stores(archive, spelt), *_disks(archive, spelt)]
    searched += _tables(client, live, spelt, found.spoken_of)
    kept = copies(client, live, archive)
    report = Report(
        run_id=run.run_id,
        at=dt.datetime.now(dt.UTC),
        ids=len(spelt.ids),
        left_out=len(spelt.left_out),
        searched=searched,
        mentions=len(found.mentions),
        later=len(found.later),
        copies=kept,
        last_day=last_day(kept, run.state_at),
    )
    numbers: dict[str, Any] = {each.place: each.hits for each in searched if each.hits}
    numbers |= {"searched": sum(each.things for each in searched), "last_day": report.last_day.isoformat()}
    erasures.record(run, VERIFIED if report.is_clean else FOUND, actor, numbers)
    if report.is_clean and report.last_day < report.at.date():
        seals.forget(run.run_id)
    return report


def as_json(report: Report) -> str:
    """Return a report for programs and files."""
    return json.dumps(msgspec.to_builtins(report) | {"clean": report.is_clean}, indent=2)


class _Archive:
    """Searches an archive: each event's body and attributes, and whatever cannot be read as bytes."""

    def __init__(self, person: Person, spelt: Spellings, run_id: str, until: dt.datetime) -> None:
        self._spelt = spelt
        self._until = until
        # What is erased again by the same rules was left; what these leave is others' own.
        self._eraser = Eraser(person, run_id, until)
        self.mentions: list[str] = []
        self.later: list[str] = []

    @property
    def spoken_of(self) -> list[str]:
        """Ids of events that may name the person."""
        return [*self.mentions, *self.later]

    def search(self, archive: str, steps: Steps) -> Searched:
        """Search all segments."""
        segments, things, hits = find_segments(archive, Selection()), 0, []
        for done, segment in enumerate(segments):
            steps.progress("searching", done, len(segments), "segments")
            damages: list[Damage] = []
            for event in read_segment(segment, damages):
                things += 1
                if self._hit(event):
                    hits.append(event.attributes.get("event_id") or segment)
            if damages and _names(segment, self._spelt):
                hits.append(segment)
        steps.progress("searching", len(segments), len(segments), "segments")
        return _searched("archive", things, hits)

    def _hit(self, event: RawEvent) -> bool:
        known = event.attributes.get("event_id", "")
        inseparable = len(self._eraser.found.inseparable)
        if self._eraser.change(event) is not None or len(self._eraser.found.inseparable) > inseparable:
            return True
        written = "\n".join(f"{name}={value}" for name, value in event.attributes.items()).encode()
        if self._spelt.are_in(event.data) or self._spelt.are_in(written):
            late = known and event.received_at > self._until
            (self.later if late else self.mentions).append(known)
        return False


def _stores(archive: str, spelt: Spellings) -> Searched:
    """Search the registers beside the archive: replies, and the live chat's conversations; not what is sealed."""
    store: Store = open_store(f"{archive.rstrip('/')}/{REPLIES}")
    things, hits = 0, []
    folders = ("keys", "waiting", "state", "taken", "chat")
    for name in (f"{folder}/{each}" for folder in folders for each in store.names(f"{folder}/")):
        things += 1
        data = store.read(name)
        if spelt.are_in(name.encode()) or (data is not None and spelt.are_in(data)):
            hits.append(name)
    return _searched("stores", things, hits)


def _disks(archive: str, spelt: Spellings) -> Iterator[Searched]:
    """Search a receiver's disk, where it is this machine's, and what lies beside segments in the archive."""
    roots = [] if archive.startswith("gs://") else [("beside the archive", Path(archive))]
    if data_dir := os.environ.get(DATA_DIR):
        roots.append(("disk", Path(data_dir)))
    for place, root in roots:
        paths = files_on_disk(root)
        if place != "disk":
            segments = (SUFFIX, OPEN_SUFFIX)
            paths = [p for p in paths if not p.name.endswith(segments) and p.relative_to(root).parts[0] != REPLIES]
        yield _searched(place, len(paths), [str(path) for path in paths if stores.names_in(spelt, path)])


def _tables(client: bigquery.Client, live: Target, spelt: Spellings, spoken_of: list[str]) -> Iterator[Searched]:
    """Search every table of rows, and those of kept runs."""
    datasets = [f"{live.project}.{live.rows_dataset}", *warehouse.kept_runs(client, live)]
    with warehouse.listed(client, live, "search", {warehouse.SPOKEN_OF: spoken_of}) as (others,):
        for dataset in datasets:
            tables = [each.table_id for each in client.list_tables(dataset)]
            things, hits = _counted(client, dataset, tables), _hits(client, dataset, tables, spelt, others)
            for table in sorted(tables):
                name = f"{dataset.partition('.')[2]}.{table}"
                yield _searched(name, things[table], [name] * hits[table])


def _counted(client: bigquery.Client, dataset: str, tables: Sequence[str]) -> Counter[str]:
    """Return how many rows tables have: by one statement, since each takes its time however little it reads."""
    each = (f"SELECT {literal(table)} AS place, COUNT(*) AS things FROM `{dataset}.{table}`" for table in tables)  # noqa: S608
    return Counter({row["place"]: row["things"] for row in _rows(client, each)})


def _hits(
    client: bigquery.Client, dataset: str, tables: Sequence[str], spelt: Spellings, others: str
) -> Counter[str]:
    """Return in how many rows of tables somebody is named, but for those of `others`.

    BigQuery finds the rows in which somebody may be named; whether one is, is looked at here.
    """
    found: Counter[str] = Counter()
    known = {
        table: "event_id" in {field.name for field in client.get_table(f"{dataset}.{table}").schema}
        for table in tables
    }
    before: list[Spellings] = []
    for start in range(0, len(spelt.ids), warehouse.IDS_AT_ONCE):
        part = Spellings(spelt.ids[start : start + warehouse.IDS_AT_ONCE])
        searches = [_search(dataset, table, part, others if known[table] else None) for table in tables]
        for together in _fitting(searches):
            for row in _rows(client, together):
                line = row["line"].encode()
                if part.are_in(line) and not any(each.are_in(line) for each in before):
                    found[row["place"]] += 1
        before.append(part)
    return found


def _search(dataset: str, table: str, spelt: Spellings, others: str | None) -> str:
    """Return the query of the rows of a table in which somebody may be named."""
    hints = (f"REGEXP_CONTAINS(line, {literal(each)})" for each in spelt.hints(warehouse.LONGEST_EXPRESSION))
    rest = f" WHERE stored.event_id NOT IN (SELECT id FROM `{others}`)" if others else ""  # noqa: S608
    return (
        f"SELECT {literal(table)} AS place, line FROM "  # noqa: S608
        f"(SELECT TO_JSON_STRING(stored) AS line FROM `{dataset}.{table}` AS stored{rest}) "
        f"WHERE {' OR '.join(hints)}"
    )


def _fitting(queries: Iterable[str]) -> Iterator[list[str]]:
    """Yield queries together, as many as a statement takes."""
    together: list[str] = []
    size = 0
    for each in queries:
        if together and size + len(each) > _LONGEST_STATEMENT:
            yield together
            together, size = [], 0
        together.append(each)
        size += len(each)
    if together:
        yield together


def _rows(client: bigquery.Client, queries: Iterable[str]) -> Iterator[Any]:
    together = " UNION ALL ".join(queries)
    yield from client.query_and_wait(together) if together else ()


def _names(path: str, spelt: Spellings) -> bool:
    """Return whether a file or an object of a bucket names the person, read as bytes."""
    if path.startswith("gs://"):
        folder, _, name = path.rpartition("/")
        return spelt.are_in(BucketStore(folder).read(name) or b"")
    return stores.names_in(spelt, Path(path))


def _searched(place: str, things: int, hits: list[str]) -> Searched:
    return Searched(place, things, len(hits), list(dict.fromkeys(hits))[:10])
