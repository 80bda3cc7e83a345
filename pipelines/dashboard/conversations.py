"""The list of conversations, and the reader of one."""

import datetime as dt
from itertools import groupby
from typing import Final

from flask import Blueprint, abort, render_template, request

from pipelines.dashboard import reader
from pipelines.dashboard.context import key, period, warehouse
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Row

pages = Blueprint("conversations", __name__, url_prefix="/conversations")

LIST_SIZE: Final = 25
PAGE_SIZE: Final = 50
SPAN: Final = dt.timedelta(days=30)
"""How far a page of the reader reaches back."""
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
        days = [row["last_message_date"] for row in shown]
        last = [row["last_message_id"] for row in shown]
        told = warehouse().ask("texts", first_day=min(days), last_day=max(days), message_ids=last)
        texts = {row["message_id"]: row for row in told}
    return render_template(
        "conversations.html",
        period=chosen,
        contact=contact,
        waiting=waiting,
        conversations=shown,
        contacts=_contacts(chosen, [row["contact_id"] for row in shown if row["contact_id"]]),
        texts=texts,
        is_first=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_message_at'].isoformat()},{shown[-1]['conversation_id']}" if more else None,
    )


@pages.get("/<conversation_id>")
def conversation(conversation_id: str) -> str:
    """Show a conversation, the latest page of the period's end first."""
    chosen = period()
    before, before_id = key("before", END_OF_TIME)
    window = Period(min(chosen.first_day, chosen.last_day - SPAN), chosen.last_day)
    days = {"first_day": window.first_day, "last_day": window.last_day}
    known = warehouse().first("sightings", conversation_id=conversation_id, **days)
    if known is None:
        abort(404, "There is no such conversation.")
    keys = warehouse().ask(
        "message_keys",
        conversation_id=conversation_id,
        before=before,
        before_id=before_id,
        page_size=PAGE_SIZE + 1,
        **days,
    )
    shown, more = keys[:PAGE_SIZE], keys[PAGE_SIZE:]
    since = shown[-1]["last_sent_at"] if more else window.since
    entries = _entries(conversation_id, shown, window, since, before)
    contact = _contacts(window, [known["contact_id"]]).get(known["contact_id"])
    return render_template(
        "conversation.html",
        period=chosen,
        window=window,
        conversation_id=conversation_id,
        known=known,
        contact=contact,
        channel=warehouse().first("channel", channel_id=known["channel_id"], **days),
        days=[(day, list(group)) for day, group in groupby(entries, key=lambda entry: entry.at.date())],
        is_last=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_sent_at'].isoformat()},{shown[-1]['message_id']}" if more else None,
    )


def _entries(
    conversation_id: str, keys: list[Row], window: Period, since: dt.datetime, until: dt.datetime
) -> list[reader.Entry]:
    days = {
        "first_day": min((row["first_sent_date"] for row in keys), default=window.first_day),
        "last_day": max((row["sent_date"] for row in keys), default=window.last_day),
    }
    ids = [row["message_id"] for row in keys]
    texts = warehouse().ask("texts", message_ids=ids, **days) if keys else []
    # Told in two partitions, it is shown once; and a run of reprocessing may just have moved it elsewhere.
    messages = {row["message_id"]: row for row in texts if row["conversation_id"] == conversation_id}
    facts = warehouse().ask("facts", conversation_id=conversation_id, message_ids=ids, **days)
    return reader.tell(list(messages.values()), facts, conversation_id, since, until)


def _contacts(chosen: Period, contact_ids: list[str]) -> dict[str, Row]:
    if not contact_ids:
        return {}
    found = warehouse().ask(
        "contacts", contact_ids=contact_ids, first_day=chosen.first_day, last_day=chosen.last_day
    )
    return {row["contact_id"]: row for row in found}
