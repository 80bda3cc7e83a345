"""Erases what was planned, step by step; whoever is interrupted anywhere says the same again.

First nothing of the person can come back any more, then the archive forgets, then the rows: made again from what
is left of the archive, they take the place of the old ones in one transaction, as those of a reprocessing do; then
the old ones are deleted.
"""

import datetime as dt
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery import suppressed
from pipelines.bigquery.target import Target
from pipelines.core.suppression import BODY, CONTACT, MESSAGE, Key
from pipelines.erase import dead_letters, holds, retiring, stores, warehouse
from pipelines.erase.erasures import APPLIED, APPLYING, FOUND, PLANNED, VERIFIED, Erasure, Erasures
from pipelines.erase.holds import Holds
from pipelines.erase.person import Person
from pipelines.erase.plan import DATA_DIR, required_key
from pipelines.erase.scan import Eraser, gather, received
from pipelines.erase.sealed import Seals
from pipelines.erase.segments import Rewritten, rewrite
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.reprocess import cleaning, moves, staging
from pipelines.reprocess.apply import apply as apply_run
from pipelines.reprocess.moves import Lock
from pipelines.reprocess.plan import plan_if_different
from pipelines.reprocess.runs import RefusedError, Request, Runs, Staging, State
from pipelines.reprocess.sql import literal, moment
from pipelines.reprocess.staging import wait_for
from pipelines.reprocess.steps import Steps
from pipelines.reprocess.streamed import buffered_for
from receiver.durable.keyring import Keyring

STEPS: Final = (
    "suppressed",
    "begun",
    "archived",
    "made",
    "placed",
    "cleaned",
    "deleted",
    "taken out of runs",
    "stores",
    "applied",
)
"""The steps, each named after what is done when it is reached."""
SUPPRESSED_DAYS: Final = 400
"""How long nothing erased can come back: longer than any source redelivers, and than a spool is left lying."""
_MOST_ENTRIES: Final = 1_000
_PAUSE_SECONDS: Final = 1.0


class Applied(msgspec.Struct, frozen=True):
    """What was erased, this time."""

    run_id: str
    is_done: bool
    """Whether nothing has to wait."""
    events: int
    segments: int
    bytes: int
    """Of the segments that were written anew."""
    waiting_segments: int
    """That somebody writes just now: they close within minutes."""
    waiting_rows: int
    """That are in BigQuery's write buffer, for half an hour."""
    damaged: list[str]
    """Segments that cannot be read, and so are as they were."""
    inseparable: int
    """Events that came since the plan, or late, and cannot be parted: they are as they were."""
    deleted_rows: int
    rows_of_runs: int
    conversations: int
    replies: int
    outcomes: int
    bodies: int
    """Bodies of which redeliveries are known."""


