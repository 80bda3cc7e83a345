import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.encodings import EncodingError, decoded

BODY = b'{"text": "hello hello hello"}'
RAW = zlib.compressobj(wbits=-15)
BARE = RAW.compress(BODY) + RAW.flush()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(BODY)),
        ("X-GZip ", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
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
        ("gzip", gzip.compress(BODY)[:-5], "cut off"),
        ("gzip", BODY, "not gzip"),
        ("gzip", b"", "cut off"),
        ("gzip", gzip.compress(BODY + b"x"), "more than 29 bytes"),
        ("gzip", gzip.compress(BODY) * 2, "more than 29 bytes"),
        ("gzip", gzip.compress(b"0" * 50_000_000), "more than 29 bytes"),
        ("gzip", gzip.compress(b"") * 65, "more than 64 members"),
        ("deflate", BODY, "not deflate"),
        ("br", BODY, "none of gzip and deflate"),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), "none of gzip and deflate"),
    ],
)
def test_what_is_not_whole_or_too_large_is_refused(encoding, data, what):
    with pytest.raises(EncodingError, match=what):
        decoded(data, encoding, len(BODY))


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "\xff"]))
def test_no_bytes_escape(data, encoding):
    with contextlib.suppress(EncodingError):
        assert len(decoded(data, encoding, 100)) <= 100
