"""What a page asks with, and for when: the warehouse of the running app, and the period of the request."""

import datetime as dt
from collections.abc import Callable

from flask import Flask, current_app, request
from werkzeug.exceptions import BadRequest

from pipelines.dashboard.period import Period, parse_day
from pipelines.dashboard.warehouse import Warehouse

_EXTENSION = "parley-dashboard"


def init_app(
    app: Flask, warehouse: Warehouse, today: Callable[[], dt.date], now: Callable[[], dt.datetime]
) -> None:
    """Let the pages of an app ask a warehouse; `today` is the last day of a period that does not say."""
    app.extensions[_EXTENSION] = (warehouse, today, now)


def warehouse() -> Warehouse:
    """Return what answers the running app's questions."""
    found: Warehouse = current_app.extensions[_EXTENSION][0]
    return found


def today() -> dt.date:
    """Return the day that the running app takes for today."""
    day_of: Callable[[], dt.date] = current_app.extensions[_EXTENSION][1]
    return day_of()


def now() -> dt.datetime:
    """Return the time, as the running app tells it."""
    moment_of: Callable[[], dt.datetime] = current_app.extensions[_EXTENSION][2]
    return moment_of()


def period() -> Period:
    """Return the period of the running request.

    Raises:
        BadRequest: its address names none that can be.
    """
    try:
        return Period.from_query(request.args, today())
    except ValueError as error:
        raise BadRequest(str(error)) from None


def key(name: str, default: dt.datetime) -> tuple[dt.datetime, str]:
    """Return the key after which a page begins, of the address's `name`: a time, a comma and an id.

    Raises:
        BadRequest: it is no such key.
    """
    text, _, identity = request.args.get(name, "").partition(",")
    try:
        time = dt.datetime.fromisoformat(text) if text else default
        if text:
            parse_day(time.date().isoformat())
    except ValueError:
        raise BadRequest(f"{text!r} is no time.") from None
    if time.tzinfo is None:
        raise BadRequest(f"{text!r} has no time zone.")
    return time, identity


def day(name: str, default: dt.date) -> dt.date:
    """Return the day that the address's `name` says.

    Raises:
        BadRequest: it is no day.
    """
    try:
        return parse_day(request.args.get(name) or default.isoformat())
    except ValueError as error:
        raise BadRequest(str(error)) from None
