import datetime as dt

import pytest

from pipelines.core import times

SECONDS = 1_772_359_200
"""2026-03-01T10:00:00Z."""
MICROS = SECONDS * 1_000_000
DAY = 86_400 * 1_000_000
FIRST = 946_684_800
"""2000-01-01T00:00:00Z, in seconds."""
END = 4_102_444_800
"""2100-01-01T00:00:00Z."""


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        (SECONDS, MICROS),
        (str(SECONDS), MICROS),
        (SECONDS * 10**3, MICROS),
        (str(SECONDS * 10**3), MICROS),
        (SECONDS * 10**6, MICROS),
        (SECONDS * 10**9, MICROS),
        (SECONDS * 10**3 + 7, MICROS + 7_000),
        (SECONDS * 10**6 + 7, MICROS + 7),
        (SECONDS * 10**9 + 7_999, MICROS + 7),
        (SECONDS + 0.25, MICROS + 250_000),
        (f"{SECONDS}.25", MICROS + 250_000),
        (FIRST, FIRST * 10**6),
        (FIRST - 1, None),
        (END - 1, (END - 1) * 10**6),
        (END, None),
        (FIRST * 10**3, FIRST * 10**6),
        (FIRST * 10**3 - 1, None),
        (END * 10**3 - 1, END * 10**6 - 1_000),
        (END * 10**3, None),
        (FIRST * 10**6, FIRST * 10**6),
        (END * 10**6 - 1, END * 10**6 - 1),
        (END * 10**6, None),
        (FIRST * 10**9, FIRST * 10**6),
        (END * 10**9 - 1, END * 10**6 - 1),
        (END * 10**9, None),
        (0, None),
        (-SECONDS, None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**20, None),
        ("", None),
        ("0" * 60 + str(SECONDS), None),
        ("soon", None),
        ("2026-03-01T10:00:00Z", MICROS),
        ("2026-03-01T10:00:00", MICROS),
        ("2026-03-01T11:00:00+01:00", MICROS),
        ("2026-03-01T10:00:00.123456789Z", MICROS + 123_456),
        ("1999-12-31T23:59:59Z", None),
        ("2100-01-01T00:00:00Z", None),
        (" 2026-03-01 10:00:00 ", MICROS),
    ],
)
def test_a_number_tells_its_unit_by_its_size(written, micros):
    assert times.parse(written) == micros


@pytest.mark.parametrize("number", [1_700_000_000, 999_999_999_999, 1_700_000_000_123])
@pytest.mark.parametrize("zeros", range(5))
def test_text_says_what_its_number_says_zeros_before_it_or_not(number, zeros):
    assert times.parse("0" * zeros + str(number)) == times.parse(number)


@pytest.mark.parametrize(
    ("apart", "own"),
    [
        (0, True),
        (times.PARTITION_HOURS_AFTER * 3_600 * 10**6, True),
        (times.PARTITION_HOURS_AFTER * 3_600 * 10**6 + 1, False),
        (-times.PARTITION_DAYS_BEFORE * DAY, True),
        (-times.PARTITION_DAYS_BEFORE * DAY - 1, False),
        (-40 * DAY, True),
        (40 * DAY, False),
    ],
)
def test_a_partition_is_that_of_the_event_where_its_time_is_plausible(apart, own):
    # Just before midnight, so that an hour later is another day.
    received = MICROS // DAY * DAY + DAY - 1
    expected = (received + apart if own else received) // DAY
    assert times.partition_day(received + apart, received) == expected


def test_partitions_begin_at_midnight_utc():
    midnight = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    day = (midnight.date() - dt.date(1970, 1, 1)).days
    micros = times.to_micros(midnight)
    assert [times.partition_day(micros + off, micros) for off in (-1, 0, 1)] == [day - 1, day, day]


def test_a_time_is_told_in_utc_with_its_microseconds():
    assert times.rfc3339(MICROS + 7) == "2026-03-01T10:00:00.000007Z"
    assert times.to_micros(times.from_micros(MICROS + 7)) == MICROS + 7
