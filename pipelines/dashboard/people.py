"""The list of people across sources, and the page of one: every contact, every conversation, one timeline."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request

from pipelines.dashboard import as_csv, reader
from pipelines.dashboard.context import day, key, period, warehouse
from pipelines.dashboard.lookups import contacts_of, texts_of
from pipelines.dashboard.period import END_OF_TIME, Period
from pipelines.dashboard.readable import looked_for
from pipelines.dashboard.warehouse import Row
from pipelines.dashboard.zone import local

pages = Blueprint("people", __name__, url_prefix="/people")

LIST_SIZE: Final = 25
COLUMNS: Final = ("person_id", "contact_id", "contacts", "messages", "last_seen_at")
PAGE_SIZE: Final = 50
SPAN: Final = dt.timedelta(days=6)
"""How far a page of a person reaches back from its day, as the reader of a conversation does."""
NEAR: Final = dt.timedelta(days=7)
"""How far around that it is looked for who is who, as `person.sql` does."""


@pages.get("/")
def people() -> str | Response:
    """List people, whoever was seen last first."""
    chosen = period()
    before, after_id = key("before", END_OF_TIME)
    contact, several = request.args.get("contact", "").strip(), request.args.get("several") == "1"
    is_file = as_csv.is_asked()
    size = as_csv.MOST_ROWS if is_file else LIST_SIZE
    found = warehouse().ask(
        "people_list",
        **chosen.parameters(),
        contact=looked_for(contact),
        several=several,
        before=before,
        after_id=after_id,
        page_size=size + 1,
    )
    shown, more = found[:size], found[size:]
    if is_file:
        return as_csv.answer("people", COLUMNS, shown)
    return render_template(
        "people.html",
        period=chosen,
        contact=contact,
        several=several,
        people=shown,
        is_first=before == END_OF_TIME,
        next_key=f"{shown[-1]['last_seen_at'].isoformat()},{shown[-1]['person_id']}" if more else None,
    )


@pages.get("/<contact_id>")
def person(contact_id: str) -> Response:
    """Show whoever a contact is: a week up to a day, that of the address or the period's last."""
    chosen = period()
    last_day = day("day", chosen.last_day)
    window = Period(last_day - SPAN, last_day)
    days = {"first_day": window.first_day, "last_day": window.last_day}
    before, before_id = key("before", END_OF_TIME)
    members = warehouse().ask("person", contact_id=contact_id, **days)
    # Who was not seen near these days may have been seen on others.
    told_ids = sorted({contact_id, *(row["told_contact_id"] for row in members)})
    asked_others = warehouse().begin("person_days", contact_ids=told_ids, **days)
    others = dict.fromkeys(("earlier_day", "later_day"))
    about = {"period": chosen, "window": window, "contact_id": contact_id}
    if not members:
        others.update(*asked_others.result())
        around = Period(window.first_day - NEAR, window.last_day + NEAR)
        return make_response(render_template("person_elsewhere.html", **about, around=around, others=others), 404)
    asked_contacts = contacts_of(told_ids, {row["last_seen_date"] for row in members})
    talks = warehouse().ask("person_talks", contact_ids=told_ids, **days)
    ids = [row["conversation_id"] for row in talks]
    keys = (
        warehouse().ask(
            "message_keys",
            conversation_ids=ids,
            before=before,
            before_id=before_id,
            page_size=PAGE_SIZE + 1,
            **days,
        )
        if ids
        else []
    )
    shown, more = keys[:PAGE_SIZE], keys[PAGE_SIZE:]
    since = shown[-1]["last_sent_at"] if more else window.since
    entries = _entries(talks, shown, since, min(before, window.until)) if ids else []
    others.update(*asked_others.result())
    contacts = asked_contacts()
    return make_response(
        render_template(
            "person.html",
            **about,
            contacts=_contacts(members, contacts),
            name=_called(contacts.values()),
            talks=_together(talks),
            talk_of={row["conversation_id"]: row for row in talks},
            days=[(date, list(group)) for date, group in groupby(entries, key=lambda each: local(each.at).date())],
            others=others,
            is_last=before == END_OF_TIME,
            next_key=f"{shown[-1]['last_sent_at'].isoformat()},{shown[-1]['message_id']}" if more else None,
        )
    )


def _entries(
    talks: Sequence[Row], keys: Sequence[Row], since: dt.datetime, until: dt.datetime
) -> list[reader.Entry]:
    """Return what was said and what happened in a person's conversations, in the order of time."""
    ids = [row["message_id"] for row in keys]
    stored_on = {row[name] for row in keys for name in ("first_sent_date", "sent_date")}
    texts = texts_of(ids, stored_on)
    metadata = warehouse().ask(
        "metadata",
        conversation_ids=[row["conversation_id"] for row in talks],
        message_ids=ids,
        first_day=min({since.date(), *stored_on}),
        last_day=max({(until - dt.timedelta(microseconds=1)).date(), *stored_on}),
    )
    # Stored in two partitions, it is shown once.
    said = {row["message_id"]: row for row in texts()}
    entries: list[reader.Entry] = []
    # Each for itself: what was read up to a time in one conversation says nothing of another.
    for members in _by_conversation(talks).values():
        own = {row["conversation_id"] for row in members}
        messages = [row for row in said.values() if row["conversation_id"] in own]
        subjects = {row["message_id"] for row in messages} | own
        known = [row for row in metadata if row["conversation_id"] in own or row["subject_id"] in subjects]
        found = reader.assemble(messages, known, sorted(own), since, until)
        for each in found:
            each.conversation_id = members[0]["conversation_id"]
        entries += found
    return sorted(entries, key=lambda entry: (entry.at, entry.id))


def _by_conversation(talks: Iterable[Row]) -> dict[str, list[Row]]:
    """Return what is told with several ids and is one conversation, together, by the one id."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in talks:
        found[row["resolved_conversation_id"]].append(row)
    return found


def _together(talks: Iterable[Row]) -> list[Row]:
    """Return each conversation once, with all that is said in it by any of its ids."""
    return [
        rows[0] | {"messages": sum(row["messages"] for row in rows), "day": max(row["day"] for row in rows)}
        for rows in _by_conversation(talks).values()
    ]


def _contacts(members: Iterable[Row], told: dict[str, Row]) -> list[Row]:
    """Return each contact of a person once, with every id that it was told with and what it is called."""
    found: dict[str, Row] = {}
    for row in members:
        known = found.setdefault(row["contact_id"], row | {"ids": [], "names": []})
        known["ids"].append(row["source_contact_id"])
        known["last_seen_date"] = max(known["last_seen_date"], row["last_seen_date"])
        named = told.get(row["told_contact_id"], {})
        names = (named.get(field) for field in ("display_name", "username", "phone_number"))
        known["names"] += [name for name in names if name and name not in known["names"] + known["ids"]]
    return list(found.values())


def _called(told: Iterable[Row]) -> Row | None:
    """Return of each field of a person's contacts the first that anything is said of."""
    rows = list(told)
    if not rows:
        return None
    return {name: next((row[name] for row in rows if row[name] is not None), None) for name in rows[0]}