def apply(
    client: bigquery.Client,
    live: Target,
    archive: str,
    name: str,
    actor: str,
    options: PipelineOptions,
    *,
    forced: bool = False,
    steps: Steps | None = None,
) -> Applied:
    """Erase what was planned, or what is left of it; said again, it finds nothing to do.

    `forced` also erases whole events in which others' items would not be what they were.

    Raises:
        ConfigurationError: there is no key, or the write buffer's setting is wrong.
        RefusedError: it was planned with another key, there are events that cannot be parted, or a legal hold.
        UnknownRunError: there is no such erasure.
        SealError: it is not known any more whom it meant.
    """
    steps, key = steps or Steps(), required_key()
    keys = retiring.keys_of(archive)
    erasures = Erasures(client, live)
    run = erasures.get(name)
    if run.key_id != key.id:
        raise RefusedError(f"the erasure {run.run_id} was planned with another key")
    if run.state == PLANNED and run.numbers().get("inseparable") and not forced:
        raise RefusedError(
            f"{run.numbers()['inseparable']} events cannot be parted: others in them would lose something. "
            "--force erases these events whole"
        )
    before = dt.datetime.now(dt.UTC) - buffered_for()
    until, seals = run.until or dt.datetime.now(dt.UTC), Seals(archive, key)
    person = seals.read(run.run_id)
    if run.until is None:
        person = _by_now(client, live, archive, seals, run, person, steps)
    holds.check(Holds(archive).active(dt.datetime.now(dt.UTC)), person, key, received(archive, person, steps))
    was_applied = run.state in {APPLIED, VERIFIED, FOUND}
    say = Suppress(client, live, run.run_id, key, until, is_known=was_applied)
    say.hold({CONTACT: person.contacts, MESSAGE: person.messages, BODY: person.bodies})
    steps.reached("suppressed")
    if run.until is None:
        # Behind what is suppressed: whoever begins to make rows from now on knows of that.
        _begin(client, live, run, erasures.insertion(run, APPLYING, actor, {"until": until.isoformat()}))
    steps.reached("begun")
    retiring.finish(keys, archive)
    eraser = Eraser(person, run.run_id, until, forced=forced)
    files = list(_rewritten(archive, eraser, say, person, seals, keys, steps))
    steps.reached("archived")
    found, inseparable = eraser.found, 0 if forced else len(eraser.found.inseparable)
    erased = sorted({*found.erased, *found.earlier})
    lists = {warehouse.ERASED: erased, warehouse.MESSAGES: person.messages}
    with warehouse.listed(client, live, run.run_id, lists) as (gone, messages):
        _replace_rows(client, live, archive, run, actor, options, erased, steps)
        say.wait_until_known(steps)
        deleted = cleaning.clean(client, live, steps)
        steps.reached("cleaned")
        deleted += warehouse.delete(client, live, person, until, before)
        letters, letters_left = dead_letters.delete(client, live, archive, person, until, before, steps)
        deleted += letters
        warehouse.forget_decisions(client, live, person, messages)
        steps.reached("deleted")
        waiting = letters_left + warehouse.waiting(client, live, person, until, gone)
        of_runs = warehouse.take_out_of_runs(client, live, person, until, gone)
        steps.reached("taken out of runs")
    beside = stores.Stores(archive, person)
    done = Applied(
        run_id=run.run_id,
        is_done=not (waiting or inseparable or any(each.waits or each.damage for _, each in files)),
        events=len(found.erased),
        segments=sum(1 for _, each in files if each.events),
        bytes=sum(each.bytes for _, each in files),
        waiting_segments=sum(each.waits for _, each in files),
        waiting_rows=waiting,
        damaged=[path for path, each in files if each.damage],
        inseparable=inseparable,
        deleted_rows=deleted,
        rows_of_runs=of_runs,
        conversations=beside.forget_conversations(),
        replies=beside.drop_pending(),
        outcomes=beside.forget_outcomes(),
        bodies=len(found.bodies),
    )
    steps.reached("stores")
    numbers = msgspec.to_builtins(done) | {"damaged": len(done.damaged)}
    del numbers["run_id"], numbers["is_done"]
    if not was_applied or any(numbers.values()):
        erasures.record(run, APPLIED if done.is_done else APPLYING, actor, numbers)
    steps.reached("applied")
    return done


def _by_now(
    client: bigquery.Client,
    live: Target,
    archive: str,
    seals: Seals,
    run: Erasure,
    person: Person,
    steps: Steps,
) -> Person:
    """Return whom an erasure that begins means, with what was told since its plan, and seal that."""
    resolved = warehouse.resolved(client, live, sorted(person.contacts))
    known = person.and_also(Person(contacts=resolved))
    grown = gather(archive, known, warehouse.different(client, live), steps)
    if grown != person:
        seals.add(run.run_id, grown)
    return grown


def _begin(client: bigquery.Client, live: Target, run: Erasure, recorded: str) -> None:
    """Record that an erasure begins, as a move: a run that is being applied now is done before, or refused."""
    moves.until_unmoved(
        f"erasure {run.run_id}", lambda: moves.commit(client, live, Lock.read(client, live), [recorded])
    )


