"""How `POST /replies` says no: a status and a JSON body with a constant code."""

import logging
from typing import Final, NoReturn

from flask import Response, abort, jsonify

from receiver import metrics
from schemas.replies import SOURCE

_log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 5


def refusal(status: int, code: str, message: str) -> Response:
    """Return an answer that refuses; `code` is for programs and metrics, `message` for people."""
    response = jsonify({"error": code, "message": message})
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def refuse(status: int, code: str, message: str) -> NoReturn:
    """Refuse a request.

    Raises:
        HTTPException: always, with a JSON body.
    """
    metrics.REJECTED.labels(SOURCE, code).inc()
    _log.info("refused: %s", code, extra={"source": SOURCE})
    abort(refusal(status, code, message))
