"""The list of messages: what each number of the overview counts, what says something, and who writes now."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from flask import Blueprint, Response, abort, render_template, request

from pipelines.dashboard import as_csv
from pipelines.dashboard.context import day as day_of
from pipelines.dashboard.context import key, period, today, warehouse
from pipelines.dashboard.lookups import contacts_of, texts_of
from pipelines.dashboard.period import END_OF_TIME, Period
from pipelines.dashboard.warehouse import Row

pages = Blueprint("messages", __name__, url_prefix="/messages")

LIST_SIZE: Final = 25
SEARCHED_DAYS: Final = 7
"""How many days one page looks through for a text."""
SEARCHED_SPANS: Final = (1, 2, 4)
"""Of how many days each question is that it asks for it, until there are enough messages; together as many."""
LONGEST_TEXT: Final = 200
DIRECTIONS: Final = {"inbound": "From contacts", "outbound": "To contacts"}
STATES: Final = {
    "to_contacts": "To contacts, also by receipts alone",
    "sent": "Sent",
    "delivered": "Delivered",
    "read": "Read",
    "failed": "Failed",
    "without_receipt": "Without receipt",
}
WAITS: Final[Mapping[str, tuple[str, int, int]]] = {
    "within_1_minute": ("< 1 min", 0, 60),
    "within_5_minutes": ("1–5 min", 60, 300),
    "within_15_minutes": ("5–15 min", 300, 900),
    "within_1_hour": ("15–60 min", 900, 3_600),
    "within_4_hours": ("1–4 h", 3_600, 14_400),
    "within_1_day": ("4–24 h", 14_400, 86_400),
    "later": ("> 1 day", 86_400, 10**9),
    "unanswered": ("None yet", -1, -1),
}
"""How long contacts waited: what it is called, from how many seconds, and to less than how many."""
HOURS: Final = frozenset(f"{hour:02}" for hour in range(24))
KINDS: Final = {
    "": {"": "All messages", **DIRECTIONS},
    "How far they came": STATES,
    "Turns of contacts, by time to the answer": {name: words for name, (words, _, _) in WAITS.items()},
}
"""What the form offers, in groups."""
COLUMNS: Final = ("sent_at", "source", "direction", "message_id", "conversation_id", "contact_id")


class Found(NamedTuple):
    """A page of messages, and back to which day was looked for them."""

    rows: list[Row]
    first_day: dt.date


@pages.get("/")
def messages() -> str | Response:
    """List messages, the latest first."""
    chosen = period()
    text, which, hour = (request.args.get(name, "").strip() for name in ("text", "which", "hour"))
    _check(text, which, hour)
    before, before_id = key("before", END_OF_TIME)
    is_file = as_csv.is_asked()
    size = as_csv.MOST_ROWS if is_file else LIST_SIZE
    page = {"before": before, "before_id": before_id}
    if text:
        found = _search(chosen, {"text": text, "direction": which}, page, size + 1)
    else:
        found = Found(_listed(chosen, which, hour, page | {"page_size": size + 1}), chosen.first_day)
    shown, more = found.rows[:size], found.rows[size:]
    if is_file:
        return as_csv.answer("messages", COLUMNS, shown)
    days = {row["sent_date"] for row in shown}
    last = shown[-1] if shown else None
    texts = texts_of([row["message_id"] for row in shown], days)
    contacts = contacts_of(sorted({row["contact_id"] for row in shown if row["contact_id"]}), days)
    return render_template(
        "messages.html",
        period=chosen,
        text=text,
        which=which,
        hour=hour,
        found=found,
        messages=shown,
        texts={row["message_id"]: row for row in texts()},
        contacts=contacts(),
        is_first=before == END_OF_TIME and "day" not in request.args,
        is_live=before == END_OF_TIME and not text and chosen.last_day >= today(),
        next_page=_after(last, found, bool(more), bool(text), chosen),
    )


def _after(
    last: Row | None, found: Found, has_more: bool, is_search: bool, chosen: Period
) -> dict[str, str] | None:
    """Return what the address of the next page says beside that of this one, None where there is none."""
    if has_more and last is not None:
        key_of = {"before": f"{last['sent_at'].isoformat()},{last['message_id']}"}
        return key_of | ({"day": last["sent_date"].isoformat()} if is_search else {})
    if is_search and found.first_day > chosen.first_day:
        return {"day": (found.first_day - dt.timedelta(days=1)).isoformat(), "before": ""}
    return None


def _check(text: str, which: str, hour: str) -> None:
    """Refuse what cannot be asked.

    Raises:
        HTTPException: 400, with the reason in words.
    """
    if which and which not in {*DIRECTIONS, *STATES, *WAITS}:
        abort(400, f"There are no messages of the kind {which!r}.")
    if text and which and which not in DIRECTIONS:
        abort(400, "A text is looked for in all messages, in those from contacts, or in those to contacts.")
    if len(text) > LONGEST_TEXT:
        abort(400, f"A text to look for has at most {LONGEST_TEXT} characters.")
    if hour and hour not in HOURS:
        abort(400, f"{hour!r} is no hour from 00 to 23.")


def _listed(chosen: Period, which: str, hour: str, page: Mapping[str, Any]) -> list[Row]:
    if which in WAITS:
        _, at_least, less_than = WAITS[which]
        asked = {"at_least": at_least, "less_than": less_than}
        return warehouse().ask("turn_list", **chosen.parameters(), **asked, **page)
    if which in STATES:
        return warehouse().ask("sent_list", **chosen.parameters(), state=which, **page)
    return warehouse().ask("message_list", **chosen.parameters(), direction=which, hour=hour, **page)


def _search(chosen: Period, asked: Mapping[str, Any], page: Mapping[str, Any], size: int) -> Found:
    """Return messages that say something, looked for back from the last day, until there are enough of them."""
    rows: list[Row] = []
    # The key is of a message of this day: what the address says, at first the period's last.
    last_day = min(day_of("day", chosen.last_day), chosen.last_day)
    first_day = end = max(chosen.first_day, last_day - dt.timedelta(days=SEARCHED_DAYS - 1))
    for span in SEARCHED_SPANS:
        first_day = max(end, last_day - dt.timedelta(days=span - 1))
        days = {"first_day": first_day, "last_day": last_day, "source": chosen.source}
        rows += warehouse().ask("search", page_size=size - len(rows), **days, **asked, **page)
        if len(rows) >= size or first_day <= end:
            break
        last_day = first_day - dt.timedelta(days=1)
        page = {"before": END_OF_TIME, "before_id": ""}
    return Found(rows, first_day)
