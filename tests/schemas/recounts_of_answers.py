"""Recounts of the cookbook's recipes about answers, sessions and how far messages come."""

import datetime as dt
import itertools
from collections import Counter
from fractions import Fraction

from recipe_truth import (
    Answers,
    Quantile,
    Row,
    Views,
    answers,
    by,
    days_ago,
    known,
    nulls_first,
    rounded,
    seconds,
    week_of,
)


@answers("How long do contacts wait for the first answer, by source?")
def _(views: Views) -> Answers:
    found = []
    for (source,), rows in sorted(by(views.conversations, "source").items()):
        if waits := known(rows, "first_response_seconds"):
            found.append((source, len(waits), *(Quantile(waits, percent, 60, 1) for percent in (50, 90))))
    return found


@answers("How long do nine of ten contacts wait for the first answer, by hour and channel?")
def _(views: Views) -> Answers:
    names = {row["channel_id"]: (row["source"], row["source_channel_id"]) for row in views.channels}
    firsts = [row for row in views.response_times if row["is_first"]]
    hours = by(firsts, lambda row: names[row["channel_id"]], lambda row: row["asked_at"].astimezone(dt.UTC).hour)
    found = [
        (*channel, hour, len(rows), Quantile(known(rows, "response_seconds"), 90, 60, 1))
        for (channel, hour), rows in hours.items()
    ]
    return sorted(found, key=lambda each: (-each[3], *each[:3]))[:6]


@answers("How are response times distributed?")
def _(views: Views) -> Answers:
    def answered(row: Row) -> str:
        if row["answered_at"] is None:
            return "5: no answer yet"
        waited = seconds(row["answered_at"], row["asked_at"])
        steps = ((600, "1: under 10 minutes"), (3600, "2: under an hour"), (86_400, "3: under a day"))
        return next((words for limit, words in steps if waited < limit), "4: a day or more")

    return sorted(Counter(map(answered, views.response_times)).items())


@answers("What share of questions is answered within an hour, by week?")
def _(views: Views) -> Answers:
    found = []
    for (week,), rows in sorted(by(views.response_times, lambda row: week_of(row["asked_date"])).items()):
        soon = [row for row in rows if row["answered_at"] and seconds(row["answered_at"], row["asked_at"]) <= 3600]
        found.append((week, len(rows), rounded(Fraction(len(soon), len(rows)), 2)))
    return found


@answers("How fast were answers on certain days, without reading all of history?")
def _(views: Views) -> Answers:
    waits: dict[str, list[Fraction]] = {}
    lately = [row for row in views.messages if row["sent_date"] >= days_ago(3)]
    for rows in by(lately, "conversation_id").values():
        asked = None
        for row in sorted(rows, key=lambda row: (row["sent_at"], row["direction"], row["message_id"])):
            if row["direction"] == "inbound":
                asked = asked or row["sent_at"]
            elif asked:
                waits.setdefault(row["source"], []).append(seconds(row["sent_at"], asked))
                asked = None
    return [
        (source, len(waited), rounded(Fraction(sum(map(int, waited)), 60 * len(waited)), 1))
        for source, waited in sorted(waits.items())
    ]


@answers("How many sessions are there if a silence of 72 hours ends one?")
def _(views: Views) -> Answers:
    conversations, sessions = Counter(), Counter()
    for (source, _), rows in by(views.messages, "source", "conversation_id").items():
        times = sorted(row["sent_at"] for row in rows)
        silences = (seconds(later, earlier) for earlier, later in itertools.pairwise(times))
        conversations[source] += 1
        sessions[source] += 1 + sum(silence >= 72 * 3600 for silence in silences)
    found = [(source, number, sessions[source]) for source, number in conversations.items()]
    return sorted(found, key=lambda each: (-each[2], each[0]))


@answers("How far do our messages come, by source?")
def _(views: Views) -> Answers:
    steps = ("messages", "only_receipts", "without_receipt", "sent", "delivered", "read", "failed")
    return [
        (source, *(sum(row[step] for row in rows) for step in steps))
        for (source,), rows in sorted(by(views.delivery_funnel, "source").items())
    ]


@answers("Which errors keep messages from arriving?")
def _(views: Views) -> Answers:
    failed = [row for row in views.delivery_states if row["failed_at"]]
    found = [
        (*what, len(rows), max(row["failed_at"] for row in rows))
        for what, rows in by(failed, "source", "state", "error").items()
    ]
    return sorted(found, key=lambda each: (-each[3], each[0], each[1], nulls_first(each[2])))


@answers("What share of the delivered messages is read, by source?")
def _(views: Views) -> Answers:
    lately = [row for row in views.delivery_funnel if row["sent_date"] >= days_ago(7)]
    found = []
    for (source,), rows in sorted(by(lately, "source").items()):
        delivered, read = (sum(row[step] for row in rows) for step in ("delivered", "read"))
        if delivered:
            found.append((source, delivered, rounded(Fraction(read, delivered), 2)))
    return found


@answers("How long until a message is read?")
def _(views: Views) -> Answers:
    read = by((row for row in views.messages_current if row["read_at"]), "source")
    return [
        (source, len(rows), Quantile([int(seconds(row["read_at"], row["sent_at"])) for row in rows], 50))
        for (source,), rows in sorted(read.items())
    ]
