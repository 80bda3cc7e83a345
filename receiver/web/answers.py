"""Answers that a custom source declares: handshakes, pings, and what a sender wants to hear of an event.

A source without any is not asked: the way of an ordinary webhook has no step for them.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from flask import Request, Response

from receiver.proofs.encodings import plain_body
from receiver.proofs.fields import field
from receiver.proofs.places import placed
from receiver.proofs.signatures import matches_any
from schemas.answer_tables import Answer, Echo

LONGEST_HANDSHAKE: Final = 64 * 1024
"""Bytes of a body in which a handshake is looked for: only events are longer."""
LONGEST_ECHO: Final = 4096


class Given(NamedTuple):
    """What a request is answered."""

    response: Response
    keep: bool


class Answers:
    """The answers of one source, the first that fits counting."""

    def __init__(self, answers: Sequence[Answer], verify_tokens: Sequence[str]) -> None:
        self._unproven = [answer for answer in answers if not answer.proven]
        self._proven = [answer for answer in answers if answer.proven]
        self._tokens = verify_tokens

    def before_proof(self, request: Request) -> Response | None:
        """Return the answer to what the source's sender does not sign, if it is that."""
        given = self._first(self._unproven, request) if self._unproven else None
        return given.response if given else None

    def after_proof(self, request: Request) -> Given | None:
        """Return the answer to a request that is proven; None for an event with the usual one."""
        return self._first(self._proven, request) if self._proven else None

    def _first(self, answers: Sequence[Answer], request: Request) -> Given | None:
        for answer in answers:
            if _is_meant(answer, request) and self._verifies(answer, request):
                response = _response(answer, request)
                if response is not None:
                    return Given(response, answer.keep)
        return None

    def _verifies(self, answer: Answer, request: Request) -> bool:
        return answer.verify is None or matches_any(placed(request, answer.verify), self._tokens)


def _is_meant(answer: Answer, request: Request) -> bool:
    if request.method != answer.method:
        return False
    if answer.field is not None:
        body = plain_body(request)
        # A look at the bytes: an event is seldom read for it.
        if len(body) > LONGEST_HANDSHAKE or (answer.equals or "").encode() not in body:
            return False
    if answer.field is None and answer.query is None and answer.header is None:
        return True
    given = _text(answer, request)
    return given is not None and (answer.equals is None or given == answer.equals)


def _text(place: Answer | Echo, request: Request) -> str | None:
    if place.header is not None:
        return request.headers.get(place.header)
    if place.query is not None:
        return request.args.get(place.query)
    return field(request, place.field or "/")


def _response(answer: Answer, request: Request) -> Response | None:
    """Return an answer, never as a page: what is repeated is a stranger's text."""
    text, is_json = answer.body, answer.body[:1] in {"{", "["}
    if answer.echo is not None:
        repeated = _text(answer.echo, request)
        if repeated is None or len(repeated) > LONGEST_ECHO:
            return None
        is_json = answer.echo.name is not None
        text = json.dumps({answer.echo.name: repeated}) if is_json else repeated
    response = Response(
        text, answer.status, content_type="application/json" if is_json else "text/plain; charset=utf-8"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
