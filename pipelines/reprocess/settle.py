"""Brings everything in order: what was received on a day is what the archive says, once, and nothing else is left.

Every step is safe to be interrupted and to be said again, and changes nothing where there is nothing to change.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final

import msgspec
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery import resolving
from pipelines.bigquery.target import Target
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import cleaning, staging, superseding
from pipelines.reprocess.apply import apply
from pipelines.reprocess.plan import plan_if_different
from pipelines.reprocess.reconcile import reconcile
from pipelines.reprocess.runs import RefusedError, Request, Staging
from pipelines.reprocess.steps import Steps
from pipelines.reprocess.streamed import buffered_for
from pipelines.sources import PARSERS

_SUNDAY: Final = 7
_MONTH: Final = dt.timedelta(days=31)


class Summary(msgspec.Struct, frozen=True):
    """What there was to do."""

    start: dt.datetime
    end: dt.datetime
    run_id: str | None
    """The run that was applied; None where nothing differed."""
    changed_events: int
    """Events whose rows the run replaced."""
    older_generations: int
    """Events that two versions had stored, of which the older no longer counts."""
    retold: int
    """Messages and metadata told in several partitions, that are shown in the first from now on."""
    resolved: int
    """Contacts of whom it is said anew, for a day, who they are (`resolved_contacts`)."""
    deleted_rows: int
    """Rows that counted no more and have been deleted."""
    agrees: bool
    missing: int
    not_archived: int
    incomplete: int
    stray: int
    damages: int
    """Places of the archive that could not be read."""


def settle(
    client: bigquery.Client,
    live: Target,
    archive: str,
    start: dt.datetime,
    end: dt.datetime,
    options: PipelineOptions,
    *,
    actor: str,
    files: str | None = None,
    steps: Steps | None = None,
) -> Summary:
    """Bring what was received in a range in order.

    Raises:
        RefusedError: the run that would do it is refused, or what live reads is unknown here; nothing has changed.
        ConfigurationError: as `buffered_for`.
        FileNotFoundError: there is no archive.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    steps = steps or Steps()
    buffered_for()
    _check_sources(client, live, start)
    request = Request(archive, Selection(start, end), actor, "settle")
    run = plan_if_different(client, live, request, options, files=files, steps=steps)
    if run is not None:
        # Refused, it stays planned, to be looked at.
        apply(client, live, run.run_id, actor, reason="settle")
    lately = start - superseding.LOOKS_BACK
    older = superseding.older_generations(client, live, lately, end)
    # What a night reads must not grow with the archive. So what was told long ago waits: for a Sunday where it is
    # bounded as well, for the first of a month where it is not.
    anywhere = _includes(start, end, lambda day: day.day == 1)
    since = lately - _MONTH if anywhere else lately
    retold = superseding.retold_lately(client, live, since, end, anywhere=anywhere)
    long_ago = _includes(start, end, lambda day: day.isoweekday() == _SUNDAY)
    first = start - resolving.LATE if long_ago else lately
    resolved = resolving.keep(client, live, (first.date(), (end + dt.timedelta(hours=1)).date()))
    deleted = cleaning.clean(client, live, steps)
    found = reconcile(client, live, archive, Selection(start, end), options, files=files, steps=steps)
    return Summary(
        start=start,
        end=end,
        run_id=run.run_id if run else None,
        changed_events=staging.affected(client, Staging.of(live, run.run_id)) if run else 0,
        older_generations=older,
        retold=retold,
        resolved=resolved,
        deleted_rows=deleted,
        agrees=found.agrees,
        missing=len(found.missing),
        not_archived=len(found.not_archived),
        incomplete=len(found.incomplete),
        stray=len(found.stray),
        damages=len(found.damages),
    )


def _includes(start: dt.datetime, end: dt.datetime, is_one: Callable[[dt.date], bool]) -> bool:
    """Return whether one of the days of a range, whole or in part, is such a day."""
    first, last = start.date(), (end - dt.timedelta(microseconds=1)).date()
    return any(is_one(first + dt.timedelta(days=number)) for number in range((last - first).days + 1))


def _check_sources(client: bigquery.Client, live: Target, start: dt.datetime) -> None:
    """Let every source be known here that live has made rows of lately.

    Raises:
        RefusedError: one is not: all of its events would fail.
    """
    since = start - superseding.LOOKS_BACK
    sql = (
        f"SELECT DISTINCT source FROM `{live.table('events')}` "  # noqa: S608
        f"WHERE received_at >= TIMESTAMP '{since.isoformat()}' AND outcome IN ('normalized', 'partial')"
    )
    unknown = sorted({row[0] for row in client.query_and_wait(sql)} - PARSERS.keys())
    if unknown:
        raise RefusedError(
            f"live makes rows of {', '.join(unknown)}, which is unknown here: set PARLEY_SOURCES_FILE to the file "
            "that live has, and install the packages of its sources"
        )
