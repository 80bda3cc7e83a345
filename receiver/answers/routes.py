"""`GET /chatplugin.events`: what is new in a visitor's conversation, as a stream or as one answer."""

from typing import Final

import msgspec
from flask import Blueprint, Response, request

from receiver.answers.answers import Answers, Event
from receiver.answers.watch import Listener, TooManyError
from receiver.chatplugin.door import Door
from receiver.chatplugin.errors import refuse
from receiver.chatplugin.tokens import SEND, Visitor
from receiver.web.gateway import STREAM

STREAM_TYPE: Final = "text/event-stream"
MOST_WAIT_SECONDS: Final = 25
RETRY_AFTER_SECONDS: Final = 30
_MOST_DIGITS: Final = 9


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

    @routes.route("/chatplugin.events", methods=["OPTIONS"])
    def preflight_of_events() -> Response:
        """Let browsers know which origins may ask."""
        return door.preflight()


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
