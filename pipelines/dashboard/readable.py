"""How what people wrote is shown: links that can be followed, places on a map, names for who has none."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from pipelines.dashboard.words import link

LONG: Final = 1200
"""A text of more characters is folded."""
EXCERPT: Final = 400
_VISITOR: Final = "Visitor "
_URL: Final = re.compile(r"https?://[^\s<>\"“”«»]{3,2000}", re.IGNORECASE)
_PLACE: Final = re.compile(r"(-?\d{1,2}(?:\.\d+)?), ?(-?\d{1,3}(?:\.\d+)?)", re.ASCII)
_MAP: Final = "https://www.openstreetmap.org/"
# Part of a sentence around an address, and not of it.
_TRAILING: Final = ".,;:!?'…。、"


def linked(text: str) -> Markup:
    """Return a text with its addresses of the web as links; every other character as it was written."""
    parts, at = [], 0
    for found in _URL.finditer(text):
        address = _trimmed(found[0])
        if link(address) is None:
            continue
        parts += [
            escape(text[at : found.start()]),
            Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>').format(
                address, address
            ),
        ]
        at = found.start() + len(address)
    return Markup("").join([*parts, escape(text[at:])])


def excerpt(text: str) -> str:
    """Return the beginning of a long text, up to the end of a word where there is one."""
    start = text[:EXCERPT]
    words, gap, _ = start.rpartition(" ")
    return f"{words if gap and len(words) > EXCERPT // 2 else start} …"


def place(text: str | None) -> str | None:
    """Return the address of a map that shows a shared place, by its coordinates or by its name."""
    if not text:
        return None
    if found := _PLACE.fullmatch(text.strip()):
        latitude, longitude = found.groups()
        return f"{_MAP}?{urlencode({'mlat': latitude, 'mlon': longitude})}#map=16/{latitude}/{longitude}"
    return f"{_MAP}search?query={quote(text[:200])}"


def name(contact: Mapping[str, Any] | None, source: str = "") -> str:
    """Return what a contact is called: by the source, else by number or id; a visitor of the live chat as one."""
    if not contact:
        return "Somebody"
    for field in ("display_name", "username", "phone_number"):
        if contact[field]:
            return str(contact[field])
    identity = str(contact["source_contact_id"] or "Somebody")
    return f"{_VISITOR}{identity[:6]}" if source == "chatplugin" else identity


def looked_for(text: str) -> str:
    """Return by what a contact is looked for who is called so."""
    return text.strip().removeprefix(_VISITOR).strip()


def _trimmed(address: str) -> str:
    """Return an address without what only stands behind it in a sentence."""
    while address and (
        address[-1] in _TRAILING or (address[-1] == ")" and address.count(")") > address.count("("))
    ):
        address = address[:-1]
    return address
