import datetime as dt

import pytest

from pipelines.dashboard.period import Period

TODAY = dt.date(2026, 11, 22)


def test_a_period_is_the_last_week_unless_an_address_says_otherwise() -> None:
    assert Period.from_query({}, TODAY) == Period(dt.date(2026, 11, 16), TODAY)
    chosen = Period.from_query({"from": "2026-01-01", "to": "2026-01-31", "source": "airy"}, TODAY)
    assert chosen == Period(dt.date(2026, 1, 1), dt.date(2026, 1, 31), "airy")
    assert Period.from_query(chosen.query(), TODAY) == chosen


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"from": "yesterday"}, "'yesterday' is no day"),
        ({"from": "2026-12-01"}, "is after"),
        ({"from": "2020-01-01"}, "at most 366 days"),
        ({"to": "0001-01-01"}, "too far away"),
    ],
)
def test_a_period_that_cannot_be_is_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Period.from_query(query, TODAY)


def test_short_periods_have_hours_and_long_ones_days() -> None:
    assert len(Period(TODAY, TODAY).moments()) == 24
    assert Period(TODAY - dt.timedelta(days=2), TODAY).moments() == ["2026-11-20", "2026-11-21", "2026-11-22"]
