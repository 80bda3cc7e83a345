"""`/chatplugin.events`: tells what is new in a conversation, and takes what a visitor does besides writing."""

import uuid
from typing import Annotated, Final, Literal

import msgspec
from flask import Blueprint, Response, jsonify, request
from msgspec import Meta
from werkzeug.exceptions import RequestEntityTooLarge

from receiver.answers.answers import Answers, Event
from receiver.answers.watch import Listener, TooManyError
from receiver.chatplugin.door import Door
from receiver.chatplugin.errors import SOURCE, refuse
from receiver.chatplugin.tokens import SEND, Visitor
from receiver.web.gateway import STREAM
from receiver.web.intake import receive
from receiver.web.limits import takes_at_most

STREAM_TYPE: Final = "text/event-stream"
MOST_WAIT_SECONDS: Final = 10
"""A server that is told to end waits for answers, and for no longer than this."""
RETRY_AFTER_SECONDS: Final = 30
MAX_EVENT_BYTES: Final = 4 * 1024
_MOST_DIGITS: Final = 9

MessageIds = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=50)]


class Told(msgspec.Struct, frozen=True):
    """What a visitor does besides writing."""

    event: Literal["seen", "typing"]
    message_ids: MessageIds | None = None
    """The answers that were seen."""
    on: bool | None = None
    """Whether they type."""
    sent_at: str | None = None


_TOLD: Final = msgspec.json.Decoder(Told)


def add_routes(routes: Blueprint, door: Door, answers: Answers | None) -> None:
    """Let visitors hear what is new, where there is a place to keep it."""

    @routes.get("/chatplugin.events", provide_automatic_options=False)
    def events() -> Response:
        """Tell what is new after the event that the browser knows, for as long as it wishes to hear."""
        door.enter()
        visitor = door.bearer(SEND)
        if answers is None:
            refuse(404, "no_answers", "This chat keeps no answers.")
        after = _number(request.headers.get("Last-Event-ID") or request.args.get("after", ""))
        if STREAM_TYPE in request.headers.get("Accept", ""):
            return _stream(answers, _listen(answers, visitor, door), after)
        seconds = min(_number(request.args.get("wait", "")), MOST_WAIT_SECONDS)
        if not seconds:
            return _json(after, answers.events(visitor, after))
        listener = _listen(answers, visitor, door)
        try:
            return _json(after, answers.wait(listener, after, seconds))
        finally:
            listener.close()

    @routes.post("/chatplugin.events", provide_automatic_options=False)
    @takes_at_most(MAX_EVENT_BYTES)
    def tell() -> Response:
        """Take what a visitor does besides writing: a raw event, as their messages are."""
        door.enter()
        visitor = door.bearer(SEND)
        door.pace_events(visitor)
        _check(_body())
        received = receive(
            SOURCE,
            verified_by="chatplugin-token",
            attributes={
                "channel_id": visitor.channel_id,
                "conversation_id": visitor.conversation_id,
                # So that two visitors who do the same do not pass for one request that came twice.
                "message_id": str(uuid.uuid4()),
            },
            anonymous=True,
            answer=jsonify({}),
        )
        if received.status_code == 503:
            refuse(503, "unavailable", "This could not be stored.", 5)
        return received

    @routes.route("/chatplugin.events", methods=["OPTIONS"])
    def preflight_of_events() -> Response:
        """Let browsers know which origins may ask."""
        return door.preflight()


def _body() -> bytes:
    """Return the request's body.

    Raises:
        HTTPException: 413 where it is too long, 415 where it is not declared as JSON.
    """
    request.max_content_length = MAX_EVENT_BYTES
    try:
        data = request.get_data()
    except RequestEntityTooLarge:
        refuse(413, "too_large", f"The body must not be longer than {MAX_EVENT_BYTES} bytes.")
    if request.mimetype != "application/json":
        refuse(415, "not_json", "The content type must be application/json.")
    return data


def _check(body: bytes) -> None:
    """Make sure that a body says what a visitor does.

    Raises:
        HTTPException: 400, if not.
    """
    try:
        told = _TOLD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        refuse(400, "invalid_request", str(error))
    # The body is kept as it is: what it leaves out, no row could say.
    if told.event == "seen" and told.message_ids is None:
        refuse(400, "invalid_request", "message_ids is missing.")
    if told.event == "typing" and told.on is None:
        refuse(400, "invalid_request", "on is missing.")


def _listen(answers: Answers, visitor: Visitor, door: Door) -> Listener:
    try:
        return answers.listen(visitor, door.address())
    except TooManyError:
        refuse(503, "too_many_streams", "Too many wait for answers: ask now and then.", RETRY_AFTER_SECONDS)


def _stream(answers: Answers, listener: Listener, after: int) -> Response:
    response = Response(answers.stream(listener, after), content_type=STREAM_TYPE)
    # Also of a stream that nobody has begun to read.
    response.call_on_close(listener.close)
    # Proxies that gather an answer before they pass it on are asked not to.
    response.headers["X-Accel-Buffering"] = "no"
    request.environ[STREAM] = True
    return response


def _json(after: int, events: list[Event]) -> Response:
    last = max((each["id"] for each in events if "id" in each), default=after)
    body = msgspec.json.encode({"events": events, "last_event_id": last})
    return Response(body, content_type="application/json")


def _number(text: str) -> int:
    """Return a number that a browser gives back to us; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
