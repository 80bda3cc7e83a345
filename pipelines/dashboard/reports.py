"""What messages cost, what they brought and who answered: the page of reports, and its panels."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from flask import Blueprint, abort, render_template

from pipelines.dashboard.context import period, today, warehouse
from pipelines.dashboard.warehouse import Row

pages = Blueprint("reports", __name__)


class Column(NamedTuple):
    """A column of a table: the row's field, its heading, and how its values are shown."""

    field: str
    title: str
    kind: str = "number"
    """text, word (of a vocabulary), source, number, bad (a number that should be 0), duration, points or money."""

    @property
    def is_text(self) -> bool:
        """Whether it stands to the left."""
        return self.kind in {"text", "word", "source"}


class Panel(NamedTuple):
    """A part of the page that is asked for by itself."""

    title: str
    note: str
    columns: Sequence[Column]
    question: str
    empty: str
    """What to do where there is nothing."""


_SOURCE: Final = Column("source", "Source", "source")
_OF_SOURCE: Final = Column("of_source", "Source", "source")
"""Of all sources where it is empty."""
PANELS: Final = {
    "sessions": Panel(
        "Sessions",
        "Stretches of a conversation that began in the period and end with 24 hours of silence; half of "
        "them, and nine of ten, had their first answer within that time, whoever wrote it",
        (
            _OF_SOURCE,
            Column("sessions", "Sessions"),
            Column("median", "Half within", "duration"),
            Column("p90", "Nine of ten within", "duration"),
            Column("unanswered", "Unanswered", "bad"),
            Column("reopened", "Reopened"),
            Column("closed", "Closed"),
            Column("resolved", "Resolved for 7 days"),
            Column("came_back", "Came back"),
        ),
        "report_sessions",
        "No session began in this period.",
    ),
    "first-answers": Panel(
        "First answer of a human and of a bot",
        "In sessions that began in the period, from the contact’s first message; where nobody says who wrote, "
        "it is in neither",
        (
            _OF_SOURCE,
            Column("human_sessions", "By a human"),
            Column("human_median", "Half within", "duration"),
            Column("human_p90", "Nine of ten within", "duration"),
            Column("bot_sessions", "By a bot"),
            Column("bot_median", "Half within", "duration"),
            Column("bot_p90", "Nine of ten within", "duration"),
        ),
        "report_first_answers",
        "Of no answer in this period it is known who wrote it. Name apps and agents in the table actor_names, and "
        "say in replies who writes (actor).",
    ),
    "actors": Panel(
        "Who answered",
        "Messages to contacts by who wrote them, as far as anybody says",
        (
            _SOURCE,
            Column("actor_kind", "By", "word"),
            Column("actor_name", "Name", "text"),
            Column("messages", "Messages"),
            Column("conversations", "Conversations"),
        ),
        "report_actors",
        "Nothing went to contacts in this period of which more is known than its receipts.",
    ),
    "costs": Panel(
        "Costs",
        "Messages of which their sources say whether they are charged, by what they say",
        (
            _SOURCE,
            Column("direction", "Direction", "word"),
            Column("category", "Category", "word"),
            Column("pricing_type", "Type", "word"),
            Column("messages", "Messages"),
            Column("billable", "Billable"),
            Column("charged", "Charged"),
            Column("unpriced", "Without a price", "bad"),
            Column("cost_micros", "Cost", "money"),
        ),
        "report_costs",
        "No source told of a price in this period. WhatsApp does so in its statuses, and Twilio in its status "
        "callbacks: parley sources check says whether they come.",
    ),
    "templates": Panel(
        "Templates",
        "Messages that were sent as a template of a known name, and what became of them",
        (
            _SOURCE,
            Column("template", "Template", "text"),
            Column("language", "Language", "text"),
            Column("messages", "Messages"),
            Column("sent", "Sent"),
            Column("delivered", "Delivered"),
            Column("read", "Read"),
            Column("failed", "Failed", "bad"),
            Column("clicked", "Clicked"),
            Column("answered", "Answered in a day"),
        ),
        "report_templates",
        "No template of a known name was sent in this period. What Parley sends is known; what another system "
        "sends, where it reports that to Parley as sent_by_others.",
    ),
    "acquisitions": Panel(
        "How they came",
        "Contacts who came by an advertisement, a post or a link; what they bought, where a custom source says",
        (
            _SOURCE,
            Column("kind", "By", "word"),
            Column("headline", "Title", "text"),
            Column("campaign", "Campaign", "text"),
            Column("ad_id", "Id", "text"),
            Column("came", "Came"),
            Column("conversations", "Conversations"),
            Column("answered", "Answered"),
            Column("median", "Half within", "duration"),
            Column("conversions", "Conversions"),
            Column("value_micros", "Value", "money"),
        ),
        "report_acquisitions",
        "No source told of a referral in this period. Messenger and Instagram tell it where the app subscribes to "
        "messaging_referrals, WhatsApp and Twilio with the first message from an advertisement.",
    ),
    "handovers": Panel(
        "Handovers",
        "To whom conversations were passed",
        (
            _SOURCE,
            Column("kind", "What", "word"),
            Column("to_kind", "To", "word"),
            Column("to_name", "Name", "text"),
            Column("handovers", "Handovers"),
            Column("conversations", "Conversations"),
        ),
        "report_handovers",
        "No conversation was handed over in this period. Messenger, Instagram and WhatsApp tell it where the app "
        "subscribes to handovers, a custom source by handover.to.",
    ),
    "ratings": Panel(
        "Ratings",
        "What contacts thought of it, each on its own scale; low is below half of it, high from three quarters",
        (
            _SOURCE,
            Column("scale", "Scale", "text"),
            Column("ratings", "Ratings"),
            Column("points", "Mean", "points"),
            Column("low", "Low", "bad"),
            Column("middling", "Middling"),
            Column("high", "High"),
            Column("unreadable", "Off the scale"),
        ),
        "report_ratings",
        "Nobody was asked in this period, or nobody answered. Surveys of Messenger and Google, a form of WhatsApp "
        "with a field rating, csat or nps, and what a custom source reports under these names count.",
    ),
}
"""By name, in the order of the page."""


@pages.get("/reports/")
def reports() -> str:
    """Show the frame at once; the panels come when they are answered."""
    chosen = period()
    return render_template("reports.html", period=chosen, panels=PANELS, is_of_today=chosen.last_day >= today())


@pages.get("/panels/reports/<name>")
def panel(name: str) -> str:
    """Show what one panel counts."""
    if (shown := PANELS.get(name)) is None:
        abort(404)
    chosen = period()
    rows = warehouse().ask(shown.question, **chosen.parameters())
    return render_template(
        "panels/report.html", period=chosen, name=name, panel=shown, rows=rows, unpriced=_sum(rows, "unpriced")
    )


def _sum(rows: Iterable[Row], field: str) -> Any:
    return sum(row.get(field) or 0 for row in rows)
