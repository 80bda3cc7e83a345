"""One raw event: its line in the ledger, its items as they were received, and the whole of it when asked."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from flask import Blueprint, abort, current_app, render_template

from pipelines.dashboard import context
from pipelines.dashboard.context import warehouse
from pipelines.dashboard.period import midnight, parse_day
from pipelines.dashboard.warehouse import Row, UnansweredError
from schemas.raw_event import RawEvent

pages = Blueprint("events", __name__, url_prefix="/events")


BEFORE: Final = dt.timedelta(days=8)
AFTER: Final = dt.timedelta(days=1)
"""How far from the day of receipt the rows of an event can lie of which the ledger does not say it."""
REACH: Final = dt.timedelta(days=30)
"""In how many days before its last an event's rows are looked for."""


@pages.get("/<day>/<event_id>")
def event(day: str, event_id: str) -> str:
    """Show what a raw event became, and of each item of one day the exact bytes."""
    since = _midnight(day)
    line = warehouse().first("event", event_id=event_id, since=since, until=since + dt.timedelta(days=1))
    first, last = _days(line, since.date())
    looked_from = max(first, last - REACH)
    found = warehouse().ask("item_days", event_id=event_id, first_day=looked_from, last_day=last)
    days = [row["day"] for row in found]
    if line is None and not days:
        abort(404, "There is no such event on that day.")
    shown = context.day("of", days[0] if days else since.date())
    return render_template(
        "event.html",
        day=day,
        event_id=event_id,
        line=line,
        shown=shown,
        other_days=[each for each in days if each != shown],
        looked_from=looked_from,
        first_date=first if first < looked_from else None,
        items=warehouse().ask("items", event_id=event_id, day=shown),
        archive=current_app.config["ARCHIVE"],
    )


@pages.get("/<day>/<event_id>/raw")
def raw(day: str, event_id: str) -> str:
    """Show the whole raw event as the archive has it."""
    archive: str | None = current_app.config["ARCHIVE"]
    since = _midnight(day)
    line = warehouse().first("event", event_id=event_id, since=since, until=since + dt.timedelta(days=1))
    if archive is None or line is None:
        abort(404, "There is no archive to look into: PARLEY_ARCHIVE names none.")
    found = next(_in_archive(archive, event_id, line["source"], line["received_at"]), None)
    return render_template("raw.html", day=day, event_id=event_id, found=found, archive=archive)


def _days(line: Row | None, received: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of which an event has rows, as its line says, or as it can be."""
    if line and line["first_date"]:
        return line["first_date"], line["last_date"]
    return received - BEFORE, received + AFTER


def _in_archive(root: str, event_id: str, source: str, received_at: dt.datetime) -> Iterator[RawEvent]:
    """Yield the raw events of an id, from the segments of their hour."""
    # Takes seconds to import, and only this page needs it.
    from pipelines.bigquery.target import ConfigurationError  # noqa: PLC0415
    from pipelines.io.archive_segments import Selection, find_segments, read_segment  # noqa: PLC0415
    from schemas.archive_layout import folder  # noqa: PLC0415

    try:
        paths = find_segments(f"{root.rstrip('/')}/{folder(source, received_at)}", Selection())
    except FileNotFoundError:
        return
    except Exception as error:
        # Beam's file systems raise what their clients raise.
        raise UnansweredError(f"The archive cannot be read: {error}", will_pass=True) from error
    try:
        for path in paths:
            yield from (found for found in read_segment(path, []) if found.attributes.get("event_id") == event_id)
    except ConfigurationError as error:
        raise UnansweredError(f"The archive cannot be read: {error}", will_pass=False) from error


def _midnight(day: str) -> dt.datetime:
    try:
        return midnight(parse_day(day))
    except ValueError as error:
        abort(404, str(error))
