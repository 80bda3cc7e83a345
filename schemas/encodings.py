"""Bodies that a sender has compressed: what they were before, never more than is allowed.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
"""

import zlib
from typing import Final

KNOWN: Final = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP: Final = 16 + zlib.MAX_WBITS
MOST_MEMBERS: Final = 64
"""Members of one gzip body: each costs, however little it holds."""


class EncodingError(ValueError):
    """A body is not what its Content-Encoding says, is cut off, or would become too large."""


def is_encoded(encoding: str) -> bool:
    """Say whether a Content-Encoding changes the body."""
    return encoding.strip().lower() not in {"", "identity"}


def decoded(data: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return what a body was before it was compressed.

    Raises:
        EncodingError: it was compressed in no known way, is not whole, or would have more than `most_bytes`.
    """
    kind = encoding.strip().lower()
    if not is_encoded(kind):
        return data
    if kind not in KNOWN:
        raise EncodingError(f"the content encoding {kind[:40]!r} is none of gzip and deflate")
    try:
        if kind != "deflate":
            return _inflated(data, _GZIP, most_bytes)
        try:
            return _inflated(data, zlib.MAX_WBITS, most_bytes)
        except zlib.error:
            # Some senders leave the frame away.
            return _inflated(data, -zlib.MAX_WBITS, most_bytes)
    except zlib.error as error:
        raise EncodingError(f"not {kind}: {error}") from error


def _inflated(data: bytes, bits: int, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = most_bytes
    for _ in range(MOST_MEMBERS):
        inflater = zlib.decompressobj(bits)
        part = inflater.decompress(data, left + 1)
        if len(part) > left:
            raise EncodingError(f"more than {most_bytes:,} bytes when it is no longer compressed")
        if not inflater.eof:
            raise EncodingError("the compressed body is cut off")
        parts.append(part)
        left -= len(part)
        data = inflater.unused_data
        if not data or bits != _GZIP:
            return b"".join(parts)
    raise EncodingError(f"more than {MOST_MEMBERS} members of gzip")
