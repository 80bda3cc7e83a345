"""Recounts of the cookbook's recipes about who answered, what it cost, and what came of it."""

import datetime as dt
from collections import Counter
from fractions import Fraction
from typing import Any

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
    mean,
    monday_of,
    money,
    nulls_first,
    rounded,
)


def by_currency(group: tuple[tuple[Any, ...], list[Row]]) -> tuple[Any, ...]:
    """Return how a group sorts whose last part is the currency, which may be NULL."""
    *what, currency = group[0]
    return (*what, nulls_first(currency))


@answers("Who writes our messages?")
def _(views: Views) -> Answers:
    actors = by(
        views.actors, "source", lambda row: row["actor_kind"] or "nobody says", lambda row: row["actor_name"] or ""
    )
    found = [(*who, different(rows, "message_id")) for who, rows in actors.items()]
    return sorted(found, key=lambda each: (each[0], -each[3], *each[1:3]))


@answers("How fast does a human answer first, by source?")
def _(views: Views) -> Answers:
    found = []
    for (source,), rows in sorted(by(views.conversation_report, "source").items()):
        if waits := known(rows, "first_human_response_seconds"):
            minutes = (rounded(each / 60, 0) for each in (mean(waits), Fraction(max(waits))))
            found.append((source, len(waits), *minutes))
    return found


@answers("How did the sessions of each week go?")
def _(views: Views) -> Answers:
    since = monday_of(days_ago(0)) - dt.timedelta(days=14)
    began = [row for row in views.conversation_report if row["started_date"] >= since]
    return [
        (
            week,
            len(rows),
            count(rows, lambda row: row["session_number"] > 1),
            count(rows, lambda row: row["is_unanswered"]),
            sum(row["failed_messages"] for row in rows),
        )
        for (week,), rows in sorted(by(began, lambda row: monday_of(row["started_date"])).items())
    ]


@answers("How many sessions stayed resolved for seven days?")
def _(views: Views) -> Answers:
    found = []
    for (source,), rows in sorted(by(views.conversation_report, "source").items()):
        stayed = Counter(row["is_resolved_for_7_days"] for row in rows)
        found.append((source, stayed[True], stayed[False], stayed[None]))
    return found


@answers("Of how many messages is it known what they cost?")
def _(views: Views) -> Answers:
    def cost(row: Row) -> str:
        if row["cost_from"] is not None:
            return row["cost_from"]
        return "no rate fits" if row["is_charged"] else "nobody says"

    costs = by(views.message_costs, "source", "direction", cost, "currency")
    return [
        (*what, len(rows), money(known(rows, "cost_micros")), currency)
        for (*what, currency), rows in sorted(costs.items(), key=by_currency)
    ]


@answers("What do messages cost, by category?")
def _(views: Views) -> Answers:
    costs = by(
        views.message_costs,
        "source",
        lambda row: row["category"] or "none told",
        lambda row: row["pricing_model"] or "",
        "currency",
    )
    found = []
    for (*what, currency), rows in sorted(costs.items(), key=by_currency):
        charged = [row for row in rows if row["is_charged"]]
        priced = known(charged, "cost_micros")
        # Of charged messages without a price it is not known, even beside others that are free.
        spent = money(priced if charged else known(rows, "cost_micros"))
        found.append((*what, len(rows), len(charged), len(charged) - len(priced), spent, currency))
    return found


@answers("Which messages to contacts are free, and why?")
def _(views: Views) -> Answers:
    free = [row for row in views.message_costs if row["billable"] is False and row["pricing_type"]]
    found = [(*why, len(rows)) for why, rows in by(free, "pricing_type", "category").items()]
    return sorted(found, key=lambda each: (-each[2], each[0], nulls_first(each[1])))


@answers("What fails of each category?")
def _(views: Views) -> Answers:
    states = {row["message_id"]: row["state"] for row in views.delivery_states}
    priced = [row for row in views.message_costs if row["category"] and row["message_id"] in states]
    found = []
    for (category,), rows in by(priced, "category").items():
        failed = count(rows, lambda row: states[row["message_id"]] in {"failed", "undelivered", "canceled"})
        share = Fraction(failed, len(rows))
        found.append((round(share, 2), (category, len(rows), failed, rounded(share, 2))))
    return [row for _, row in sorted(found, key=lambda each: (-each[0], each[1][0]))]


