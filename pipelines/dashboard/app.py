"""The Flask app: pages, questions and guards put together."""

import datetime as dt
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, render_template, request
from werkzeug.exceptions import HTTPException

from pipelines.dashboard import (
    answering,
    context,
    conversations,
    dead_letters,
    errors,
    messages,
    overview,
    people,
    raw_events,
    readable,
    reply_box,
    reports,
    response_times,
    runs,
    security,
    status,
    webhooks,
    words,
    zone,
)
from pipelines.dashboard.business_hours import BusinessHours
from pipelines.dashboard.spool import Receiver
from pipelines.dashboard.warehouse import UnansweredError, Warehouse
from pipelines.run.desk import Desk

WITH_FORM: Final = {
    *("overview.overview", "conversations.conversations", "messages.messages", "webhooks.webhooks"),
    *("dead_letters.dead_letters", "response_times.response_times", "people.people", "reports.reports"),
}
"""The pages that one asks by a form."""


def create_app(
    warehouse: Warehouse,
    archive: str | None = None,
    sources: Sequence[str] = (),
    today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date(),
    desk: Desk | None = None,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    receiver: Receiver | None = None,
    refresh: int = 0,
    hours: BusinessHours | None = None,
) -> Flask:
    """Return the dashboard of a warehouse.

    Args:
        warehouse: what answers its questions.
        archive: the archive's root, where whole raw events can be read; None where there is none.
        sources: custom sources, to choose from beside those that Parley knows.
        today: the last day of a period that does not say.
        desk: where answers are posted; nobody can answer without it.
        now: the time, by which a source takes answers or not.
        receiver: whose spool is shown; None where its metrics cannot be read.
        refresh: after how many seconds pages of today ask again; 0 for never.
        hours: the business hours; None for those on which most agree.
    """
    app = Flask("pipelines.dashboard")
    app.url_map.strict_slashes = False
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    context.init_app(app, warehouse, today, now)
    status.init_app(app, receiver, refresh)
    response_times.init_app(app, hours or BusinessHours.from_environment({}))
    app.config["ARCHIVE"] = archive
    security.init_app(app)
    zone.init_app(app)
    words.init_app(app)
    app.register_error_handler(UnansweredError, _say_unanswered)
    app.register_error_handler(HTTPException, _say_wrong)
    for word in (readable.linked, readable.excerpt, readable.place, readable.name):
        app.add_template_filter(word)
    app.jinja_env.globals["failure"] = errors.failure
    app.jinja_env.globals["long"] = readable.LONG
    names = {name: words.label(name) for name in (*words.SOURCES, *sources)}
    endpoints = words.endpoints(sources)
    app.context_processor(
        lambda: {"all_sources": names, "all_endpoints": endpoints, "shortcuts": _shortcuts(today())}
    )
    for part in (overview, conversations, people, messages, webhooks, raw_events, dead_letters, reports, runs):
        app.register_blueprint(part.pages)
    if desk is not None:
        reply_box.init_app(app, desk, now)
        app.register_blueprint(answering.pages)
    app.jinja_env.globals |= {"outcomes": webhooks.OUTCOMES, "kinds_of_messages": messages.KINDS}
    app.jinja_env.globals["can_answer"] = desk is not None
    return app


def _shortcuts(today: dt.date) -> list[tuple[str, dict[str, str]]]:
    days = {"Today": 1, "7 days": 7, "30 days": 30, "90 days": 90}
    return [
        (name, {"from": (today - dt.timedelta(days=count - 1)).isoformat(), "to": today.isoformat()})
        for name, count in days.items()
    ]


def _is_panel() -> bool:
    return request.path.startswith("/panels/")


def _say_unanswered(error: UnansweredError) -> Any:
    page = "unanswered_panel.html" if _is_panel() else "unanswered.html"
    headers = {"Retry-After": "3"} if error.will_pass else {}
    return render_template(page, error=error, typed=_typed()), 503 if error.will_pass else 502, headers


def _say_wrong(error: HTTPException) -> Any:
    typed = _typed() if error.code == HTTPStatus.BAD_REQUEST else None
    return render_template("wrong.html", error=error, typed=typed), error.code or 500


def _typed() -> dict[str, str] | None:
    """Return what the page's form was sent with, to be mended there; None where the page has none."""
    return request.args.to_dict() if request.endpoint in WITH_FORM else None
