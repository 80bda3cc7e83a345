"""How the pages put things into words: sources, times, lengths of time, addresses, bytes."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from pipelines.dashboard import zone

SOURCES = {
    "facebook": "Messenger",
    "instagram": "Instagram",
    "whatsapp": "WhatsApp",
    "twilio.sms": "SMS",
    "twilio.whatsapp": "WhatsApp by Twilio",
    "google": "Business Messages",
    "chatplugin": "Live chat",
    "airy": "Airy",
}
"""What people call the sources that Parley knows; a custom one goes by its own name."""
ENDPOINTS = {"facebook": "Messenger and Instagram", "twilio": "SMS and WhatsApp by Twilio", "replies": "Replies"}
"""What people call the endpoints that are not one source alone."""
_COLORS = 10
_MOST_CHARACTERS = 200_000


def init_app(app: Flask) -> None:
    """Let templates use these words."""
    words = (
        bytes_as_text,
        color,
        day,
        duration,
        endpoint,
        indented,
        label,
        link,
        moment,
        money,
        number,
        state,
        time,
    )
    for word in (*words, without):
        app.add_template_filter(word)


def label(source: str) -> str:
    """Return what people call a source."""
    return SOURCES.get(source, source)


def endpoint(name: str | None) -> str:
    """Return what people call an endpoint: by the sources whose webhooks it takes."""
    return ENDPOINTS.get(name or "", label(name or "an unknown source"))


def endpoint_of(source: str) -> str:
    """Return the endpoint that takes a source's webhooks; an endpoint's own name stays."""
    return "facebook" if source == "instagram" else source.partition(".")[0]


def endpoints(custom: Sequence[str]) -> dict[str, str]:
    """Return every endpoint, and what people call it."""
    names = dict.fromkeys((*map(endpoint_of, SOURCES), *custom, "replies"))
    return {name: endpoint(name) for name in names}


def color(source: str) -> int:
    """Return the number of a source's color, from 0; the same on every page."""
    if source in SOURCES:
        return list(SOURCES).index(source)
    return len(SOURCES) + sum(source.encode()) % (_COLORS - len(SOURCES))


def moment(time: dt.datetime) -> str:
    """Return a time of a day, to the second."""
    return f"{zone.local(time):%-d %b %Y, %H:%M:%S}"


def time(value: dt.datetime) -> str:
    """Return the time of day, to the minute."""
    return f"{zone.local(value):%H:%M}"


def day(value: dt.date) -> str:
    """Return a day with its weekday."""
    return f"{value:%a, %-d %B %Y}"


def number(value: float | None) -> str:
    """Return a number with its thousands apart."""
    return "–" if value is None else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def money(micros: int | None, currency: str | None) -> str:
    """Return millionths of a currency as an amount of it; a dash where it is not known, or of several."""
    if not micros:
        return "–" if micros is None else "0"
    if not currency:
        return "–"
    amount = micros / 1_000_000
    text = f"{amount:,.2f}" if abs(amount) >= 1 else f"{amount:.4f}"
    return text.replace(",", "\N{NARROW NO-BREAK SPACE}") + f"\N{NO-BREAK SPACE}{currency}"


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units."""
    if seconds is None:
        return "–"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}\N{NO-BREAK SPACE}{unit}")
    return " ".join(parts[:2])


def state(value: str) -> str:
    """Return a state of delivery as a person would say it."""
    return value.replace("_", " ").capitalize()


def link(address: str | None) -> str | None:
    """Return an address that a page may link to, None where it is none of the web's."""
    if not address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.hostname else None


def without(query: dict[str, str], name: str) -> dict[str, str]:
    """Return an address's query without one of its names."""
    return {key: value for key, value in query.items() if key != name}


def bytes_as_text(data: bytes | None) -> str:
    """Return bytes as text, with what is no UTF-8 escaped; the start of them where they are many."""
    text = (data or b"").decode("utf-8", "backslashreplace")
    return (
        text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}\n… {len(text):,} characters in all"
    )


def indented(text: str | None) -> str | None:
    """Return JSON with indentation, to be read; None where it is no JSON object or array."""
    if not text or len(text) > _MOST_CHARACTERS:
        return None
    try:
        # Numbers as they are written: a large one would lose digits.
        value: Any = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else None
    except (ValueError, RecursionError):
        return None
