"""One spelling for each number, and none for what is no number."""

import pytest

from pipelines.core.phones import e164


@pytest.mark.parametrize(
    ("spellings", "one"),
    [
        (("5215599990001", "+525599990001", "525599990001", "+52 1 55 9999 0001"), "+525599990001"),
        (("541155551234", "+5491155551234", "+54 9 11 5555-1234"), "+5491155551234"),
        (("551187654321", "+5511987654321", "+55 (11) 98765-4321"), "+5511987654321"),
        (("551132654321", "+551132654321"), "+551132654321"),
        (("4915550000042", "+4915550000042", "+49 1555 0000042"), "+4915550000042"),
        (("15550107711", "+1 555 010-7711"), "+15550107711"),
    ],
)
def test_every_spelling_of_a_number_is_one(spellings, one):
    assert {e164(spelling) for spelling in spellings} == {one}
    assert e164(one) == one


@pytest.mark.parametrize(
    "text", ["", "+", "0155 1234", "US.1349", "hello", "1" * 400, "521559999000100000", "５２１５"]
)
def test_what_is_no_international_number_has_no_spelling(text):
    assert e164(text) is None


def test_neighbouring_numbers_stay_apart():
    numbers = [f"+52{national}" for national in range(5_599_990_000, 5_599_990_050)]
    assert len({e164(number) for number in numbers}) == 50
