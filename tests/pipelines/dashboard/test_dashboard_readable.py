import re

import pytest
from markupsafe import Markup

from pipelines.dashboard.errors import failure
from pipelines.dashboard.readable import excerpt, linked, looked_for, name, place

NOBODY = {"display_name": None, "username": None, "phone_number": None, "source_contact_id": "8a60e597-60e5"}


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("see https://shop.example/?a=1&b=2.", ["https://shop.example/?a=1&b=2"]),
        ("(https://a.example/x_(y)) HTTP://B.EXAMPLE/!", ["https://a.example/x_(y)", "HTTP://B.EXAMPLE/"]),
        ('javascript:alert(1) <a href="http://x.example">', ["http://x.example"]),
        ("https://… http://[::1 https://", []),
        ("“https://a.example/ä”", ["https://a.example/ä"]),
    ],
)
def test_addresses_become_links_and_the_text_stays(text: str, addresses: list[str]) -> None:
    shown = linked(text)
    assert [Markup(each).unescape() for each in re.findall(r'href="(.*?)"', shown)] == addresses
    # `striptags` makes one space of several.
    assert Markup(re.sub(r"</?a(?: [^>]*)?>", "", shown)).unescape() == text


def test_a_place_leads_to_a_map_by_its_coordinates_or_its_name() -> None:
    assert (
        place("52.5200, 13.4050")
        == "https://www.openstreetmap.org/?mlat=52.5200&mlon=13.4050#map=16/52.5200/13.4050"
    )
    assert place("Café & Bar") == "https://www.openstreetmap.org/search?query=Caf%C3%A9%20%26%20Bar"
    assert place(None) is None


def test_who_has_no_name_is_called_by_number_or_id_and_a_visitor_as_one() -> None:
    assert name(NOBODY | {"username": "ana"}, "chatplugin") == "ana"
    assert name(NOBODY, "facebook") == "8a60e597-60e5"
    assert name(NOBODY, "chatplugin") == "Visitor 8a60e5"
    assert name(None) == "Somebody"
    assert looked_for(" Visitor 8a60e5 ") == "8a60e5"


def test_a_long_text_begins_with_whole_words() -> None:
    assert excerpt("word " * 300).endswith("word …")
    assert len(excerpt("x" * 5000)) < 500


def test_an_error_has_the_sources_title_and_a_page_of_its_own() -> None:
    assert failure("whatsapp", "131026")[1:] == (
        "Message undeliverable",
        "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes/",
    )
    assert failure("twilio.whatsapp", "63016").url == "https://www.twilio.com/docs/api/errors/63016"
    assert failure("airy", "Conversation expired") == ("Conversation expired", "", None)
    assert failure("twilio.sms", "../x").url is None
