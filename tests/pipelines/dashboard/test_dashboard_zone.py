import datetime as dt

import pytest
from dashboard_world import HOSTILE_EVENT, START, DashboardWorld

from pipelines.bigquery.target import Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Warehouse
from pipelines.dashboard.zone import find

pytestmark = pytest.mark.thorough


def test_times_are_told_in_the_zone_that_was_chosen(world: DashboardWorld) -> None:
    path = f"/conversations/{world.conversation_of(HOSTILE_EVENT)}"
    reader = world.app.test_client()
    assert ">01:00</time>" in reader.get(path).text
    chosen = reader.get("/zone", query_string={"name": "Pacific/Auckland", "back": f"{path}?to=2026-03-08"})
    assert (chosen.status_code, chosen.location) == (303, f"{path}?to=2026-03-08")
    text = reader.get(chosen.location).text
    assert ">14:00</time>" in text
    assert "Times are Pacific/Auckland; days, hours of charts and periods are UTC" in text
    # The day of the place, which is another one late in the evening of UTC.
    reader.get("/zone?name=Pacific/Honolulu")
    assert f"{START.date() - dt.timedelta(days=1):%a, %-d %B %Y}</h2>" in reader.get(path).text
    reader.get("/zone?name=")
    assert ">01:00</time>" in reader.get(path).text


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../../etc/passwd", "Africa", "x" * 65, "\0"])
def test_what_is_no_zone_is_refused_and_in_a_cookie_ignored(name: str) -> None:
    assert find(name) is None
    reader = create_app(Warehouse(Target("some-project"), lambda: None)).test_client()  # type: ignore[arg-type, return-value]
    assert reader.get("/zone", query_string={"name": name}).status_code == 400
    reader.set_cookie("zone", name.replace("\0", ""))
    assert "Times are UTC." in reader.get("/").text


@pytest.mark.parametrize(
    "back", ["https://evil.example/x", "//evil.example/x", "/\\evil.example/x", "\\\\evil.example/x", "http://["]
)
def test_one_comes_back_to_this_dashboard_only(back: str) -> None:
    reader = create_app(Warehouse(Target("some-project"), lambda: None)).test_client()  # type: ignore[arg-type, return-value]
    location = reader.get("/zone", query_string={"name": "UTC", "back": back}).location
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
