"""What the recounts of recipes share: rows of views, each read once, and answers that are told rounded."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from cookbook import SAMPLE_DAY, Query

Row = dict[str, Any]
Answers = Sequence[tuple[Any, ...]]


class Views:
    """Rows of the views as somebody reads them, each view once."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._read: dict[str, list[Row]] = {}

    def __getattr__(self, view: str) -> list[Row]:
        if view not in self._read:
            self._read[view] = [dict(row) for row in self._query(f"SELECT * FROM parley.{view}")]
        return self._read[view]


RECOUNTS: dict[str, Callable[[Views], Answers]] = {}
"""How the rows that answer a question are counted, by the question."""


def answers(question: str) -> Callable[[Callable[[Views], Answers]], Callable[[Views], Answers]]:
    """Let a function be the recount of the recipe with this question."""

    def known(function: Callable[[Views], Answers]) -> Callable[[Views], Answers]:
        assert question not in RECOUNTS, f"two recounts of {question}"
        RECOUNTS[question] = function
        return function

    return known


def days_ago(days: int) -> dt.date:
    """Return the day so many days before that of the sample."""
    return SAMPLE_DAY - dt.timedelta(days=days)


def by(rows: Iterable[Row], *columns: str | Callable[[Row], Any]) -> dict[tuple[Any, ...], list[Row]]:
    """Return rows by what they have in columns, or by what functions make of them."""
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[each] if isinstance(each, str) else each(row) for each in columns)].append(row)
    return dict(found)


def count(rows: Iterable[Row], condition: Callable[[Row], Any]) -> int:
    """Return of how many rows a condition is true; what is not known is not."""
    return sum(1 for row in rows if condition(row))


def different(rows: Iterable[Row], column: str) -> int:
    """Return how many different values a column has, NULL aside."""
    return len({row[column] for row in rows} - {None})


def known(rows: Iterable[Row], column: str) -> list[Any]:
    """Return the values of a column that are known."""
    return [row[column] for row in rows if row[column] is not None]


def total(values: Sequence[Any]) -> Any:
    """Return the sum, which of nothing is not known."""
    return sum(values) if values else None


def mean(values: Sequence[Any]) -> Fraction | None:
    """Return the exact mean; of nothing it is not known."""
    return sum(map(Fraction, values), Fraction()) / len(values) if values else None


def seconds(later: dt.datetime, earlier: dt.datetime) -> Fraction:
    """Return the exact seconds between two times."""
    return Fraction((later - earlier) // dt.timedelta(microseconds=1), 1_000_000)


def monday_of(day: dt.date) -> dt.date:
    """Return the Monday of a day's week."""
    return day - dt.timedelta(days=day.weekday())


def week_of(day: dt.date) -> str:
    """Return a day's week as ISO 8601 numbers it."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def nulls_first(value: Any) -> tuple[bool, Any]:
    """Return how a value that may be NULL sorts, as BigQuery sorts: NULL before all others."""
    return (value is not None, value if value is not None else 0)


class Rounded:
    """A number that is told with so many digits: whatever lies exactly between two may be either."""

    def __init__(self, value: Fraction | float, digits: int) -> None:
        self._value, self._digits = Fraction(value), digits

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float):
            return False
        half = Fraction(1, 2 * 10**self._digits) + Fraction(1, 10**9)
        return round(other, self._digits) == other and abs(Fraction(other) - self._value) <= half

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Rounded({float(self._value)}, {self._digits})"


class Quantile:
    """A quantile as BigQuery approximates it: one of the values, whose rank may be off by a hundredth of all."""

    def __init__(self, values: Sequence[Any], percent: int, per: int = 1, digits: int = 0) -> None:
        self._values, self._rank = sorted(values), Fraction(percent, 100) * (len(values) - 1)
        self._told = [Rounded(Fraction(value) / per, digits) for value in self._values]

    def __eq__(self, other: object) -> bool:
        if not self._values:
            return other is None
        # What is not in the middle of two values is told as the nearest of them, whichever way it rounds.
        may_be_off = 1 + len(self._values) // 100
        places = [place for place, told in enumerate(self._told) if told == other]
        return any(abs(place - self._rank) < may_be_off for place in places)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Quantile(at {float(self._rank)} of {self._told})"


def rounded(value: Fraction | float | None, digits: int) -> Rounded | None:
    """Return what a number is when it is told with so many digits; NULL stays NULL."""
    return None if value is None else Rounded(value, digits)


def money(micros: Sequence[int]) -> float | None:
    """Return what millionths of a currency are together; of nothing it is not known."""
    return sum(micros) / 1_000_000 if micros else None
