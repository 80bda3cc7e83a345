"""What a statement has in common with those that differ only in the names of datasets and in times and ids.

Each test has datasets of its own, and each run of reprocessing its own time: what bqemulator finds out about one
of their statements holds for all of the same shape.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

_REMEMBERED: Final = 4_096
_NAME: Final = re.compile(r"`(?P<project>[\w-]+)\.(?P<dataset>\w+)\.(?P<table>\w+)`")
_LITERAL: Final = re.compile(
    r"'(?:(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?\+00:00)|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}))'"
)
_STAND_INS: Final = {
    "dataset": "dataset_{:03}_of_shape",
    "time": "1600-01-01T00:00:00.000{:03}+00:00",
    "day": "1{:03}-02-03",
    "id": "00000000-0000-0000-0000-000000000{:03}",
}
_STAND_IN: Final = re.compile(
    r"dataset_\d{3}_of_shape|1600-01-01T00:00:00\.000\d{3}\+00:00|1\d{3}-02-03|0{8}-0{4}-0{4}-0{4}-0{9}\d{3}"
)
_MOST: Final = 999


class Shape(NamedTuple):
    """A statement with stand-ins, which are of the same kind: what holds for one holds for the other."""

    sql: str
    meant: Mapping[str, str]
    """What each stand-in stands for."""

    def filled(self, text: str) -> str:
        """Return a text in which what is meant is in the place of the stand-ins."""
        return _STAND_IN.sub(lambda found: self.meant.get(found[0], found[0]), text)

    def emptied(self, text: str) -> str | None:
        """Return DuckDB's SQL of this statement with the stand-ins; None where it is not plain what they are."""
        for stand_in, meant in self.meant.items():
            quotes = r'(?:(?<=")|(?<=__)){}(?=")' if stand_in.startswith("dataset") else "(?<='){}(?=')"
            text, count = re.subn(quotes.format(re.escape(meant)), stand_in, text)
            if not count:
                return None
        return text


def shape(sql: str) -> Shape:
    """Return the shape of a statement in BigQuery's SQL; of one with very many names the statement itself."""
    stand_ins: dict[tuple[str, str], str] = {}

    def standing_in(kind: str, meant: str) -> str:
        return stand_ins.setdefault((kind, meant), _STAND_INS[kind].format(len(stand_ins) + 1))

    if _STAND_IN.search(sql):
        return Shape(sql, {})
    shaped = _NAME.sub(lambda it: f"`{it['project']}.{standing_in('dataset', it['dataset'])}.{it['table']}`", sql)
    shaped = _LITERAL.sub(lambda it: f"'{standing_in(str(it.lastgroup), it[0][1:-1])}'", shaped)
    if len(stand_ins) > _MOST:
        return Shape(sql, {})
    return Shape(shaped, {stand_in: meant for (_, meant), stand_in in stand_ins.items()})


def by_shape(function: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function of a statement that names no dataset in what it returns, remembered by shape."""
    remembered = functools.lru_cache(_REMEMBERED)(function)
    return lambda sql: remembered(shape(sql).sql)


class Remembered:
    """What statements have become, by shape."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], str | None] = {}

    def get(self, of: Shape, *more: Any) -> str | None:
        """Return what a statement becomes, as far as that is known; more is what else it depends on."""
        known = self._known.get((of.sql, *more))
        return None if known is None else of.filled(known)

    def put(self, text: str, of: Shape, *more: Any) -> None:
        """Remember what a statement has become."""
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[of.sql, *more] = of.emptied(text)