class Suppress:
    """Lets ids not come back, by what they are."""

    def __init__(
        self,
        client: bigquery.Client,
        live: Target,
        run_id: str,
        key: Key,
        until: dt.datetime,
        *,
        is_known: bool = False,
    ) -> None:
        """Take for which erasure, of what was received until when, and whether all was said and known before."""
        self._client = client
        self._table = live.table(suppressed.TABLE)
        self.run_id = run_id
        self._key = key
        self._until = until
        # Somebody who was interrupted may have said something just now.
        self._said_at = float("-inf") if is_known else time.monotonic()

    def hold(self, ids: Mapping[str, Iterable[str]]) -> None:
        """Say so of what it is not said of already."""
        entries = sorted((kind, self._key.hash(kind, each)) for kind, known in ids.items() for each in known)
        for start in range(0, len(entries), _MOST_ENTRIES):
            job: Any = self._client.query(self._statement(entries[start : start + _MOST_ENTRIES]))
            wait_for(job)
            if job.num_dml_affected_rows:
                self._said_at = time.monotonic()
        suppressed.forget_known()

    def wait_until_known(self, steps: Steps) -> None:
        """Wait until the live pipeline's workers know it, too: what they store before that is to be deleted."""
        seconds = suppressed.KNOWN_AFTER_SECONDS
        while (waited := time.monotonic() - self._said_at) < seconds:
            steps.progress("waiting until live knows", waited, seconds, "seconds")
            time.sleep(min(_PAUSE_SECONDS, seconds - waited))

    def _statement(self, entries: Sequence[tuple[str, str]]) -> str:
        listed = ", ".join(
            f"STRUCT({literal(kind)} AS kind, {literal(known)} AS `hash`)" for kind, known in entries
        )
        key_id, run_id = literal(self._key.id), literal(self.run_id)
        until, expires = moment(self._until), moment(self._until + dt.timedelta(days=SUPPRESSED_DAYS))
        return (
            f"INSERT INTO `{self._table}` (kind, `hash`, key_id, until, expires_at, run_id) "  # noqa: S608
            f"SELECT entry.kind, entry.`hash`, {key_id}, {until}, {expires}, {run_id} "
            f"FROM UNNEST([{listed}]) AS entry "
            f"LEFT JOIN (SELECT kind, `hash` FROM `{self._table}` WHERE run_id = {run_id} AND until = {until}) "
            "AS known ON known.kind = entry.kind AND known.`hash` = entry.`hash` WHERE known.kind IS NULL"
        )


def _rewritten(
    archive: str,
    eraser: Eraser,
    say: Suppress,
    person: Person,
    seals: Seals,
    keys: Keyring | None,
    steps: Steps,
) -> Iterator[tuple[str, Rewritten]]:
    """Rewrite every segment of the archive, and of this machine's disk, that has something of the person."""
    bodies, messages = set(person.bodies), set(person.messages)

    def hold_found() -> None:
        # What came since the plan, or late: once it is gone, nothing tells how to know it again.
        if told := eraser.found.messages - messages:
            seals.add(say.run_id, Person(messages=frozenset(told)))
            say.hold({MESSAGE: told})
            messages.update(told)
        if new := eraser.found.bodies - bodies:
            say.hold({BODY: new})
            bodies.update(new)

    paths = find_segments(archive, Selection())
    paths += map(str, stores.disks(os.environ.get(DATA_DIR), archive))
    for done, path in enumerate(paths):
        steps.progress("erasing", done, len(paths), "segments")
        yield path, rewrite(path, eraser.change, hold_found, keys if is_sealed(path) else None)
    steps.progress("erasing", len(paths), len(paths), "segments")


def is_sealed(path: str) -> bool:
    """Return whether a segment is of the archive, or on its way there: what waits for Pub/Sub is not sealed."""
    data_dir = os.environ.get(DATA_DIR)
    waiting = [Path(data_dir) / folder for folder in ("spool", "refused")] if data_dir else []
    return not any(folder in Path(path).parents for folder in waiting)


def _replace_rows(
    client: bigquery.Client,
    live: Target,
    archive: str,
    run: Erasure,
    actor: str,
    options: PipelineOptions,
    erased: list[str],
    steps: Steps,
) -> None:
    """Let the rows count that what is left of events makes, and keep nothing of those from before."""
    reason = f"erasure {run.run_id}"
    # What somebody has left who was killed.
    drop_runs(client, live, reason)
    if erased:
        request = Request(archive, Selection(events=frozenset(erased)), actor, reason)
        made = plan_if_different(client, live, request, options)
        steps.reached("made")
        if made is not None:
            # What is left of an event is all that there is: no objection keeps the old rows.
            apply_run(client, live, made.run_id, actor, force=True, reason=reason)
    steps.reached("placed")
    drop_runs(client, live, reason)


def drop_runs(client: bigquery.Client, live: Target, reason: str) -> None:
    """Throw away what the runs of an erasure keep, by their reason: they are not to be taken back."""
    runs = Runs(client, live)
    for each in runs.all():
        if each.history[0].reason == reason:
            staging.drop(client, Staging.of(live, each.run_id))
            if each.state in {State.PLANNING, State.PLANNED}:
                left = "left by an erasure that was interrupted"
                client.query_and_wait(runs.insertion(each, State.DISCARDED, each.history[0].actor, left))
