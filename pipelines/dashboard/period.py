"""Which days and which source a page is about, as its address says."""

import datetime as dt
from collections.abc import Mapping
from typing import Self

import msgspec

DEFAULT_DAYS = 7
MOST_DAYS = 366
HOURLY_DAYS = 2
"""Up to so many days are shown by the hour."""

END_OF_TIME = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
"""After which no page begins."""


class Period(msgspec.Struct, frozen=True):
    """Whole days in UTC, and a source; empty for all."""

    first_day: dt.date
    last_day: dt.date
    source: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str], today: dt.date) -> Self:
        """Return the period of `from`, `to` and `source`; the last week where they say nothing.

        Raises:
            ValueError: they are no days, in the wrong order, or too far apart; the message says which.
        """
        last_day = parse_day(query.get("to") or today.isoformat())
        first_day = (
            parse_day(query["from"]) if query.get("from") else last_day - dt.timedelta(days=DEFAULT_DAYS - 1)
        )
        if first_day > last_day:
            raise ValueError(f"{first_day} is after {last_day}.")
        if (last_day - first_day).days >= MOST_DAYS:
            raise ValueError(f"A period has at most {MOST_DAYS} days.")
        return cls(first_day, last_day, query.get("source", "").strip())

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_day - self.first_day).days + 1

    @property
    def by_hour(self) -> bool:
        """Whether it is so short that hours are shown."""
        return self.days <= HOURLY_DAYS

    @property
    def since(self) -> dt.datetime:
        """Its first moment."""
        return midnight(self.first_day)

    @property
    def until(self) -> dt.datetime:
        """The first moment after it."""
        return midnight(self.last_day + dt.timedelta(days=1))

    def each_day(self) -> list[dt.date]:
        """Return its days."""
        return [self.first_day + dt.timedelta(days=number) for number in range(self.days)]

    def moments(self) -> list[str]:
        """Return its hours or days, as `activity.sql` names them."""
        step = dt.timedelta(hours=1) if self.by_hour else dt.timedelta(days=1)
        form = "%Y-%m-%d %H:00" if self.by_hour else "%Y-%m-%d"
        count = (self.until - self.since) // step
        return [(self.since + step * number).strftime(form) for number in range(count)]

    def query(self) -> dict[str, str]:
        """Return what an address needs to say to mean this period."""
        known = {"from": self.first_day.isoformat(), "to": self.last_day.isoformat(), "source": self.source}
        return {name: value for name, value in known.items() if value}

    def parameters(self) -> dict[str, dt.date | str]:
        """Return it as the parameters of most questions."""
        return {"first_day": self.first_day, "last_day": self.last_day, "source": self.source}


def midnight(day: dt.date) -> dt.datetime:
    """Return a day's first moment in UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def parse_day(text: str) -> dt.date:
    """Return the day that an address means.

    Raises:
        ValueError: it is none, or so far away that nobody means it; the message says which.
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day such as 2026-11-22.") from None
    if not 1990 <= day.year <= 2200:
        raise ValueError(f"{text} is too far away.")
    return day
