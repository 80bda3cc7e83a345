"""What a request's body says in one place, read with bounds: its sender is not proven yet."""

import functools
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from flask import Request
from msgspec import Raw

from receiver.event_loop import in_thread
from receiver.proofs.encodings import plain_body

FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 500
MAX_FORM_BYTES: Final = 256 * 1024
LARGE_FORM_BYTES: Final = 16 * 1024
"""A longer form is taken apart in a thread, each only once: each escape costs."""
LONGEST_VALUE: Final = 8 * 1024
"""Characters of a secret, a signature or a time in a body."""

LONGEST_SPELT: Final = 64 * 1024
"""The same of what a body spells in base64: a message."""

_FIELDS: Final = "parley.form"
_NOTHING: Final = Raw()
_STRING: Final = msgspec.json.Decoder(str)


def field(request: Request, pointer: str, longest: int = LONGEST_VALUE) -> str | None:
    """Return the text or number at a JSON Pointer of the body, or in a form's field; None where there is none."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    if request.mimetype == FORM:
        return dict(reversed(form(request))).get(steps[0]) if len(steps) == 1 else None
    try:
        found = Raw(plain_body(request))
        for step in steps:
            found = _step(step).decode(found).value
        return _scalar(found, longest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def form(request: Request) -> list[tuple[str, str]]:
    """Return a form's fields in their order; none of a form that is too long to be taken apart unproven."""
    if _FIELDS not in request.environ:
        body = plain_body(request)
        if request.mimetype != FORM or len(body) > MAX_FORM_BYTES or body.count(b"&") >= MAX_FIELDS:
            fields = []
        else:
            fields = in_thread(lambda: _parsed(body)) if len(body) > LARGE_FORM_BYTES else _parsed(body)
        request.environ[_FIELDS] = fields
    found: list[tuple[str, str]] = request.environ[_FIELDS]
    return found


def _parsed(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")


@functools.lru_cache(maxsize=256)
def _step(name: str) -> "msgspec.json.Decoder[Any]":
    """Return what reads one member of an object and skips the others, however many there are."""
    member = ("value", Raw, msgspec.field(default=_NOTHING, name=name))
    return msgspec.json.Decoder(msgspec.defstruct("Step", [member]))


def _scalar(value: Raw, longest: int) -> str | None:
    written = bytes(value).strip()
    if len(written) > longest:
        return None
    match written[:1]:
        case b'"':
            return _STRING.decode(written)
        case b"" | b"n" | b"{" | b"[":
            return None
        case _:
            return written.decode()
