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


@pytest.mark.parametrize("known", ["mue/ller", 'ann "the" ant', "back\\slash of ann"])
@pytest.mark.parametrize("write", [json.dumps, lambda known: json.dumps(json.dumps(known))])
def test_what_json_writes_with_a_backslash_is_found(known, write):
    for written in (write(known), write(known).replace("/", "\\/")):
        assert Spellings([known]).are_in(f'{{"x":{written}}}'.encode())
        assert not Spellings([f"{known[:-1]}X"]).are_in(f'{{"x":{written}}}'.encode())


@pytest.mark.parametrize("lengths", [(8, 9), (8, 20), (11, 12), (15, 40)])
def test_each_of_many_is_found_wherever_it_lies_and_nothing_else(lengths):
    random = Random(5)

    def word(length):
        return "".join(random.choice("01") for _ in range(length))

    ids = {word(random.randrange(*lengths)) for _ in range(12)}
    spelt = Spellings(ids)
    found = 0
    for _ in range(3_000):
        text = word(random.randrange(lengths[0], 60))
        found += spelt.are_in(text.encode())
        assert spelt.are_in(text.encode()) == any(known in text for known in ids)
    assert 0 < found < 3_000


def test_hints_find_what_is_found():
    random = Random(6)
    ids = [ID, "ann7", "müllerin", 'a "b"/c', "back\\slash of ann", "4f0c2e1d-0000-4000-8000-0123456789ab"]
    ways = (
        str,
        json.dumps,
        quote,
        lambda known: "".join(f"\\u{ord(c):04x}" for c in known),
        lambda known: "".join(f"%25{byte:02X}" for byte in known.encode()),
        lambda known: base64.b64encode(b"x" * random.randrange(3) + known.encode() + b"yy").decode(),
    )
    for known in ids:
        spelt = Spellings([known, "somebody-else"])
        hints = spelt.hints(60)
        assert len(hints) > 1
        for way in ways:
            # As a row is written whole, which escapes once more.
            written = json.dumps({"content": way(known)}, ensure_ascii=False)
            if way is not ways[-1] or len(known) >= 6:
                assert spelt.are_in(written.encode()), written
            assert any(re.search(hint, written) for hint in hints) or not spelt.are_in(written.encode())
        assert not any(re.search(hint, "nothing of anybody, 100 %") for hint in hints[1:])
    assert Spellings([]).hints(60) == []


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
