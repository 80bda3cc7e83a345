"""A time far after the receipt is no time; one that a wrong clock or zone may have written is."""

import datetime as dt

import pytest

from pipelines.core.times import event_time, to_micros

RECEIVED = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)


def written(moment: dt.datetime) -> int:
    return int(moment.timestamp())


@pytest.mark.parametrize("ahead", [dt.timedelta(days=3), dt.timedelta(days=365), dt.timedelta(days=20_000)])
def test_a_time_days_after_the_receipt_counts_as_absent(ahead: dt.timedelta):
    moment = written(RECEIVED + ahead)

    alone = event_time(moment, None, to_micros(RECEIVED))
    beside = event_time(moment, written(RECEIVED) - 5, to_micros(RECEIVED))

    assert (alone.micros, alone.origin, alone.raw) == (to_micros(RECEIVED), "received", str(moment))
    assert beside.origin == "envelope"
    assert event_time(None, moment, to_micros(RECEIVED)).origin == "received"


@pytest.mark.parametrize("ahead", [dt.timedelta(minutes=5), dt.timedelta(hours=14), dt.timedelta(days=-4_000)])
def test_a_clock_that_is_wrong_is_believed(ahead: dt.timedelta):
    moment = RECEIVED + ahead

    found = event_time(written(moment), None, to_micros(RECEIVED))

    assert (found.micros, found.origin) == (to_micros(moment), "item")
