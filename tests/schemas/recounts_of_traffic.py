"""Recounts of the cookbook's recipes about volume, contacts and who they are."""

import datetime as dt
from collections import Counter
from fractions import Fraction

from recipe_truth import (
    Answers,
    Row,
    Views,
    answers,
    by,
    count,
    days_ago,
    different,
    known,
    monday_of,
    nulls_first,
    rounded,
    week_of,
)


def _came(row: Row) -> bool:
    return row["direction"] == "inbound"


@answers("How many messages came and went through each source?")
def _(views: Views) -> Answers:
    found = []
    for (source,), rows in by(views.messages, "source").items():
        sides = by(rows, "direction")
        came, went = (different(sides.get((side,), []), "message_id") for side in ("inbound", "outbound"))
        found.append((source, different(rows, "message_id"), came, went))
    return sorted(found, key=lambda each: (-each[1], each[0]))


@answers("At which hours do contacts write, by source?")
def _(views: Views) -> Answers:
    hours = by(filter(_came, views.messages), lambda row: row["sent_at"].astimezone(dt.UTC).hour)
    found = []
    for (hour,), rows in sorted(hours.items()):
        of = Counter(row["source"].partition(".")[0] for row in rows)
        found.append((hour, of["facebook"], of["instagram"], of["whatsapp"], of["twilio"], len(rows)))
    return found


@answers("What happened each day of one week?")
def _(views: Views) -> Answers:
    week = [row for row in views.daily_activity if row["sent_date"] >= days_ago(7)]
    columns = ("messages", "inbound_messages", "outbound_messages")
    return [
        (day, *(sum(row[column] for row in rows) for column in columns))
        for (day,), rows in sorted(by(week, "sent_date").items())
    ]


@answers("Which weekdays are the busiest?")
def _(views: Views) -> Answers:
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    days = by(views.daily_activity, lambda row: names[row["sent_date"].weekday()])
    found = [
        (name, sum(row["messages"] for row in rows), different(rows, "sent_date"))
        for (name,), rows in days.items()
    ]
    return sorted(found, key=lambda each: (-each[1], each[0]))


@answers("Which channels are used most?")
def _(views: Views) -> Answers:
    columns = ("source", "source_channel_id", "contacts", "conversations", "messages", "last_message_at")
    used = sorted(views.channels, key=lambda row: (-row["messages"], row["source"], row["source_channel_id"]))
    return [tuple(row[column] for column in columns) for row in used]


@answers("Who writes most?")
def _(views: Views) -> Answers:
    columns = ("source", "source_contact_id", "display_name", "inbound_messages", "last_message_at")
    most = sorted(views.contacts, key=lambda row: (-row["inbound_messages"], row["source_contact_id"]))
    return [tuple(row[column] for column in columns) for row in most[:5]]


@answers("How many contacts wrote for the first time, each day?")
def _(views: Views) -> Answers:
    wrote = by(filter(_came, views.messages), "contact_id").values()
    days = Counter(min(row["sent_at"] for row in rows).astimezone(dt.UTC).date() for rows in wrote)
    return [(day, number) for day, number in sorted(days.items()) if day >= days_ago(30)][:7]


@answers("Do contacts come back in the week after their first?")
def _(views: Views) -> Answers:
    weeks: dict[str, set[dt.date]] = {}
    for row in filter(_came, views.messages):
        weeks.setdefault(row["contact_id"], set()).add(monday_of(row["sent_date"]))
    began = Counter(min(wrote) for wrote in weeks.values())
    again = Counter(min(wrote) for wrote in weeks.values() if min(wrote) + dt.timedelta(days=7) in wrote)
    return [
        (week_of(week), number, again[week], rounded(Fraction(again[week], number), 2))
        for week, number in sorted(began.items())
    ]


@answers("On how many different days does a contact write?")
def _(views: Views) -> Answers:
    wrote = by(filter(_came, views.messages), "contact_id").values()
    return sorted(Counter(different(rows, "sent_date") for rows in wrote).items())


@answers("Of how many contacts is the name known, by source?")
def _(views: Views) -> Answers:
    return [
        (source, len(rows), len(known(rows, "display_name")))
        for (source,), rows in sorted(by(views.contacts, "source").items())
    ]


@answers("Who wrote on more than one source, and how is it known?")
def _(views: Views) -> Answers:
    found = []
    for person in views.people:
        if len(person["sources"]) > 1:
            links = sorted((link["contact_id"], link["kind"], link["evidence"]) for link in person["links"])
            known_by = ", ".join(f"{kind} {evidence}" for _, kind, evidence in links) or None
            sources, numbers = (", ".join(person[column]) for column in ("sources", "phone_numbers"))
            found.append((sources, person["display_name"], numbers, known_by, person["messages"]))
    return sorted(found, key=lambda each: (-each[4], each[2]))[:5]


@answers("Which conversations wait for an answer, the longest first?")
def _(views: Views) -> Answers:
    columns = ("source", "source_conversation_id", "waiting_since", "open_questions")
    waiting = [row for row in views.conversations if row["is_waiting"]]
    waiting.sort(key=lambda row: (nulls_first(row["waiting_since"]), row["source_conversation_id"]))
    return [tuple(row[column] for column in columns) for row in waiting[:6]]


@answers("How many open questions does each source have?")
def _(views: Views) -> Answers:
    found = [
        (source, len(rows), count(rows, lambda row: row["is_waiting"]), sum(row["open_questions"] for row in rows))
        for (source,), rows in by(views.conversations, "source").items()
    ]
    return sorted(found, key=lambda each: (-each[3], each[0]))
