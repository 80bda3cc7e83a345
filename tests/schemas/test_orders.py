"""What has the same time comes in one order, so that nothing that picks a row picks another one the next time."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "docs" / "cookbook.md",
    *sorted((ROOT / "schemas").rglob("*.sql")),
    *sorted((ROOT / "pipelines" / "dashboard" / "sql").glob("*.sql")),
]
# What an order is by: up to what bounds it in each of the places that an order has.
_WITHIN = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*?"
_ORDER = re.compile(rf"ORDER BY\s+({_WITHIN})(?=\s+(?:LIMIT|ROWS)\b|\s*\)|\n```|\n--|\s*\Z)")
# Rows of one event and generation that were made at one time are equal.
_TIME = re.compile(r"(?:\w+\.)?(?!processed_at)\w+_at(?: DESC)?")
HAS_ONE_ROW = {("template_messages.sql", "sent.sent_at")}
"""Partitions of one row each: a message of a day is in the view messages once."""


def orders(text: str) -> list[str]:
    found = [re.sub(r"\s+", " ", order) for order in _ORDER.findall(text)]
    assert len(found) == text.count("ORDER BY")
    return found


def ends_with_a_time(order: str) -> bool:
    return _TIME.fullmatch(order.rpartition(",")[2].strip()) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_order_is_by_a_time_in_the_end(path):
    text = path.read_text("utf-8")

    assert [each for each in orders(text) if ends_with_a_time(each) and (path.name, each) not in HAS_ONE_ROW] == []
    # Of several rows with the greatest time these take any.
    assert re.findall(r"\b(?:MAX|MIN)_BY\(", text) == []


def test_an_order_by_a_time_is_found():
    assert [each for each in orders("SELECT a FROM b ORDER BY c, d_at DESC\nLIMIT 1") if ends_with_a_time(each)]
    assert [each for each in orders("LAG(a) OVER (PARTITION BY b ORDER BY c.d_at)") if ends_with_a_time(each)]
    assert not ends_with_a_time("sent_at DESC, message_id DESC")
