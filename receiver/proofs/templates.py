"""What is signed, put together from a request as a template says."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from flask import Request

from receiver.proofs.encodings import plain_body
from receiver.proofs.fields import LONGEST_SPELT, field, form
from schemas.proof_tables import split_template

Filler = Callable[[Request, str], bytes]
"""Returns what a field of a template stands for, in a request and by its name after the colon."""


class Template:
    """A template such as `v0:{timestamp}:{body}`, taken apart once."""

    def __init__(self, text: str) -> None:
        pieces = split_template(text)
        self._texts = [piece.encode() for piece in pieces[::2]]
        self._fields = [tuple(piece.partition(":")[::2]) for piece in pieces[1::2]]
        self._is_body = pieces == ["", "body", ""]
        self.has_url = ("url", "") in self._fields
        self.has_secret = ("secret", "") in self._fields
        self._has_plain = ("plain_body", "") in self._fields
        self._has_form = ("fields", "") in self._fields
        self._spelt = [pointer for name, pointer in self._fields if name == "base64"]

    def fits(self, request: Request) -> bool:
        """Say whether the template covers the body: fields cover a form alone, and nothing what cannot be read.

        A form that is too long to be taken apart has no fields: what is signed would be that of an empty one. So
        it is with what should be base64.
        """
        if self._has_plain and not plain_body(request) and request.get_data():
            return False
        if not all(_decoded_field(request, pointer) for pointer in self._spelt):
            return False
        return not self._has_form or bool(form(request)) or not request.get_data()

    def filled(self, request: Request, given: Mapping[str, str]) -> bytes:
        """Return what is signed; `given` are `timestamp`, `url` and `secret`, where there are."""
        if self._is_body:
            return request.get_data()
        parts = [self._texts[0]]
        for (name, argument), text in zip(self._fields, self._texts[1:], strict=True):
            parts.append(given[name].encode() if name in given else FILLERS[name](request, argument))
            parts.append(text)
        return b"".join(parts)


def _field(request: Request, pointer: str) -> bytes:
    return (field(request, pointer) or "").encode()


def _decoded_field(request: Request, pointer: str) -> bytes:
    """Return the bytes that a text of the body spells in base64; none where it does not."""
    spelt = field(request, pointer, LONGEST_SPELT) or ""
    try:
        return base64.b64decode(spelt, altchars=b"-_" if {"-", "_"} & set(spelt) else None, validate=True)
    except ValueError:
        return b""


def _body_sha256(request: Request, spelling: str) -> bytes:
    digest = hashlib.sha256(request.get_data())
    match spelling:
        case "raw":
            return digest.digest()
        case "base64":
            return base64.b64encode(digest.digest())
        case _:
            return digest.hexdigest().encode()


def _sorted_fields(request: Request, _: str) -> bytes:
    return "".join(name + value for name, value in sorted(form(request))).encode()


FILLERS: Final[Mapping[str, Filler]] = {
    "body": lambda request, _: request.get_data(),
    "plain_body": lambda request, _: plain_body(request),
    "body_sha256": _body_sha256,
    "fields": _sorted_fields,
    "path": lambda request, _: request.path.encode(),
    "query": lambda request, name: request.args.get(name, "").encode() if name else request.query_string,
    "method": lambda request, _: request.method.encode(),
    "header": lambda request, name: request.headers.get(name, "").encode(),
    "field": _field,
    "base64": _decoded_field,
}
"""What the fields of templates stand for."""
