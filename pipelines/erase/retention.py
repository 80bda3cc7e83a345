"""Keeps bodies and rows for as long as a source's are to be kept, and no longer; its ledger for ever.

What is due is told by the ledger, so that a night on which nothing is costs one query of some weeks. Of a due
event a tombstone is left, as of one that was erased, and its rows are replaced by what that makes: the ledger row
that says so.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import uuid_utils
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery.suppressed import key_from_environment
from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.core.rows import DeadLetter
from pipelines.core.suppression import CONTACT
from pipelines.erase import retiring, warehouse
from pipelines.erase.apply import drop_runs
from pipelines.erase.erasures import APPLIED, APPLYING, Erasure, Erasures
from pipelines.erase.holds import Hold, Holds
from pipelines.erase.person import Person
from pipelines.erase.segments import rewrite
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.normalize import every_row_or_dead_letter
from pipelines.reprocess import cleaning
from pipelines.reprocess.apply import apply as apply_run
from pipelines.reprocess.plan import plan_if_different
from pipelines.reprocess.runs import RefusedError, Request
from pipelines.reprocess.sql import literal, moment
from pipelines.reprocess.steps import Steps
from pipelines.sources import PARSERS
from pipelines.sources.erasing import tombstone
from schemas.raw_event import ERASED, InvalidRawEventError, RawEvent

SETTING: Final = "PARLEY_RETENTION_DAYS"
"""How many days each source is kept, as in `whatsapp=400 facebook=730`; one that is not named is kept for ever."""
MOST_DAYS: Final = 36_500
"""A hundred years."""
RUN: Final = "retention"
"""What a tombstone and the ledger say that it was erased by."""
_LATE: Final = dt.timedelta(days=40)
"""How long after its receipt an event may be stored, as that of a host that was away, and is let go at once."""
_LEFT_FROM: Final = "left_from"
"""The count that says when the first event was received of which something is left; null where nothing is."""
_FROM: Final = "from"
"""The count that says from which time of receipt on something was let go; it is there while that goes on."""


class Rule(msgspec.Struct, frozen=True):
    """How long one source is kept."""

    source: str
    """An endpoint."""
    days: int
    before: dt.datetime
    """What was received before then is due: whole days of UTC, so never less is kept than was asked for."""


class Due(msgspec.Struct, frozen=True):
    """What of a source is due, or what was done about it."""

    source: str
    days: int
    before: dt.datetime
    events: int
    """Whose ledger row says that they have a body yet."""
    first: dt.date | None
    last: dt.date | None
    segments: int = 0
    """Written anew."""
    bytes: int = 0
    """Of these."""
    held: int = 0
    """Events that a legal hold keeps."""
    waiting: int = 0
    """Segments that somebody writes or has replaced: the next time."""
    damaged: int = 0
    """Segments that cannot be read, and stay as they are."""
    left: int = 0
    """Events that have a body or rows yet: held, waiting, damaged, or not in the archive."""


def rules(environ: Mapping[str, str], now: dt.datetime) -> list[Rule]:
    """Return what the setting asks for.

    Raises:
        ConfigurationError: it is written wrong, or names what is no source.
    """
    found: dict[str, Rule] = {}
    for each in environ.get(SETTING, "").replace(",", " ").split():
        source, equals, days = each.partition("=")
        if not equals or source not in PARSERS or not days.isdecimal() or int(days) < 1 or source in found:
            raise ConfigurationError(
                f"{SETTING}: {each!r} is not SOURCE=DAYS, once for each of {', '.join(PARSERS)}"
            )
        if int(days) > MOST_DAYS:
            raise ConfigurationError(
                f"{SETTING}: {each!r} is more than {MOST_DAYS} days; what is not named is kept for ever"
            )
        midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found[source] = Rule(source, int(days), midnight - dt.timedelta(days=int(days)))
    return list(found.values())


def due(client: bigquery.Client, live: Target, asked: Sequence[Rule]) -> list[Due]:
    """Return what is due by now, by the ledger; nothing changes."""
    before = Erasures(client, live).all()
    return [_due(client, live, rule, _since(before, rule)) for rule in asked]


def retain(
    client: bigquery.Client,
    live: Target,
    archive: str,
    rule: Rule,
    actor: str,
    options: PipelineOptions,
    *,
    steps: Steps | None = None,
) -> Due:
    """Let go what is due of a source; interrupted anywhere, it goes on when it is said again.

    Raises:
        RefusedError: whom a legal hold means cannot be told, since its key is missing.
        FileNotFoundError: there is no archive.
    """
    steps, keys = steps or Steps(), retiring.keys_of(archive)
    (found,) = due(client, live, [rule])
    interrupted = _interrupted(Erasures(client, live).all(), rule.source)
    range_ = _range(found, interrupted, rule)
    if range_ is None:
        return found
    start, end = range_
    expirer = _Expirer(rule, Holds(archive).active(dt.datetime.now(dt.UTC)))
    chosen = Selection(start, end, (rule.source,))
    reason = f"{_reason(rule.source)}{rule.days} days"
    reasons = {reason, *(each.reason or "" for each in interrupted)}
    run = Erasure(str(uuid_utils.uuid7()), APPLYING, dt.datetime.now(dt.UTC), actor, reason, "", None)
    # First: no run that began before may bring the rows back.
    begun = {"until": end.isoformat(), _FROM: start and start.isoformat()}
    Erasures(client, live).record(run, APPLYING, actor, begun)
    steps.reached("begun")
    retiring.finish(keys, archive)
    paths = find_segments(archive, chosen)
    done = []
    for number, path in enumerate(paths):
        steps.progress("letting go", number, len(paths), "segments")
        done.append(rewrite(path, expirer.change, keys=keys))
    steps.reached("archived")
    for each in reasons:
        drop_runs(client, live, each)
    made = plan_if_different(client, live, Request(archive, chosen, actor, reason), options)
    if made is not None:
        apply_run(client, live, made.run_id, actor, force=True, reason=reason)
    steps.reached("placed")
    drop_runs(client, live, reason)
    with warehouse.listed(client, live, run.run_id, {warehouse.ERASED: expirer.gone}) as (events,):
        warehouse.take_out_of_runs(client, live, Person(), end, events)
    cleaning.clean(client, live, steps)
    after = _due(client, live, rule, start)
    told = msgspec.structs.replace(
        found,
        segments=sum(1 for each in done if each.events),
        bytes=sum(each.bytes for each in done),
        held=expirer.held,
        waiting=sum(each.waits for each in done),
        damaged=sum(bool(each.damage) for each in done),
        left=after.events,
    )
    numbers = {name: value for name, value in msgspec.to_builtins(told).items() if isinstance(value, int)}
    # What was once due and is no more has to be looked for again.
    left = [after.first, rule.before.date() if end > rule.before else None]
    left_from = min((str(each) for each in left if each), default=None)
    Erasures(client, live).record(run, APPLIED, actor, numbers | {_LEFT_FROM: left_from})
    steps.reached("applied")
    return told


class _Expirer:
    """Leaves tombstones of what is due, but not of what is held."""

    def __init__(self, rule: Rule, active: Sequence[Hold]) -> None:
        self._rule = rule
        self._ranges = [each for each in active if not each.hashes]
        self._hashes = {known for each in active for known in each.hashes}
        self._key = key_from_environment()
        self.held = 0
        self.gone: list[str] = []
        if others := [each for each in active if each.hashes and (not self._key or each.key_id != self._key.id)]:
            raise RefusedError(f"whom a hold means cannot be told without its key: {others[0].told()}")

    def change(self, event: RawEvent) -> RawEvent | None:
        try:
            known, is_due = event.event_id, event.received_at < self._rule.before
        except InvalidRawEventError:
            # It does not say whose or when it is: nothing is asked of it.
            return None
        if event.source != self._rule.source:
            return None
        if not event.data and ERASED in event.attributes:
            # Nothing is left of it already, though it may be due no more.
            self.gone.append(known)
            return None
        if not is_due:
            return None
        if self._is_held(event):
            self.held += 1
            return None
        self.gone.append(known)
        return tombstone(event, RUN).event

    def _is_held(self, event: RawEvent) -> bool:
        if any(each.covers(event.source, event.received_at) for each in self._ranges):
            return True
        if not self._hashes or self._key is None:
            return False
        made = every_row_or_dead_letter(event)
        contacts = {contact for row in made if (contact := getattr(row, "contact_id", None))}
        if any(self._key.hash(CONTACT, each) in self._hashes for each in contacts):
            return True
        # Whom an unreadable item means nobody knows: while somebody is held, it is kept.
        return any(isinstance(row, DeadLetter) for row in made)


def _reason(source: str) -> str:
    return f"retention of {source}, "


def _interrupted(before: Sequence[Erasure], source: str) -> list[Erasure]:
    """Return what was begun for a source after it was last done, and came to no end.

    Its rows may be replaced, so that the ledger tells of nothing, and old ones be there, and kept by runs.
    """
    own = [each for each in before if (each.reason or "").startswith(_reason(source))]
    last = max((number for number, each in enumerate(own, 1) if each.state == APPLIED), default=0)
    return own[last:]


def _range(
    found: Due, interrupted: Sequence[Erasure], rule: Rule
) -> tuple[dt.datetime | None, dt.datetime] | None:
    """Return from when to when was received what there is to do, None for the beginning; None for nothing."""
    # Also where what had to be kept is longer by now: the archive may have let it go already, and the rows not.
    ends = [each.until for each in interrupted if each.until is not None]
    begun = [each.numbers().get(_FROM) for each in interrupted]
    starts = [dt.datetime.fromisoformat(each) for each in begun if each is not None]
    if found.first is not None and found.last is not None:
        starts.append(_midnight(found.first))
        ends.append(min(_midnight(found.last) + dt.timedelta(days=1), rule.before))
    if not ends:
        return None
    # An earlier version did not say where it had begun.
    return None if None in begun else min(starts), max(ends)


def _since(before: Sequence[Erasure], rule: Rule) -> dt.datetime | None:
    """Return from which time of receipt on something may be due; None where it has to be looked for everywhere.

    What the last time has let go, or has left, is known, so that a night reads no ledger of years. What was stored
    very late is found on the first of a month.
    """
    today = rule.before + dt.timedelta(days=rule.days)
    done = [
        each for each in before if each.state == APPLIED and (each.reason or "").startswith(_reason(rule.source))
    ]
    if today.day == 1 or not done or done[-1].until is None or _LEFT_FROM not in done[-1].numbers():
        return None
    left_from = done[-1].numbers()[_LEFT_FROM]
    first = done[-1].until if left_from is None else _midnight(dt.date.fromisoformat(left_from))
    return min(done[-1].until, first) - _LATE


def _due(client: bigquery.Client, live: Target, rule: Rule, since: dt.datetime | None) -> Due:
    """Return what of the ledger's rows from a time of receipt on is due and not said to be erased."""
    bound = "" if since is None else f"AND received_at >= {moment(since)} "
    sql = (
        "SELECT COUNT(*), MIN(DATE(received_at)), MAX(DATE(received_at)) "  # noqa: S608
        f"FROM `{live.view('counted_events')}` "
        f"WHERE source = {literal(rule.source)} AND received_at < {moment(rule.before)} {bound}"
        "AND NOT STARTS_WITH(COALESCE(reason, ''), 'erased by ')"
    )
    events, first, last = next(iter(client.query_and_wait(sql))).values()
    return Due(rule.source, rule.days, rule.before, int(events), first, last)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