@answers("Which templates are read, tapped on and answered?")
def _(views: Views) -> Answers:
    def share(part: int, whole: int) -> object:
        return rounded(Fraction(part, whole), 2) if whole else None

    sent = sorted(
        views.templates, key=lambda row: (-row["messages"], row["template"], nulls_first(row["language"]))
    )
    return [
        (
            *(row[column] for column in ("template", "language", "messages", "failed")),
            share(row["delivered"], row["messages"]),
            share(row["read"], row["delivered"]),
            row["clicked"],
            row["answered_within_day"],
        )
        for row in sent
    ]


@answers("How do templates stand, and what changed?")
def _(views: Views) -> Answers:
    columns = ("changed_at", "kind", "previous", "value", "reason")
    found = [
        (row["template"], *(change[column] for column in columns))
        for row in sorted(views.templates, key=lambda row: row["language"] or "")
        for change in row["history"]
    ]
    found.sort(key=lambda each: (each[0], each[2]))
    return sorted(found, key=lambda each: each[1], reverse=True)


@answers("Which advertisements bring people, and how fast are they answered?")
def _(views: Views) -> Answers:
    found = []
    for what, rows in by(views.acquisitions, lambda row: row["campaign"] or "none told", "source").items():
        waits = mean(known(rows, "first_response_seconds"))
        inbound, conversions = (sum(row[column] for row in rows) for column in ("inbound_messages", "conversions"))
        came = (len(rows), len(known(rows, "answered_at")), rounded(waits / 60 if waits is not None else None, 0))
        currencies = {*known(rows, "currency")}
        value = money(known(rows, "value_micros")) if len(currencies) < 2 else None
        currency = min(currencies) if len(currencies) == 1 else None
        found.append((*what, *came, inbound, conversions, value, currency))
    return sorted(found, key=lambda each: (-each[2], *each[:2]))


@answers("How do people come, day by day?")
def _(views: Views) -> Answers:
    lately = [row for row in views.acquisitions if row["came_date"] >= days_ago(7)]
    came = Counter((row["came_date"], row["kind"] or "nobody says") for row in lately)
    return [(*what, number) for what, number in sorted(came.items())]


@answers("What do contacts think of it?")
def _(views: Views) -> Answers:
    rated = [row for row in views.ratings if row["score"] is not None]
    return [
        (
            *what,
            len(rows),
            rounded(mean(known(rows, "points")), 2),
            rounded(mean(known(rows, "score")), 2),
            count(rows, lambda row: row["score"] < 0.5),
        )
        for what, rows in sorted(by(rated, "source", "scale").items())
    ]


@answers("What did the least content write?")
def _(views: Views) -> Answers:
    wrote = [row for row in views.ratings if row["remark"] is not None and row["rated_date"] >= days_ago(30)]
    wrote.sort(key=lambda row: (nulls_first(row["score"]), row["rated_at"], row["rating_id"]))
    columns = ("rated_at", "source", "scale", "points", "remark")
    return [tuple(row[column] for column in columns) for row in wrote[:10]]


@answers("To whom do conversations pass?")
def _(views: Views) -> Answers:
    lately = [row for row in views.handovers if row["handed_date"] >= days_ago(30)]
    passed = by(lately, "source", "kind", lambda row: row["to_name"] or row["to_id"] or "somebody")
    found = [(*whom, len(rows), different(rows, "conversation_id")) for whom, rows in passed.items()]
    return sorted(found, key=lambda each: (-each[3], *each[:3]))


@answers("How many sessions does the bot answer alone?")
def _(views: Views) -> Answers:
    answered = [row for row in views.conversation_report if row["outbound_messages"]]
    found = []
    for (source,), rows in sorted(by(answered, "source").items()):
        who = Counter(tuple(row[f"{each}_messages"] > 0 for each in ("bot", "human", "unknown")) for row in rows)
        both = who[True, True, False] + who[True, True, True]
        found.append((source, len(rows), who[True, False, False], both, who[False, True, False]))
    return found
