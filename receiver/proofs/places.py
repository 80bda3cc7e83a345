"""Where a sender puts its signature, token and time: a header, a parameter of the URL, a field of the body."""

from collections.abc import Iterator
from typing import Final

from flask import Request

from receiver.proofs.fields import field
from schemas.proof_tables import Signed, Token

MOST_SIGNATURES: Final = 32
"""Signatures of one request: there are several while a secret is rotated."""
LONGEST_SIGNATURE: Final = 4096


def placed(request: Request, table: Signed | Token) -> str:
    """Return the text of the place that a table names; empty where there is none."""
    if table.header is not None:
        return request.headers.get(table.header, "")
    if table.query is not None:
        return request.args.get(table.query, "")
    return field(request, table.field or "/") or ""


def signatures(request: Request, table: Signed) -> list[str]:
    """Return the signatures that a request carries, without their prefix; none where there are too many."""
    written = placed(request, table)
    if len(written) > MOST_SIGNATURES * LONGEST_SIGNATURE:
        return []
    found = list(_parts(written, table.part)) if table.part else [written]
    if table.separator:
        found = [one for text in found for one in text.split(table.separator, MOST_SIGNATURES)]
    if len(found) > MOST_SIGNATURES:
        return []
    prefix = table.prefix
    return [one[len(prefix) :] for one in found if one.startswith(prefix) and len(one) > len(prefix)]


def timestamp(request: Request, table: Signed) -> str | None:
    """Return the time that a request tells, empty where it should and does not; None where a source has none."""
    if table.timestamp_header is not None:
        return request.headers.get(table.timestamp_header, "")
    if table.timestamp_query is not None:
        return request.args.get(table.timestamp_query, "")
    if table.timestamp_field is not None:
        return field(request, table.timestamp_field) or ""
    if table.timestamp_part is not None:
        return next(_parts(request.headers.get(table.header or "", ""), table.timestamp_part), "")
    return None


def _parts(header: str, name: str) -> Iterator[str]:
    """Yield the values of a name in a header such as `t=1,v1=abc`."""
    for part in header.split(",", MOST_SIGNATURES):
        key, _, value = part.strip().partition("=")
        if key == name:
            yield value
