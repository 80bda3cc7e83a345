"""The list of conversations, and the reader of one."""

import datetime as dt
from collections.abc import Callable
from itertools import groupby
from typing import Final, NamedTuple

from flask import Blueprint, Response, make_response, render_template, request

from pipelines.dashboard import as_csv, reader, reply_box
from pipelines.dashboard.context import day, key, period, warehouse
from pipelines.dashboard.lookups import contacts_of, texts_of
from pipelines.dashboard.period import END_OF_TIME, Period
from pipelines.dashboard.readable import looked_for
from pipelines.dashboard.reply_box import Draft
from pipelines.dashboard.warehouse import Row
from pipelines.dashboard.zone import local

pages = Blueprint("conversations", __name__, url_prefix="/conversations")

LIST_SIZE: Final = 25
COLUMNS: Final = (
    *("conversation_id", "source", "contact_id", "messages", "last_message_at", "is_waiting", "last_message_id"),
)
PAGE_SIZE: Final = 50
SPAN: Final = dt.timedelta(days=6)
"""How far a page of the reader reaches back from its day."""
REACH: Final = dt.timedelta(days=45)
"""How far around a page the reader looks for other days, as `spoken.sql` does."""


@pages.get("/")
def conversations() -> str | Response:
    """List conversations, the one spoken in last first."""
    chosen = period()
    before, after_id = key("before", END_OF_TIME)
    waiting, contact = request.args.get("waiting") == "1", request.args.get("contact", "").strip()
    is_file = as_csv.is_asked()
    size = as_csv.MOST_ROWS if is_file else LIST_SIZE
    found = warehouse().ask(
        "conversations",
        **chosen.parameters(),
        contact=looked_for(contact),
        waiting=waiting,
        before=before,
        after_id=after_id,
        page_size=size + 1,
    )
    shown, more = found[:size], found[size:]
    if is_file:
        return as_csv.answer("conversations", COLUMNS, shown)
    last = {row["last_message_id"]: row["last_message_date"] for row in shown}
    texts = texts_of(list(last), set(last.values()))
    contacts = contacts_of(
        [row["naming_contact_id"] for row in shown if row["naming_contact_id"]],
        {row["last_name_date"] for row in shown},
    )
    return render_template(
        "conversations.html",
        period=chosen,
        contact=contact,
        waiting=waiting,
        conversations=shown,
        contacts=contacts(),
        texts={row["message_id"]: row for row in texts()},
        is_first=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_message_at'].isoformat()},{shown[-1]['conversation_id']}" if more else None,
    )


@pages.get("/<conversation_id>")
def conversation(conversation_id: str) -> Response:
    """Show a conversation, the latest page of a week up to a day: that of the address, or the period's last."""
    return show(conversation_id)


class Whom(NamedTuple):
    """To whom an answer goes, and whether the source takes it now."""

    endpoint: str
    channel: str
    to: str
    is_closed: bool

    def address(self) -> dict[str, str]:
        """Return the fields of a reply that say so."""
        return {"source": self.endpoint, "channel": self.channel, "to": self.to}


def reply_to(conversation_id: str) -> Whom | None:
    """Return to whom an answer goes in a conversation; None where it is not known, or nobody can answer in it."""
    window = _window()
    ids, _ = _same(conversation_id, window)
    seen, _ = _seen(ids, window)
    known = warehouse().first("sighting", conversation_ids=ids, day=seen) if seen else None
    if known is None or not reply_box.can_answer(known["source"]) or seen is None:
        return None
    channel = _channel(known, seen)
    if channel is None or not known["source_conversation_id"]:
        return None
    closed = _box(conversation_id, ids, known["source"], None).is_closed
    return Whom(
        reply_box.endpoint(known["source"]), channel["source_channel_id"], known["source_conversation_id"], closed
    )


