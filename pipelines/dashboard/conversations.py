"""The list of conversations, and the reader of one."""

import datetime as dt
from itertools import groupby
from typing import Final

from flask import Blueprint, render_template, request

from pipelines.dashboard import reader
from pipelines.dashboard.context import day, key, period, warehouse
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Row

pages = Blueprint("conversations", __name__, url_prefix="/conversations")

LIST_SIZE: Final = 25
PAGE_SIZE: Final = 50
SPAN: Final = dt.timedelta(days=6)
"""How far a page of the reader reaches back from its day."""
REACH: Final = dt.timedelta(days=45)
"""How far around a page the reader looks for other days, as `spoken.sql` does."""
TEXT_DAYS: Final = 14
"""Of how many days one question reads what messages say."""
END_OF_TIME: Final = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


@pages.get("/")
def conversations() -> str:
    """List conversations, the one spoken in last first."""
    chosen = period()
    before, after_id = key("before", END_OF_TIME)
    waiting, contact = request.args.get("waiting") == "1", request.args.get("contact", "").strip()
    found = warehouse().ask(
        "conversations",
        **chosen.parameters(),
        contact=contact,
        waiting=waiting,
        before=before,
        after_id=after_id,
        page_size=LIST_SIZE + 1,
    )
    shown, more = found[:LIST_SIZE], found[LIST_SIZE:]
    texts = {}
    if shown:
        last = {row["last_message_id"]: row["last_message_date"] for row in shown}
        texts = {row["message_id"]: row for row in _texts(list(last), set(last.values()))}
    return render_template(
        "conversations.html",
        period=chosen,
        contact=contact,
        waiting=waiting,
        conversations=shown,
        contacts=_contacts(
            [row["naming_contact_id"] for row in shown if row["naming_contact_id"]],
            {row["last_name_date"] for row in shown},
        ),
        texts=texts,
        is_first=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_message_at'].isoformat()},{shown[-1]['conversation_id']}" if more else None,
    )


@pages.get("/<conversation_id>")
def conversation(conversation_id: str) -> str | tuple[str, int]:
    """Show a conversation, the latest page of a week up to a day: that of the address, or the period's last."""
    chosen = period()
    before, before_id = key("before", END_OF_TIME)
    last_day = day("day", chosen.last_day)
    window = Period(last_day - SPAN, last_day)
    days = {"first_day": window.first_day, "last_day": window.last_day}
    same = warehouse().ask("same_conversation", conversation_id=conversation_id, **days)
    ids = sorted({conversation_id, *(row["conversation_id"] for row in same)})
    spoken = warehouse().first("spoken", conversation_ids=ids, **days) or {}
    seen: dt.date | None = spoken.get("day") or spoken.get("earlier_day") or spoken.get("later_day")
    known = warehouse().first("sighting", conversation_ids=ids, day=seen) if seen else None
    around = Period(window.first_day - REACH, window.last_day + REACH)
    about = {"period": chosen, "window": window, "around": around, "conversation_id": conversation_id}
    if seen is None or known is None:
        return render_template("conversation_elsewhere.html", **about), 404
    keys = warehouse().ask(
        "message_keys",
        conversation_ids=ids,
        before=before,
        before_id=before_id,
        page_size=PAGE_SIZE + 1,
        **days,
    )
    shown, more = keys[:PAGE_SIZE], keys[PAGE_SIZE:]
    since = shown[-1]["last_sent_at"] if more else window.since
    entries = _entries(ids, shown, since, min(before, window.until))
    people = sorted({known["contact_id"], *(row["contact_id"] for row in same)})
    contacts = _contacts(people, {seen, *window.each_day()})
    return render_template(
        "conversation.html",
        **about,
        known=known,
        spoken=spoken,
        contact=_together([contacts[each] for each in [known["contact_id"], *people] if each in contacts]),
        channel=warehouse().first("channel", channel_id=known["channel_id"], day=seen),
        days=[(date, list(group)) for date, group in groupby(entries, key=lambda entry: entry.at.date())],
        is_last=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_sent_at'].isoformat()},{shown[-1]['message_id']}" if more else None,
    )


def _entries(
    conversation_ids: list[str], keys: list[Row], since: dt.datetime, until: dt.datetime
) -> list[reader.Entry]:
    ids = [row["message_id"] for row in keys]
    stored_on = {row[name] for row in keys for name in ("first_sent_date", "sent_date")}
    # Stored in two partitions, it is shown once; and a run of reprocessing may just have moved it elsewhere.
    messages = {
        row["message_id"]: row for row in _texts(ids, stored_on) if row["conversation_id"] in conversation_ids
    }
    metadata = warehouse().ask(
        "metadata",
        conversation_ids=conversation_ids,
        message_ids=ids,
        first_day=min({since.date(), *stored_on}),
        last_day=max({(until - dt.timedelta(microseconds=1)).date(), *stored_on}),
    )
    return reader.assemble(list(messages.values()), metadata, conversation_ids, since, until)


def _texts(message_ids: list[str], days: set[dt.date]) -> list[Row]:
    """Return messages of some days as a person reads them, in the order of time on these days."""
    found: list[Row] = []
    ordered = sorted(days)
    while ordered:
        found += warehouse().ask("texts", message_ids=message_ids, days=ordered[:TEXT_DAYS])
        del ordered[:TEXT_DAYS]
    return found


def _contacts(contact_ids: list[str], days: set[dt.date]) -> dict[str, Row]:
    if not contact_ids:
        return {}
    found = warehouse().ask("contacts", contact_ids=contact_ids, days=sorted(days))
    return {row["contact_id"]: row for row in found}


def _together(rows: list[Row]) -> Row | None:
    """Return what is known of a person by several ids: of each field the first that anything is said of."""
    if not rows:
        return None
    return {name: next((row[name] for row in rows if row[name] is not None), None) for name in rows[0]}
