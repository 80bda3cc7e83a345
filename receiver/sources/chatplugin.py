"""The live chat on one's own web site, with the API of Airy's chat plugin.

`docs/sources/chatplugin.md` describes it for those who use it.
"""

import datetime as dt
import json
import re
import uuid
from typing import Any, Final, NoReturn

import msgspec
from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from receiver.answers.answers import NOTHING, Answers
from receiver.answers.routes import add_routes as add_events
from receiver.chatplugin import pages
from receiver.chatplugin.channels import CHANNELS, ChatSettings
from receiver.chatplugin.door import Door
from receiver.chatplugin.errors import SOURCE, refusal, refuse
from receiver.chatplugin.tokens import RESUME, SEND, Tokens, Visitor
from receiver.config import Settings
from receiver.event_loop import in_thread
from receiver.web.intake import receive
from receiver.web.limits import takes_at_most

MAX_BODY_BYTES: Final = 64 * 1024
LARGE_BYTES: Final = 4 * 1024
"""A longer body is read in a thread: it may hold thousands of values, and its visitor is not proven yet."""
MAX_NESTING: Final = 100
# https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: a string, so in quotes.
_KEY: Final = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')


def blueprint(settings: Settings) -> Blueprint | None:
    """Return the routes, or None where no live chat is configured."""
    chat = ChatSettings.from_settings(settings)
    if chat is None:
        return None
    tokens = Tokens(chat.secrets, chat.resume_days)
    door = Door(chat, tokens)
    answers = Answers.from_settings(settings)
    routes = Blueprint(SOURCE, __name__)
    routes.register_error_handler(HTTPException, _answer_as_json)
    # Whoever posts answers should hear of a channel that nobody visits.
    routes.record(lambda state: state.app.extensions.update({CHANNELS: frozenset(chat.channels)}))
    pages.add_routes(routes, chat.demo_channel)
    add_events(routes, door, answers)

    @routes.post("/chatplugin.authenticate", provide_automatic_options=False)
    @takes_at_most(MAX_BODY_BYTES)
    def authenticate() -> Response:
        """Open a conversation on a channel, or go on with the one that a resume token names."""
        door.enter()
        asked = _body()
        channel_id, resume_token = asked.get("channel_id"), asked.get("resume_token")
        if isinstance(resume_token, str):
            visitor = door.visitor(resume_token, RESUME)
            if channel_id is not None and channel_id != visitor.channel_id:
                refuse(403, "other_channel", "The resume token belongs to another channel.")
            history = answers.history(visitor) if answers else NOTHING
        elif isinstance(channel_id, str):
            door.check_channel(channel_id)
            visitor = Visitor(channel_id, str(uuid.uuid4()))
            # Nobody can have answered yet.
            history = NOTHING
        else:
            refuse(400, "invalid_request", "channel_id or resume_token is missing.")
        opened = {
            "token": tokens.issue(visitor, SEND),
            "resume_token": tokens.issue(visitor, RESUME),
            "conversation_id": visitor.conversation_id,
            "now": _now(),
            **msgspec.structs.asdict(history),
        }
        return Response(msgspec.json.encode(opened), content_type="application/json")

    @routes.post("/chatplugin.resumeToken", provide_automatic_options=False)
    @takes_at_most(MAX_BODY_BYTES)
    def resume_token() -> Response:
        """Give a token by which the visitor can come back days later."""
        door.enter()
        return jsonify(resume_token=tokens.issue(door.bearer(SEND), RESUME))

    @routes.post("/chatplugin.send", provide_automatic_options=False)
    @takes_at_most(MAX_BODY_BYTES)
    def send() -> Response:
        """Take a message; a retry with the same idempotency key is the same message."""
        door.enter()
        visitor = door.bearer(SEND)
        door.pace(visitor)
        body = _body()
        if body.get("message") is None:
            refuse(400, "invalid_request", "message is missing.")
        message_id = _message_id(visitor)
        received = receive(
            SOURCE,
            verified_by="chatplugin-token",
            attributes={
                "channel_id": visitor.channel_id,
                "conversation_id": visitor.conversation_id,
                "message_id": message_id,
            },
            anonymous=True,
            answer=jsonify(_message(body, message_id, visitor)),
        )
        if received.status_code == 503:
            refuse(503, "unavailable", "The message could not be stored: try again.", 5)
        return received

    @routes.route("/chatplugin.authenticate", methods=["OPTIONS"])
    @routes.route("/chatplugin.resumeToken", methods=["OPTIONS"])
    @routes.route("/chatplugin.send", methods=["OPTIONS"])
    def preflight() -> Response:
        """Let browsers know which origins may send what."""
        return door.preflight()

    return routes


def _body() -> dict[str, Any]:
    """Return the JSON object that the request holds.

    Raises:
        HTTPException: 413 where it is too long, 415 where it is not declared as JSON, 400 where it
            is not a JSON object.
    """
    request.max_content_length = min(MAX_BODY_BYTES, request.max_content_length or MAX_BODY_BYTES)
    try:
        data = request.get_data()
    except RequestEntityTooLarge:
        refuse(413, "too_large", f"The body must not be longer than {request.max_content_length} bytes.")
    if request.mimetype != "application/json":
        refuse(415, "not_json", "The content type must be application/json.")
    body = in_thread(lambda: _parsed(data)) if len(data) > LARGE_BYTES else _parsed(data)
    if not isinstance(body, dict):
        refuse(400, "invalid_request", "The body is not a JSON object.")
    return body


def _parsed(data: bytes) -> Any:
    """Return what a body holds; None where it is no JSON, or such as no answer could hold."""
    try:
        body = json.loads(data.decode(), parse_constant=_refuse_constant)
        _check_nesting(body)
        # A number beyond all bounds is read as infinite.
        json.dumps(body, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return body


def _check_nesting(value: Any) -> None:
    level = [value]
    for _ in range(MAX_NESTING):
        parts = [part for part in level if isinstance(part, dict | list)]
        level = [child for part in parts for child in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return
    raise ValueError("nested too deep")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _message_id(visitor: Visitor) -> str:
    """Return the message's id: the same for the same key in the same conversation, else a new one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return str(uuid.uuid4())
    key = _KEY.fullmatch(given)
    if key is None:
        refuse(400, "invalid_idempotency_key", "Idempotency-Key must be 1 to 255 visible characters.")
    return str(uuid.uuid5(uuid.UUID(visitor.conversation_id), key[1]))


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(body: dict[str, Any], message_id: str, visitor: Visitor) -> dict[str, Any]:
    """Return the message as Airy's API gives it back."""
    return {
        "id": message_id,
        "content": body["message"],
        "delivery_state": "delivered",
        "from_contact": True,
        "sent_at": body.get("sent_at") or _now(),
        "source": SOURCE,
        "sender": {"id": visitor.conversation_id},
        "metadata": {},
    }


def _answer_as_json(error: HTTPException) -> Response:
    """Answer what Flask itself refuses as we refuse everything else."""
    code = (error.name or "error").lower().replace(" ", "_")
    return refusal(error.code or 500, code, error.description or error.name)
