"""The first page, and the panels that it fetches: each comes as soon as what it shows is answered."""

import datetime as dt
from collections import defaultdict

from flask import Blueprint, render_template

from pipelines.dashboard.context import period, today, warehouse
from pipelines.dashboard.messages import WAITS
from pipelines.dashboard.warehouse import Row
from pipelines.dashboard.words import endpoint_of

pages = Blueprint("overview", __name__)

BUCKETS = {name: words for name, (words, _, _) in WAITS.items()}
STEPS = {"messages": "To contacts", "sent": "Sent", "delivered": "Delivered", "read": "Read", "failed": "Failed"}


@pages.get("/")
def overview() -> str:
    """Show the frame at once; the panels come when they are answered."""
    chosen = period()
    return render_template("overview.html", period=chosen, is_of_today=chosen.last_day >= today())


@pages.get("/panels/totals")
def totals() -> str:
    """Count messages, people and who waits."""
    chosen = period()
    counts = _counted()["totals"]
    latest_day: dt.date | None = None
    if not counts["messages"]:
        latest = warehouse().first("latest_day", last_day=chosen.last_day)
        latest_day = latest["latest_day"] if latest else None
    return render_template("panels/totals.html", period=chosen, counts=counts, latest_day=latest_day)


@pages.get("/panels/activity")
def activity() -> str:
    """Count messages by time and source."""
    chosen = period()
    messages: dict[str, dict[str, int]] = defaultdict(dict)
    inbound: dict[str, int] = defaultdict(int)
    for row in warehouse().ask("activity", by_hour=chosen.by_hour, **chosen.parameters()):
        messages[row["source"]][row["moment"]] = row["messages"]
        inbound[row["moment"]] += row["inbound"]
    ranked = sorted(messages, key=lambda source: -sum(messages[source].values()))
    return render_template(
        "panels/activity.html",
        period=chosen,
        sources=ranked,
        rows=[
            (moment, [messages[source].get(moment, 0) for source in ranked], inbound[moment])
            for moment in chosen.moments()
        ],
    )


@pages.get("/panels/funnel")
def funnel() -> str:
    """Count how far messages to contacts came."""
    chosen = period()
    rows = _counted()["funnel"]
    sums = {step: sum(row[step] for row in rows) for step in (*STEPS, "without_receipt")}
    return render_template("panels/funnel.html", period=chosen, steps=STEPS, rows=rows, sums=sums)


@pages.get("/panels/responses")
def responses() -> str:
    """Count how long contacts waited for an answer."""
    chosen = period()
    counts = _counted()["responses"]
    return render_template("panels/responses.html", period=chosen, counts=counts, buckets=BUCKETS)


@pages.get("/panels/troubles")
def troubles() -> str:
    """Count raw events by outcome, and what failed."""
    chosen = period()
    when = {"since": chosen.since, "until": chosen.until}
    outcomes: dict[str, dict[str, int]] = defaultdict(dict)
    chosen_endpoint = endpoint_of(chosen.source)
    for row in warehouse().ask("outcomes", **when):
        if chosen_endpoint in {"", row["source"]}:
            outcomes[row["source"]][row["outcome"]] = row["events"]
    letters = [row for row in warehouse().ask("troubles", **when) if chosen_endpoint in {"", row["source"]}]
    return render_template("panels/troubles.html", period=chosen, outcomes=outcomes, letters=letters)


def _counted() -> Row:
    """Return what is counted of what was exchanged in the period: three panels show each a part of it."""
    (counted,) = warehouse().together("overview", **period().parameters())
    return counted