def show(conversation_id: str, draft: Draft | None = None, status: int = 200) -> Response:
    """Show a conversation, with what somebody wanted to answer where that was not taken."""
    chosen, window = period(), _window()
    before, before_id = key("before", END_OF_TIME)
    days = {"first_day": window.first_day, "last_day": window.last_day}
    ids, people = _same(conversation_id, window)
    asked_keys = warehouse().begin(
        "message_keys",
        conversation_ids=ids,
        before=before,
        before_id=before_id,
        page_size=PAGE_SIZE + 1,
        **days,
    )
    seen, spoken = _seen(ids, window)
    known = warehouse().first("sighting", conversation_ids=ids, day=seen) if seen else None
    keys = asked_keys.result()
    around = Period(window.first_day - REACH, window.last_day + REACH)
    about = {"period": chosen, "window": window, "around": around, "conversation_id": conversation_id}
    answered = request.args.get("answered", "")
    if seen is None or known is None:
        # Where it was answered after a long time, there is nothing of today until that is stored.
        page = render_template("conversation_elsewhere.html", **about, answered=answered)
        return make_response(page, 200 if answered else 404)
    shown, more = keys[:PAGE_SIZE], keys[PAGE_SIZE:]
    since = shown[-1]["last_sent_at"] if more else window.since
    people = [known["contact_id"], *sorted(set(people) - {known["contact_id"]})]
    asked_contacts = contacts_of(people, {seen, *window.each_day()})
    asked_entries = _entries(ids, shown, since, min(before, window.until))
    # What was not taken is shown, also where the contact has written on a later day meanwhile.
    is_latest = before == END_OF_TIME and (draft is not None or not spoken.get("later_day"))
    can_answer = is_latest and reply_box.can_answer(known["source"])
    answers: list[reader.Entry] = []
    if can_answer:
        told = warehouse().ask("answers", conversation_ids=ids, last_day=window.last_day)
        answers = reply_box.entries(told)
    entries = sorted(asked_entries() + answers, key=lambda entry: (entry.at, entry.id))
    contacts = asked_contacts()
    page = render_template(
        "conversation.html",
        **about,
        known=known,
        spoken=spoken,
        contact=_together([contacts[each] for each in people if each in contacts]),
        channel=_channel(known, seen),
        days=[(date, list(group)) for date, group in groupby(entries, key=lambda entry: local(entry.at).date())],
        is_last=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_sent_at'].isoformat()},{shown[-1]['message_id']}" if more else None,
        box=_box(conversation_id, ids, known["source"], draft) if can_answer else None,
        answered=answered,
        shown_answers={entry.id for entry in answers},
        is_told=answered in {entry.reply_id for entry in entries},
    )
    response = make_response(page, status)
    if can_answer:
        # Otherwise a browser does not say where a form comes from: https://fetch.spec.whatwg.org/#origin-header
        response.headers["Referrer-Policy"] = "same-origin"
    return response


def _window() -> Period:
    last_day = day("day", period().last_day)
    return Period(last_day - SPAN, last_day)


def _same(conversation_id: str, window: Period) -> tuple[list[str], list[str]]:
    """Return every id that a conversation is told with, and every contact id that its person has."""
    same = warehouse().ask(
        "same_conversation",
        conversation_id=conversation_id,
        first_day=window.first_day,
        last_day=window.last_day,
    )
    ids = sorted({conversation_id, *(row["conversation_id"] for row in same)})
    return ids, sorted({row["contact_id"] for row in same})


def _seen(ids: list[str], window: Period) -> tuple[dt.date | None, Row]:
    """Return the day that tells of a conversation, and when else it was spoken in."""
    spoken = (
        warehouse().first("spoken", conversation_ids=ids, first_day=window.first_day, last_day=window.last_day)
        or {}
    )
    return spoken.get("day") or spoken.get("earlier_day") or spoken.get("later_day"), spoken


def _channel(known: Row, seen: dt.date) -> Row | None:
    return warehouse().first("channel", channel_id=known["channel_id"], day=seen)


def _box(conversation_id: str, ids: list[str], source: str, draft: Draft | None) -> reply_box.Box:
    asked = warehouse().first("asked", conversation_ids=ids, today=reply_box.now().date()) or {}
    return reply_box.box(conversation_id, source, asked.get("asked_at"), draft)


def _entries(
    conversation_ids: list[str], keys: list[Row], since: dt.datetime, until: dt.datetime
) -> Callable[[], list[reader.Entry]]:
    """Ask for what was said and what happened in a conversation; return what waits for it."""
    ids = [row["message_id"] for row in keys]
    stored_on = {row[name] for row in keys for name in ("first_sent_date", "sent_date")}
    texts = texts_of(ids, stored_on)
    metadata = warehouse().begin(
        "metadata",
        conversation_ids=conversation_ids,
        message_ids=ids,
        first_day=min({since.date(), *stored_on}),
        last_day=max({(until - dt.timedelta(microseconds=1)).date(), *stored_on}),
    )

    def entries() -> list[reader.Entry]:
        # Stored in two partitions, it is shown once; and a run of reprocessing may just have moved it elsewhere.
        said = {row["message_id"]: row for row in texts() if row["conversation_id"] in conversation_ids}
        return reader.assemble(list(said.values()), metadata.result(), conversation_ids, since, until)

    return entries


def _together(rows: list[Row]) -> Row | None:
    """Return what is known of a person by several ids: of each field the first that anything is said of."""
    if not rows:
        return None
    return {name: next((row[name] for row in rows if row[name] is not None), None) for name in rows[0]}
