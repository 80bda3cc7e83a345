import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from pipelines.sources.json_body import DEEPEST, Body, fact_key, members, repaired, scalar, text

pytestmark = pytest.mark.thorough

LONE = rb'"\ud83d"'


class Document(Struct):
    items: list[Raw]


class Item(Struct):
    name: str = ""


DOCUMENT, ITEM = msgspec.json.Decoder(Document), msgspec.json.Decoder(Item)


def items(data: bytes) -> list[tuple[str, bytes]]:
    """Each item's name, as it is read, and its exact bytes."""
    body = Body(data)
    return [(body.decode(ITEM, part).name, body.exact(part)) for part in body.decode(DOCUMENT).items]


def document(*parts: bytes) -> bytes:
    return b'{"before": "x", "items" : [ ' + b" , ".join(parts) + b"]}\n"


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (rb'{"name": "\u00e4 \ud83d\ude00"}', "ä 😀"),
        (rb'{"name": "a\ud83d"}', "a\ufffd"),
        (rb'{"name": "\ude00a"}', "\ufffda"),
        (rb'{"name": "\ud83d\ud83d\ude00"}', "\ufffd😀"),
        (rb'{"name": "\\ud83d"}', r"\ud83d"),
        (rb'{"name": "a\u0000b"}', "a\ufffdb"),
        (b'{"name": "a\x00b\nc"}', "a b c"),
        (b'{"name": "a", "x": NaN, "y": [-Infinity, Infinity]}', "a"),
        (b'{"name": "NaN", "x": NaN}', "NaN"),
        (b'{"name": "a", "name": "b"}', "b"),
        (b'{"name": "a", "x": %s}' % (b"1" * 5000), "a"),
        (b'{"name": "a", "x": %s}' % nested(100_000), "a"),
        (b'{"x": {"y": %s}, "name": "[{\\"", "z": %s}' % (nested(2_000), nested(3)), '[{"'),
    ],
)
def test_odd_item_is_read_and_its_bytes_and_its_neighbours_stay_as_they_are(part, name):
    neighbours = [b'{"name": "left"}', rb'{"name": "right"}']
    assert items(document(neighbours[0], part, neighbours[1])) == [
        ("left", neighbours[0]),
        (name, part),
        ("right", neighbours[1]),
    ]


def test_byte_order_mark_is_no_part_of_the_body():
    assert items(b"\xef\xbb\xbf" + document(b'{"name": "a"}')) == [("a", b'{"name": "a"}')]
    assert items(b"\xef\xbb\xbf" + document(LONE, b"{}")[:0] + document(b'{"x": %s}' % LONE))[0][0] == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"items": [}',
        b'{"items": []} x',
        b'{"items": ["' + rb"\"" * 300_000,  # Read once: from each quote again, it would take hours.
        b'{"items": [' + b"[" * 5000,
        b'{"items": ["\\',
        b'{"items": [\\ud83d]}',
    ],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        Body(data).decode(DOCUMENT)


def test_wrong_shape_is_refused_without_another_try(monkeypatch):
    monkeypatch.setattr("pipelines.sources.json_body.repaired", pytest.fail)
    with pytest.raises(msgspec.ValidationError):
        Body(b'{"items": 7}').decode(DOCUMENT)


@pytest.mark.parametrize("data", [b"\x80" * 9, b"\x80{}", b" \n\x01", b"]["])
def test_what_begins_like_no_json_is_refused_without_another_try(data, monkeypatch):
    monkeypatch.setattr("pipelines.sources.json_body.repaired", pytest.fail)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        Body(data).decode(DOCUMENT)


def test_each_byte_that_is_no_utf_8_becomes_a_question_mark():
    assert repaired(b'{"a": "\xff\xe4b\xed\xa0\x80", "\xf0\x9f\x9a": 1}') == b'{"a": "??b???", "???": 1}'


def test_part_of_another_body_is_refused():
    (part,) = Body(document(b"{}")).decode(DOCUMENT).items
    other = Body(document(b'{"x": "\\u0000"}'))
    with pytest.raises(ValueError, match="not a part"):
        other.exact(part)


def test_nesting_is_read_down_to_the_deepest_level():
    data = b'{"x": ' + nested(DEEPEST - 1) + b"}"
    assert repaired(data) == data
    assert repaired(b'{"x": ' + nested(DEEPEST) + b"}").count(b"[") == DEEPEST - 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(json_values, st.booleans(), st.sampled_from([None, 2]))
def test_repaired_copy_of_any_json_has_the_same_length_and_is_strict_json(value, is_ascii, indent):
    data = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
    copy = repaired(data)
    assert len(copy) == len(data)
    msgspec.json.decode(copy)


@given(json_values)
def test_strict_json_without_nul_needs_no_repair(value):
    data = msgspec.json.encode(value) if not _has_surrogates(value) else b"{}"
    assert repaired(data) == data.replace(rb"\u0000", rb"\ufffd")


def _has_surrogates(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return True
    return False


@given(st.binary())
def test_anything_is_repaired_without_an_error_to_the_same_length(data):
    assert len(repaired(data)) == len(data)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'"a"', "a"),
        (rb'"\u00e4"', "ä"),
        (b"9007199254740993", "9007199254740993"),
        (b"1" * 400, "1" * 400),
        (b"1.50", "1.50"),
        (b"1e400", "1e400"),
        (b"true", "true"),
        (b"null", None),
        (b"{}", None),
        (b"[1]", None),
        (b"", None),
    ],
)
def test_scalar_is_text_as_it_is_written(written, read):
    assert scalar(Raw(written)) == read


def test_members_of_what_is_no_object_are_none():
    assert members(Body(b""), Raw(b"[1]")) == members(Body(b""), Raw(b"")) == {}


@pytest.mark.parametrize(("given_id", "read"), [("a", "a"), (7, "7"), (0, "0"), ("", None), (None, None)])
def test_id_is_text_and_an_empty_one_absent(given_id, read):
    assert text(given_id) == read


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("account_linking", "source.account_linking"),
        ("policy-enforcement", "source.policy_enforcement"),
        ("surveyResponse", "source.survey_response"),
        ("message.created", "source.message_created"),
        ("Über uns", "source.über_uns"),
        ("", "source.unknown"),
        ("..", "source.unknown"),
        ("x" * 200, "source." + "x" * 64),
    ],
)
def test_key_of_a_fact_is_the_name_in_snake_case(name, key):
    assert fact_key(name) == key
