"""How long contacts waited: by source, weekday and hour, in business hours or always, beside the period before."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from flask import Blueprint, Flask, current_app, render_template, request

from pipelines.dashboard import words, zone
from pipelines.dashboard.business_hours import WEEKDAYS, BusinessHours
from pipelines.dashboard.context import period, warehouse
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Row

pages = Blueprint("response_times", __name__, url_prefix="/response-times")

TITLES: Final = {"source": "By source", "weekday": "By weekday", "hour": "By hour"}
_EXTENSION: Final = "parley-business-hours"
_NOTHING: Final[Row] = {"turns": 0, "unanswered": 0, "median": None, "p90": None}


class Line(NamedTuple):
    """One group of turns, in the period and in the one before."""

    name: str
    source: str
    """Whose turns they are; empty where they are not of one source."""
    now: Row
    before: Row


def init_app(app: Flask, hours: BusinessHours) -> None:
    """Let an app show response times, and count them in some hours of the week."""
    app.extensions[_EXTENSION] = hours
    app.register_blueprint(pages)


@pages.get("/")
def response_times() -> str:
    """Show how long contacts waited for turns that began in the period."""
    chosen = period()
    hours: BusinessHours = current_app.extensions[_EXTENSION]
    is_business = request.args.get("business") == "1"
    earlier = Period(
        chosen.first_day - dt.timedelta(days=chosen.days), chosen.first_day - dt.timedelta(days=1), chosen.source
    )
    how = {"zone": str(zone.chosen()), "in_business_hours": is_business, **hours.parameters()}
    asked_before = warehouse().begin("response_groups", **earlier.parameters(), **how)
    now = _by_dimension(warehouse().ask("response_groups", **chosen.parameters(), **how))
    before = _by_dimension(asked_before.result())
    all_turns = _lines("all", now, before, [""])
    return render_template(
        "response_times.html",
        period=chosen,
        earlier=earlier,
        hours=hours,
        is_business=is_business,
        total=all_turns[0],
        groups=[
            (TITLES[dimension], _lines(dimension, now, before, values) + all_turns)
            for dimension, values in (
                ("source", _ranked(now["source"], before["source"])),
                ("weekday", [str(number) for number in range(len(WEEKDAYS))]),
                ("hour", [str(number) for number in range(24)]),
            )
        ],
    )


def _by_dimension(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row["dimension"]][row["value"]] = row
    return found


def _ranked(now: dict[str, Row], before: dict[str, Row]) -> list[str]:
    """Return sources, the one with the most turns first."""
    return sorted({*now, *before}, key=lambda name: (-now.get(name, _NOTHING)["turns"], name))


def _lines(
    dimension: str, now: dict[str, dict[str, Row]], before: dict[str, dict[str, Row]], values: Sequence[str]
) -> list[Line]:
    return [
        Line(
            _name(dimension, value),
            value if dimension == "source" else "",
            now[dimension].get(value, _NOTHING),
            before[dimension].get(value, _NOTHING),
        )
        for value in values
    ]


def _name(dimension: str, value: str) -> str:
    if dimension == "source":
        return words.label(value)
    if dimension == "weekday":
        return WEEKDAYS[int(value)]
    return f"{int(value):02}:00" if dimension == "hour" else "All"
