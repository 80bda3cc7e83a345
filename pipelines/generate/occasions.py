"""What a conversation is besides talk: how somebody came, who answers, with which template, how it was rated.

By the conversation's own number, so that a world's course does not depend on it.
"""

from typing import Final, NamedTuple

from pipelines.core import ids

BY_AD: Final = frozenset({"facebook", "instagram", "whatsapp", "twilio.whatsapp"})
"""Sources that tell of the advertisement by which somebody came."""
BY_CLICK: Final = frozenset({"whatsapp", "twilio.whatsapp"})
"""Those of them that give the click an id."""
PASSING: Final = frozenset({"facebook", "instagram"})
"""Sources on which a conversation is passed from one app to another."""
PASSED_BEFORE: Final = 2
"""Before this message of a conversation, by number, a human takes over."""
CURRENCY: Final = "EUR"
_BILLION: Final = 10**9
_SCALES: Final = {"facebook": ("csat", 1, 5), "google": ("satisfaction", 1, 5)}
"""On which scale a source asks, its worst and its best answer; custom sources ask for nps."""
_ELSEWHERE: Final = ("nps", 0, 10)


class Template(NamedTuple):
    """A template of ours, as WhatsApp knows it."""

    id: int
    name: str
    language: str
    category: str


class Ad(NamedTuple):
    """An advertisement."""

    id: str
    title: str
    campaign: str


class Rating(NamedTuple):
    """What a contact thought of a conversation, on a scale."""

    scale: str
    points: int


TEMPLATES: Final = (
    Template(9_007_199_254_740_993, "order_update", "de", "UTILITY"),
    Template(9_007_199_254_740_995, "spring_sale", "en_US", "MARKETING"),
    Template(9_007_199_254_740_997, "login_code", "en_US", "AUTHENTICATION"),
)
ADS: Final = (
    Ad("120210000000001", "Coats for rain", "spring"),
    Ad("120210000000002", "Coats for snow", "winter"),
)


def came_by(source: str, number: int) -> str | None:
    """Return by what the contact of a conversation came: ad, shortlink; None where nothing is told."""
    chosen = _chosen("came", number) % 8
    if source not in BY_AD:
        return None
    if source == "facebook" and chosen == 0:
        return "shortlink"
    return "ad" if chosen in {1, 2} else None


def ad(number: int) -> Ad:
    """Return the advertisement by which somebody came."""
    return ADS[_chosen("ad", number) % len(ADS)]


def click(number: int) -> str:
    """Return the id of the click with which a conversation began."""
    return f"click-{number}"


def is_passed(source: str, number: int) -> bool:
    """Return whether a bot passes a conversation to a human, and gets it back at its end."""
    return source in PASSING and _chosen("passed", number) % 3 == 0


def is_by_api(number: int) -> bool:
    """Return whether a conversation on WhatsApp is answered by a system of ours, not in the business's app."""
    return _chosen("api", number) % 2 == 0


def is_by_human(number: int, message: int) -> bool:
    """Return whether a human writes a message to the contact, and no bot, where only the system knows."""
    return message >= PASSED_BEFORE and _chosen("by", number, message) % 3 > 0


def template(number: int, message: int) -> Template | None:
    """Return the template that a message to the contact is, if any."""
    chosen = _chosen("template", number, message)
    return TEMPLATES[chosen // 3 % len(TEMPLATES)] if chosen % 3 == 0 else None


def rating(source: str, number: int) -> Rating | None:
    """Return what the contact thought of a conversation when it was over; None where nobody asked."""
    chosen = _chosen("rating", number)
    scale, lowest, highest = _SCALES.get(source, _ELSEWHERE)
    return Rating(scale, lowest + chosen // 3 % (highest - lowest + 1)) if chosen % 3 == 0 else None


def form_rating(number: int, message: int) -> int | None:
    """Return the rating, 1 to 5, that a form of WhatsApp carries; None where a choice is no form."""
    chosen = _chosen("form rating", number, message)
    return chosen // 2 % 5 + 1 if chosen % 2 == 0 else None


def value(number: int) -> float:
    """Return what was bought for, in the shop's currency."""
    return _chosen("value", number) % 300 / 2 + 5


def _chosen(*what: object) -> int:
    return int(ids.derive("occasion", *map(str, what)).replace("-", ""), 16) % _BILLION
