import contextlib
import functools
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.encodings import EncodingError, decoded

gzipped = functools.partial(gzip.compress, mtime=0)
"""A test has one name in all processes: no time is in it."""
BODY = b'{"text": "hello hello hello"}'
RAW = zlib.compressobj(wbits=-15)
BARE = RAW.compress(BODY) + RAW.flush()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzipped(BODY)),
        ("X-GZip ", gzipped(BODY[:9]) + gzipped(BODY[9:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", BARE),
        ("identity", BODY),
        ("", BODY),
    ],
)
def test_bodies_are_what_they_were(encoding, data):
    assert decoded(data, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    ("encoding", "data", "what"),
    [
        ("gzip", gzipped(BODY)[:-5], "cut off"),
        ("gzip", BODY, "not gzip"),
        ("gzip", b"", "cut off"),
        ("gzip", gzipped(BODY + b"x"), "more than 29 bytes"),
        ("gzip", gzipped(BODY) * 2, "more than 29 bytes"),
        ("gzip", gzipped(b"0" * 50_000_000), "more than 29 bytes"),
        ("gzip", gzipped(b"") * 65, "more than 64 members"),
        ("deflate", BODY, "not deflate"),
        ("br", BODY, "none of gzip and deflate"),
        ("gzip, gzip", gzipped(gzipped(BODY)), "none of gzip and deflate"),
    ],
)
def test_what_is_not_whole_or_too_large_is_refused(encoding, data, what):
    with pytest.raises(EncodingError, match=what):
        decoded(data, encoding, len(BODY))


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "\xff"]))
def test_no_bytes_escape(data, encoding):
    with contextlib.suppress(EncodingError):
        assert len(decoded(data, encoding, 100)) <= 100
