"""Response times by source, weekday and hour equal a recount of the view response_times, in business hours too."""

import datetime as dt
import re
from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dashboard_shop import WEEK, Shop, counted
from dashboard_world import DAYS, START, DashboardWorld

from pipelines.bigquery.target import ConfigurationError
from pipelines.dashboard.app import create_app
from pipelines.dashboard.business_hours import BUSINESS_HOURS, BusinessHours
from pipelines.dashboard.period import END_OF_TIME, Period

WHOLE = Period(START.date() - dt.timedelta(days=2), START.date() + dt.timedelta(days=DAYS + 5))
HOURS = BusinessHours.from_environment({BUSINESS_HOURS: "Mon-Tue,Thu 08:30-16:45"})
DAY = dt.timedelta(days=1)


def worked(asked: dt.datetime, answered: dt.datetime) -> float:
    """Return how many seconds of the hours lie between two times of a clock, day by day."""
    seconds, day = 0.0, dt.datetime.combine(asked.date(), dt.time())
    while day <= answered:
        if day.weekday() in {0, 1, 3}:
            opens, closes = day + dt.timedelta(hours=8, minutes=30), day + dt.timedelta(hours=16, minutes=45)
            seconds += max(0.0, (min(closes, answered) - max(opens, asked)).total_seconds())
        day += DAY
    return seconds


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
@pytest.mark.parametrize("is_business", [False, True])
def test_each_group_is_a_recount(world: DashboardWorld, zone: str, is_business: bool) -> None:
    expected: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for row in world.query("SELECT source, asked_at, answered_at, response_seconds FROM parley.response_times"):
        asked, answered, seconds = (
            _clock(row["asked_at"], zone),
            _clock(row["answered_at"], zone),
            row["response_seconds"],
        )
        if is_business and answered:
            seconds = worked(asked, answered)
        for key in (
            *(("all", ""), ("source", str(row["source"]))),
            *(("weekday", str(asked.weekday())), ("hour", str(asked.hour))),
        ):
            expected[key].append(seconds)  # type: ignore[arg-type]

    told = world.warehouse.ask(
        "response_groups", **WHOLE.parameters(), zone=zone, in_business_hours=is_business, **HOURS.parameters()
    )

    assert {(row["dimension"], row["value"]) for row in told} == set(expected)
    assert len(expected) > 20
    for row in told:
        waits = expected[row["dimension"], row["value"]]
        known = sorted(wait for wait in waits if wait is not None)
        assert (row["turns"], row["unanswered"]) == (len(waits), len(waits) - len(known))
        for name, share in (("median", 0.5), ("p90", 0.9)):
            if not known:
                assert row[name] is None
                continue
            near = known[max(0, int(share * len(known)) - 2) : int(share * len(known)) + 2]
            assert near[0] - 1 <= row[name] <= near[-1] + 1, (row, name)


def _clock(time: Any, zone: str) -> Any:
    return time and time.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)


def test_the_page_tells_this_period_beside_the_last_by_the_readers_clock(world: DashboardWorld) -> None:
    reader = create_app(world.warehouse, hours=HOURS).test_client()
    second = START.date() + DAY
    period = f"from={second}&to={second}"
    first, now = (
        world.warehouse.ask(
            "response_groups",
            **Period(day, day).parameters(),
            zone="Asia/Kathmandu",
            in_business_hours=True,
            **HOURS.parameters(),
        )[0]["turns"]
        for day in (START.date(), second)
    )
    reader.set_cookie("zone", "Asia/Kathmandu")
    text = reader.get(f"/response-times/?business=1&{period}").text

    assert "Weekdays and hours are those of Asia/Kathmandu" in text
    assert HOURS.text in text
    all_turns = re.search(
        r'<th scope="row">All</th><td data-value="(\d+)">[^<]*</td><td class="note" data-value="(\d+)">', text
    )
    assert all_turns
    assert (int(all_turns[1]), int(all_turns[2])) == (now, first)
    assert first != now
    assert "which=unanswered" in text
    assert HOURS.text not in reader.get(f"/response-times/?{period}").text
    assert "No contact wrote" in reader.get("/response-times/?from=2020-01-01&to=2020-01-02").text


def test_a_wait_of_exactly_a_bound_is_counted_in_one_place_and_listed_there(shop: Shop) -> None:
    for number, seconds in enumerate((60, 300, 86_400)):
        at = dt.datetime(2026, 3, 4 + 2 * number, 12, tzinfo=dt.UTC)
        shop.wrote(f"question {number}", at, inbound=True)
        shop.wrote(f"answer {number}", at + dt.timedelta(seconds=seconds), inbound=False)
    shop.stored()

    counts = counted(shop.warehouse)["responses"]
    told = {name: count for name, count in counts.items() if count and name not in {"median", "p90"}}
    assert told == {"within_5_minutes": 1, "within_15_minutes": 1, "later": 1}
    bounds = {"at_least": 60, "less_than": 300, "before": END_OF_TIME, "before_id": "", "page_size": 9}
    listed = shop.warehouse.ask("turn_list", **WEEK.parameters(), **bounds)
    assert [row["seconds"] for row in listed] == [60]


@pytest.mark.parametrize(
    ("zone", "hours", "weekday", "hour", "waited"),
    [("UTC", "Mon-Tue 09:00-17:00", "0", "16", 7_200), ("Asia/Tokyo", "Tue 18:00-20:00", "1", "1", 3_600)],
)
def test_a_wait_over_night_is_of_business_hours_of_the_readers_clock(
    shop: Shop, zone: str, hours: str, weekday: str, hour: str, waited: float
) -> None:
    # By UTC from Monday, 16:00, to Tuesday, 10:00; in Tokyo from Tuesday, 1:00, to Tuesday, 19:00.
    opened = BusinessHours.from_environment({BUSINESS_HOURS: hours})
    shop.wrote("question", dt.datetime(2026, 3, 9, 16, tzinfo=dt.UTC), inbound=True)
    shop.wrote("answer", dt.datetime(2026, 3, 10, 10, tzinfo=dt.UTC), inbound=False)
    shop.stored()

    told = shop.warehouse.ask(
        "response_groups", **WEEK.parameters(), zone=zone, in_business_hours=True, **opened.parameters()
    )
    assert [row["value"] for row in told if row["dimension"] == "weekday"] == [weekday]
    assert [row["value"] for row in told if row["dimension"] == "hour"] == [hour]
    assert {row["median"] for row in told} == {waited}


def test_business_hours_are_a_setting() -> None:
    assert BusinessHours.from_environment({}) == BusinessHours.from_environment({BUSINESS_HOURS: " "})
    assert BusinessHours.from_environment({}).parameters() == {
        "workdays": "1111100",
        "opens": 32_400,
        "closes": 61_200,
    }
    assert HOURS.parameters() == {"workdays": "1101000", "opens": 30_600, "closes": 60_300}
    assert BusinessHours.from_environment({BUSINESS_HOURS: "Sun 00:00-24:00"}).closes == 86_400


@pytest.mark.parametrize(
    "wrong",
    [
        *("always", "Mon-Fri", "Mon-Fri 9-17", "Fri-Mon 09:00-17:00", "Mon- 09:00-17:00", "Mon-Fri 17:00-09:00"),
        *("Mon-Fri 09:60-17:00", "Mon-Fri 09:00-24:01", "Mo-Fr 09:00-17:00", "Mon,,Fri 09:00-17:00"),
        "Mon-Fri 09:00-09:00",
    ],
)
def test_what_are_no_hours_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=BUSINESS_HOURS):
        BusinessHours.from_environment({BUSINESS_HOURS: wrong})
