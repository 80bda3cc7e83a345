"""What a compressed request says, where its proof or its handshake needs that: within the limit of any body."""

from typing import Final

from flask import Request

from receiver.event_loop import in_thread
from schemas.encodings import EncodingError, decoded, is_encoded

MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a body that is no longer compressed, before its sender is proven."""
_DECODED: Final = "parley.decoded_body"


def encoding_of(request: Request) -> str:
    """Return a request's Content-Encoding; empty where its body is as it is."""
    encoding: str = request.environ.get("HTTP_CONTENT_ENCODING", "")
    return encoding.strip().lower() if encoding and is_encoded(encoding) else ""


def plain_body(request: Request) -> bytes:
    """Return a request's body, no longer compressed; empty where it cannot be read so."""
    encoding = encoding_of(request)
    if not encoding:
        return request.get_data()
    if _DECODED not in request.environ:
        data = request.get_data()
        try:
            # A few bytes can become megabytes, and nobody is proven yet: others need not wait for it.
            request.environ[_DECODED] = in_thread(lambda: decoded(data, encoding, MOST_BYTES))
        except EncodingError:
            request.environ[_DECODED] = b""
    body: bytes = request.environ[_DECODED]
    return body
