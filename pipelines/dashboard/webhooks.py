"""The list of raw events: which webhooks came, and what became of each."""

from typing import Final

from flask import Blueprint, Response, abort, render_template, request

from pipelines.dashboard import as_csv
from pipelines.dashboard.context import key, period, warehouse
from pipelines.dashboard.period import END_OF_TIME
from pipelines.dashboard.words import endpoint_of

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

PAGE_SIZE: Final = 50
OUTCOMES: Final = ("normalized", "partial", "ignored", "failed")
COLUMNS: Final = (
    *("event_id", "source", "received_at", "outcome", "reason", "rows", "dead_letters", "body_bytes"),
)


@pages.get("/")
def webhooks() -> str | Response:
    """List raw events, the latest first."""
    chosen, outcome = period(), request.args.get("outcome", "").strip()
    if outcome and outcome not in OUTCOMES:
        abort(400, f"Nothing becomes {outcome!r}: an outcome is one of {', '.join(OUTCOMES)}.")
    before, before_id = key("before", END_OF_TIME)
    is_file, endpoint = as_csv.is_asked(), endpoint_of(chosen.source)
    size = as_csv.MOST_ROWS if is_file else PAGE_SIZE
    found = warehouse().ask(
        "event_list",
        since=chosen.since,
        until=chosen.until,
        source=endpoint,
        outcome=outcome,
        before=before,
        before_id=before_id,
        page_size=size + 1,
    )
    shown, more = found[:size], found[size:]
    if is_file:
        return as_csv.answer("webhooks", COLUMNS, shown)
    return render_template(
        "webhooks.html",
        period=chosen,
        endpoint=endpoint,
        outcome=outcome,
        events=shown,
        is_first=before == END_OF_TIME,
        next_key=f"{shown[-1]['received_at'].isoformat()},{shown[-1]['event_id']}" if more else None,
    )
