"""What could not be normalized, with the bytes that could not."""

from typing import Final

from flask import Blueprint, render_template

from pipelines.dashboard.context import key, period, warehouse

pages = Blueprint("dead_letters", __name__, url_prefix="/dead-letters")

PAGE_SIZE: Final = 20


@pages.get("/")
def dead_letters() -> str:
    """List dead letters, the latest first."""
    chosen = period()
    before, after_id = key("before", chosen.until)
    found = warehouse().ask(
        "dead_letters",
        since=chosen.since,
        until=chosen.until,
        source=chosen.source,
        before=before,
        after_id=after_id,
        page_size=PAGE_SIZE + 1,
    )
    shown, more = found[:PAGE_SIZE], found[PAGE_SIZE:]
    return render_template(
        "dead_letters.html",
        period=chosen,
        letters=shown,
        is_first=before == chosen.until,
        next_key=f"{shown[-1]['received_at'].isoformat()},{shown[-1]['letter_id']}" if more else None,
    )
