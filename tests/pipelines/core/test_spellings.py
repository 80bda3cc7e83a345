"""Ids are found however they are spelt, and no others."""

import base64
import json
import re
from random import Random
from urllib.parse import quote

import pytest

from pipelines.core.spellings import Spellings, phone_forms

ID, OTHER = "4915550000101", "4915550000102"
SPELT = Spellings([ID, "ann7"])


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"\xff\xfb\xef"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_an_id_is_found_within_base64_and_its_neighbour_is_not(before, encode):
    assert SPELT.are_in(b"wamid." + encode(before + ID.encode() + b"\x15\x02") + b'"')
    assert not SPELT.are_in(b"wamid." + encode(before + OTHER.encode() + b"\x15\x02") + b'"')


@pytest.mark.parametrize(
    "written",
    [
        ID,
        "".join(f"\\u{ord(c):04X}" for c in ID),
        ID[:3] + "\\u0035" + ID[4:],
        json.dumps(json.dumps(ID[:3] + "X")).replace("X", "\\\\u0035" + ID[4:]),
        "%2B" + ID,
        "".join(f"%{ord(c):02x}" for c in ID),
        quote(quote("+" + ID)),
        "x\\nann7",
        "ann7",
        "%20ann7&",
    ],
)
def test_an_id_is_found_in_every_spelling(written):
    assert SPELT.are_in(written.encode())
    assert re.search(SPELT.pattern(), written)


@pytest.mark.parametrize("written", [OTHER, "joann7", "ann77", "\\u0034", "%2B", ""])
def test_nothing_else_is_found(written):
    assert not SPELT.are_in(written.encode())
    assert not re.search(SPELT.pattern(), written)


def test_letters_beyond_ascii_are_found_escaped_and_plain():
    spelt = Spellings(["müllerin😀"])

    for written in ("müllerin😀", json.dumps("müllerin😀"), quote("müllerin😀")):
        assert spelt.are_in(written.encode())
        assert re.search(spelt.pattern().encode(), written.encode())


def test_what_is_too_short_is_told():
    spelt = Spellings(["7", "", "ab", ID])

    assert (spelt.ids, spelt.left_out) == ([ID], ["7", "ab"])
    assert not Spellings([]).are_in(b"anything")


def test_a_number_has_the_forms_in_which_it_is_written():
    assert {"+4915550000101", "4915550000101", "+49 15550 000101"} <= phone_forms(ID)
    assert phone_forms("no number") == set()


def test_many_ids_are_found_as_each_of_them_is_by_its_expression():
    random = Random(4)
    ids = [f"4915{random.randrange(10**9):09}" for _ in range(60)] + ["a+b@example.org", "4915 550/000 77"]
    spelt, expression = Spellings(ids), re.compile(Spellings(ids).pattern().encode())
    ways = (
        lambda c: c,
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"\\\\\\u{ord(c):04X}",
        lambda c: f"%25{ord(c):02X}",
    )
    for known in (*ids, "4915000000000x"):
        written = "".join(random.choice(ways)(each) for each in known)
        # An escape before it may begin like the rest of one.
        for before in ("", "%", "%25", "\\u00", "100%", "\\"):
            data = f'{{"x":"{before}{written}"}}'.encode()
            assert spelt.are_in(data) == bool(expression.search(data)), data
        assert spelt.are_in(f" {written} ".encode()) == (known in ids)
