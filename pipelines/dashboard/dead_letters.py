"""What could not be normalized, with the bytes that could not."""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from flask import Blueprint, Response, render_template

from pipelines.dashboard import as_csv
from pipelines.dashboard.context import key, period, warehouse
from pipelines.dashboard.period import Period, midnight
from pipelines.dashboard.warehouse import Row
from pipelines.dashboard.words import endpoint_of

pages = Blueprint("dead_letters", __name__, url_prefix="/dead-letters")

PAGE_SIZE: Final = 20
COLUMNS: Final = (
    *("received_at", "source", "stage", "error_class", "error_message", "event_id", "pointer", "table_name"),
)


@pages.get("/")
def dead_letters() -> str | Response:
    """List dead letters, the latest first."""
    chosen = period()
    if as_csv.is_asked():
        return as_csv.answer("dead-letters", COLUMNS, _without_bodies(chosen))
    before, after_id = key("before", chosen.until)
    found: list[Row] = []
    for since, until in _spans(chosen, before):
        found += warehouse().ask(
            "dead_letters",
            since=since,
            until=until,
            source=endpoint_of(chosen.source),
            before=before,
            after_id=after_id,
            page_size=PAGE_SIZE + 1 - len(found),
        )
        if len(found) > PAGE_SIZE:
            break
    shown, more = found[:PAGE_SIZE], found[PAGE_SIZE:]
    return render_template(
        "dead_letters.html",
        period=chosen,
        endpoint=endpoint_of(chosen.source),
        letters=shown,
        is_first=before == chosen.until,
        next_key=f"{shown[-1]['received_at'].isoformat()},{shown[-1]['letter_id']}" if more else None,
    )


def _without_bodies(chosen: Period) -> list[Row]:
    return warehouse().ask(
        "letter_list",
        since=chosen.since,
        until=chosen.until,
        source=endpoint_of(chosen.source),
        page_size=as_csv.MOST_ROWS,
    )


def _spans(chosen: Period, before: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Yield parts of a period that should fill a page, the latest first: a letter is as large as its body.

    A letter may be counted twice, and then the next part is needed, too.
    """
    until, letters = min(chosen.until, midnight(before.date() + dt.timedelta(days=1))), 0
    days = warehouse().ask("letter_days", since=chosen.since, until=until, source=endpoint_of(chosen.source))
    for row in days:
        letters += row["letters"]
        if letters > PAGE_SIZE or row is days[-1]:
            yield midnight(row["day"]), until
            until, letters = midnight(row["day"]), 0
