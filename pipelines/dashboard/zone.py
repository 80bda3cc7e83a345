"""In which time zone the pages tell times: what the reader has chosen, kept by the reader's own browser."""

import datetime as dt
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Flask, abort, has_request_context, redirect, request
from markupsafe import Markup

pages = Blueprint("zone", __name__)

COOKIE: Final = "zone"
UTC: Final = "UTC"
_YEAR: Final = 365 * 86_400
_LONGEST: Final = 64


def init_app(app: Flask) -> None:
    """Let the pages of an app tell times in a zone, and let a reader choose it."""
    app.register_blueprint(pages)
    app.context_processor(lambda: {"zone": str(chosen())})


@pages.get("/zone")
def choose() -> Any:
    """Remember a zone, and go back to the page on which it was chosen."""
    name = request.args.get("name", "").strip()
    zone = find(name or UTC)
    if zone is None:
        abort(400, Markup("There is no time zone {!r}: it is called as Europe/Berlin is.").format(name))
    try:
        back = urlsplit(request.args.get("back", "/"))
    except ValueError:
        back = urlsplit("/")
    # A page of this dashboard, and of no other site.
    path = "/" + back.path.lstrip("/\\")
    answer = redirect(f"{path}?{back.query}" if back.query else path, 303)
    answer.set_cookie(COOKIE, str(zone), max_age=_YEAR, httponly=True, samesite="Strict")
    return answer


def chosen() -> ZoneInfo:
    """Return the zone of the running request; UTC where none was chosen, or one that is not known here."""
    name = request.cookies.get(COOKIE, UTC) if has_request_context() else UTC
    return find(name) or ZoneInfo(UTC)


def local(time: dt.datetime) -> dt.datetime:
    """Return a time as the reader's zone tells it."""
    return time.astimezone(chosen())


@lru_cache(maxsize=256)
def find(name: str) -> ZoneInfo | None:
    """Return a zone by its name in the time zone database, None where it has none such."""
    if len(name) > _LONGEST:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
