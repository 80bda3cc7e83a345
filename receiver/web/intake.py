"""From a verified request to a durable raw event and the answer: what all sources share."""

import datetime as dt
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote

import uuid_utils
from flask import Flask, Response, abort, current_app, request

from receiver import metrics
from receiver.durable.committer import Committers, UnavailableError
from receiver.web.gateway import PROVEN, UNREADABLE
from schemas import raw_event
from schemas.raw_event import RawEvent

UNSIGNED: Final = "none"
RETRY_AFTER_SECONDS: Final = 5
KEPT_HEADERS: Final = ("User-Agent",)
MAX_VALUE_BYTES: Final = 1024
MAX_QUERY_PARTS: Final = 32

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

EXTENSION: Final = "committers"
_PRINTABLE: Final = "".join(map(chr, range(33, 127)))
_log = logging.getLogger(__name__)


def init_app(app: Flask, committers: Committers) -> None:
    """Let an app's sources hand their events to these committers."""
    app.extensions[EXTENSION] = committers


def receive(
    source: str,
    *,
    verified_by: str,
    answer: Response | None = None,
    headers: Collection[str] = (),
    attributes: dict[str, str] | None = None,
    anonymous: bool = False,
) -> Response:
    """Make the request durable as a raw event, then give the answer (by default an empty 200).

    `verified_by` names the scheme that proved the sender, `UNSIGNED` where there is none.
    `headers` are kept as attributes besides the ones kept of every source: never credentials,
    signatures or addresses. `attributes` hold what was verified and is not in the body. An
    `anonymous` sender is a person: then the headers of every source are not kept.

    Raises:
        HTTPException: 400 for a body that was cut off, or a header to be kept that is no ASCII, 413 for a body
            over the limit, 414 for an endless query, 503 with Retry-After where the event could not be made
            durable.
    """
    body = request.get_data()
    environ = request.environ
    if environ.get("CONTENT_LENGTH") not in (None, "", str(len(body))):
        abort(400, "the body was cut off")
    kept = headers if anonymous else (*KEPT_HEADERS, *headers)
    if unreadable := environ.get(UNREADABLE):
        _refuse_unreadable(kept, unreadable)
    known = _attributes(environ, source, verified_by, kept)
    event = RawEvent(data=body, attributes=known | attributes if attributes else known)
    try:
        current_app.extensions[EXTENSION].commit(event)
    except UnavailableError as error:
        _log.warning("not durable: %s", error, extra={"source": source, "event_id": event.event_id})
        return try_again()
    if verified_by != UNSIGNED and not anonymous:
        environ[PROVEN] = True
    _log.debug("received", extra={"source": source, "event_id": event.event_id})
    return answer or Response(status=200, content_type="text/plain")


def try_again() -> Response:
    """Return the answer to what may be taken a little later: 503, with Retry-After."""
    unavailable = Response("try again\n", 503, content_type="text/plain")
    unavailable.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return unavailable


def reject(source: str, reason: str, *, status: int = 403, challenge: str = "") -> NoReturn:
    """Refuse a request whose sender is not proven, with a constant `reason` for the log.

    `challenge` tells the sender which credentials are wanted (`WWW-Authenticate`).

    Raises:
        HTTPException: of that status, always.
    """
    metrics.REJECTED.labels(source, reason).inc()
    _log.warning("rejected: %s", reason, extra={"source": source})
    if challenge:
        abort(Response("not proven\n", status, {"WWW-Authenticate": challenge}, content_type="text/plain"))
    abort(status)


def _refuse_unreadable(kept: Collection[str], unreadable: Collection[str]) -> None:
    """Refuse a request of which a header would be kept that is no visible ASCII: it must not be lost unseen.

    Raises:
        HTTPException: 400, if so.
    """
    lost = {name.lower() for name in kept}.intersection(unreadable)
    if lost:
        abort(400, f"the header {min(lost)} is no ASCII")


def _attributes(
    environ: "WSGIEnvironment", source: str, verified_by: str, headers: Collection[str]
) -> dict[str, str]:
    attributes = {
        raw_event.EVENT_ID: str(uuid_utils.uuid7()),
        raw_event.SOURCE: source,
        raw_event.RECEIVED_AT: raw_event.format_received_at(dt.datetime.now(dt.UTC)),
        raw_event.VERIFIED_BY: verified_by,
    }
    if content_type := environ.get("CONTENT_TYPE"):
        attributes[raw_event.CONTENT_TYPE] = _fit(content_type)
    for name in headers:
        # The environment itself: Flask's view of it costs several times as much.
        if value := environ.get(f"HTTP_{name.upper().replace('-', '_')}"):
            attributes[raw_event.HEADER_PREFIX + name.lower()] = _fit(value)
    if query := environ.get("QUERY_STRING"):
        attributes.update(_query_parts(query))
    return attributes


def _fit(value: str) -> str:
    """Return a header's value, cut to what Pub/Sub takes as an attribute."""
    if len(value) <= MAX_VALUE_BYTES and value.isascii():
        return value
    return value.encode("utf-8", "replace")[:MAX_VALUE_BYTES].decode("utf-8", "ignore")


def _query_parts(query: str) -> dict[str, str]:
    """Return the raw query, in as many attributes as its length needs: none of it may be lost."""
    query = quote(query, safe=_PRINTABLE, encoding="latin-1")
    if len(query) > MAX_QUERY_PARTS * MAX_VALUE_BYTES:
        abort(414)
    parts = [query[i : i + MAX_VALUE_BYTES] for i in range(0, len(query), MAX_VALUE_BYTES)]
    return dict(zip(raw_event.query_names(), parts, strict=False))
