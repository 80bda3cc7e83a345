"""Whether all is well now: when the last webhook came, how soon it was stored, and what waits in the receiver."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Flask, current_app, render_template

from pipelines.bigquery.target import ConfigurationError
from pipelines.dashboard.context import now, warehouse
from pipelines.dashboard.spool import Receiver, Spool
from pipelines.dashboard.warehouse import Row, UnansweredError

pages = Blueprint("status", __name__)

REFRESH: Final = "PARLEY_DASHBOARD_REFRESH_SECONDS"
DEFAULT_REFRESH: Final = 300
"""After how many seconds a page of today asks again; each time costs what its questions read."""
REACH: Final = dt.timedelta(days=2)
"""How far back the last webhook is looked for."""
AHEAD: Final = dt.timedelta(hours=1)
"""By how much the receiver's clock may be ahead of this one."""
LATE_SECONDS: Final = 300.0
"""What was stored later than that is worth a look."""
SPOOL_SECONDS: Final = 60.0
"""As docs/operations.md alerts."""
_EXTENSION: Final = "parley-receiver"


def init_app(app: Flask, receiver: Receiver | None, refresh: int) -> None:
    """Let an app ask a receiver what waits there, and its pages ask again after so many seconds; 0 for never."""
    app.extensions[_EXTENSION] = receiver
    app.jinja_env.globals["refresh_seconds"] = refresh
    app.register_blueprint(pages)


def refresh_seconds(environ: Mapping[str, str]) -> int:
    """Return after how many seconds pages ask again, as the environment says.

    Raises:
        ConfigurationError: it says something that is no number of seconds.
    """
    text = environ.get(REFRESH, "").strip() or str(DEFAULT_REFRESH)
    if not text.isascii() or not text.isdecimal():
        raise ConfigurationError(f"{REFRESH} is a number of seconds, 0 for never, not {text!r}")
    return int(text)


@pages.get("/panels/status")
def status() -> str:
    """Say it; also where BigQuery does not answer: then what waits in the receiver matters most."""
    moment, problem = now(), ""
    latest: Row | None = None
    try:
        latest = warehouse().first("latest_event", since=moment - REACH, until=moment + AHEAD)
    except UnansweredError as error:
        problem = str(error)
    receiver: Receiver | None = current_app.extensions[_EXTENSION]
    waiting: Spool | None = receiver.spool() if receiver else None
    return render_template(
        "panels/status.html",
        problem=problem,
        latest=latest,
        ago=max(0.0, (moment - latest["received_at"]).total_seconds()) if latest else None,
        is_late=bool(latest) and latest is not None and latest["lag_seconds"] > LATE_SECONDS,
        receiver=receiver,
        spool=waiting,
        is_stuck=waiting is not None and waiting.oldest_seconds > SPOOL_SECONDS,
    )
