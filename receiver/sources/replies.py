"""Replies, posted to be sent: `docs/sending.md` describes the endpoint for those who post.

They are made durable and published as any webhook is; nothing is sent from here.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Final, NoReturn

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from receiver.chatplugin.channels import CHANNELS
from receiver.config import PREFIX, Settings
from receiver.event_loop import in_thread
from receiver.replies.errors import refusal, refuse
from receiver.replies.keys import Keys, TakenError, UnknownError
from receiver.replies.queue import Waiting
from receiver.replies.store import open_store
from receiver.replies.tokens import NAME, Entry, from_settings
from receiver.web.intake import receive
from receiver.web.limits import takes_at_most
from schemas.archive_layout import REPLIES
from schemas.raw_event import RECEIVED_AT, format_received_at
from schemas.replies import (
    CHAT,
    IDEMPOTENCY_KEY,
    MAX_BODY_BYTES,
    MAX_DAYS_AHEAD,
    REPLY_ID,
    REPLY_TYPE,
    SOURCE,
    InvalidReplyError,
    Reply,
    decode_reply,
    idempotency_key,
    reply_id,
)

LARGE_BYTES: Final = 4 * 1024
"""A longer body is read in a thread: it may hold thousands of values."""

_log = logging.getLogger(__name__)


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the route, or None where nobody may post."""
    if settings.allows_unsigned(SOURCE):
        settings.problems.append(f"{PREFIX}ALLOW_UNSIGNED names {SOURCE!r}, which always needs a token")
    tokens = from_settings(settings)
    if tokens is None:
        return None
    archive = settings.text("ARCHIVE")
    if archive == "none":
        settings.problems.append(f"{PREFIX}{NAME} needs {PREFIX}ARCHIVE: keys of replies are kept beside it")
        return None
    keys = Keys(open_store(f"{archive.rstrip('/')}/{REPLIES}"))
    routes = Blueprint(SOURCE, __name__)
    routes.register_error_handler(HTTPException, _answer_as_json)

    @routes.post(f"/{SOURCE}", provide_automatic_options=False)
    @takes_at_most(MAX_BODY_BYTES)
    def post() -> Response:
        """Take a reply; the same key and body again get the same answer."""
        found = tokens.bearer(request.headers.get("Authorization", ""))
        if found is None:
            refuse(401, "invalid_token", "The bearer token is missing or not valid.")
        name, entry = found
        body = _body()
        key = idempotency_key(request.headers.get(IDEMPOTENCY_KEY))
        if key is None:
            refuse(400, "invalid_idempotency_key", f"{IDEMPOTENCY_KEY} must be 1 to 255 visible ASCII characters.")
        reply = _reply(body, entry)
        given_id = reply_id(name, key)
        _known(lambda: keys.register(given_id, body, lambda: _check_new(reply)))
        answer = jsonify({REPLY_ID: given_id})
        answer.status_code = 202
        moment = dt.datetime.now(dt.UTC)
        received = receive(
            SOURCE,
            verified_by=name,
            headers=(IDEMPOTENCY_KEY,),
            attributes={REPLY_ID: given_id, RECEIVED_AT: format_received_at(moment)},
            answer=answer,
        )
        if received.status_code == 503:
            _try_again()
        if not reply.sent_by_others:
            # Before it is acknowledged: what is posted after that comes after it.
            _known(lambda: keys.line_up(reply.conversation, Waiting(given_id, moment, body)))
        return received

    return routes


def _known(call: Callable[[], None]) -> None:
    """Make a call of the register.

    Raises:
        HTTPException: 409 where the key stands for another body, 503 where nothing is known.
    """
    try:
        call()
    except TakenError:
        refuse(409, "other_body", f"This {IDEMPOTENCY_KEY} was used with another body.")
    except UnknownError as error:
        _log.warning("not registered: %s", error, extra={"source": SOURCE})
        _try_again()


def _body() -> bytes:
    """Return the request's body.

    Raises:
        HTTPException: 413 where it is too long, 415 where it is not declared as JSON, 400 where it was cut off.
    """
    most = request.max_content_length = min(MAX_BODY_BYTES, request.max_content_length or MAX_BODY_BYTES)
    try:
        data = request.get_data()
    except RequestEntityTooLarge:
        refuse(413, "too_large", f"The body must not be longer than {most} bytes.")
    if request.mimetype != REPLY_TYPE:
        refuse(415, "not_json", f"The content type must be {REPLY_TYPE}.")
    if (request.content_length or 0) != len(data):
        # Before its key stands for it.
        refuse(400, "cut_off", "The body was cut off.")
    return data


def _reply(body: bytes, entry: Entry) -> Reply:
    """Return what a body says.

    Raises:
        HTTPException: 400 where it is no reply, 403 where this token may not reply on its channel.
    """
    try:
        reply = in_thread(lambda: decode_reply(body)) if len(body) > LARGE_BYTES else decode_reply(body)
    except InvalidReplyError as error:
        refuse(400, "invalid_reply", str(error))
    if not entry.may_reply(reply.source, reply.channel):
        refuse(403, "other_channel", "This token may not reply on this channel.")
    return reply


def _check_new(reply: Reply) -> None:
    """Make sure that a new reply can be sent, and can be sent yet.

    Raises:
        HTTPException: 400, if not.
    """
    if reply.source == CHAT and reply.channel not in current_app.extensions.get(CHANNELS, ()):
        refuse(400, "unknown_channel", "There is no such channel of the live chat.")
    if reply.expires_at is None or reply.sent_by_others:
        return
    now = dt.datetime.now(dt.UTC)
    if reply.expires_at <= now:
        refuse(400, "expired", "expires_at has passed.")
    if reply.expires_at > now + dt.timedelta(days=MAX_DAYS_AHEAD):
        refuse(400, "too_far_ahead", f"expires_at is more than {MAX_DAYS_AHEAD} days ahead.")


def _try_again() -> NoReturn:
    refuse(503, "unavailable", "The reply could not be stored: try again with the same key.")


def _answer_as_json(error: HTTPException) -> Response:
    """Answer what Flask itself refuses as we refuse everything else."""
    code = (error.name or "error").lower().replace(" ", "_")
    return refusal(error.code or 500, code, error.description or error.name)
