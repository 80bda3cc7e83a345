"""A run's report as one sees it before deciding: on a desk and on a phone, by day and by night."""

import datetime as dt
import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import Damage
from pipelines.reprocess.diff import ColumnChange, Difference, Letters, Sample, Total
from pipelines.reprocess.report import html
from pipelines.reprocess.runs import Change, Run, State

pytestmark = pytest.mark.thorough

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"
DAY = dt.date(2026, 3, 1)
EVENT = "0" * 26
HOSTILE = "<img src=x onerror=alert(1)> مرحبا " + "long" * 200


def run(**given: object) -> Run:
    planned = Change(State.PLANNED, dt.datetime(2026, 3, 9, tzinfo=dt.UTC), "an operator", HOSTILE)
    return Run("0198-run", 12, json.dumps({"archive": "gs://bucket"}), (planned,), events=1_234_567, **given)


NOTHING = Difference([], [], [], [])
EVERYTHING = Difference(
    [
        Total(table, source, DAY + dt.timedelta(days), days, 2 * days, 3 * days, 1_000)
        for table in TABLES
        for source in ("facebook", "a-source-of-our-own-with-a-long-name")
        for days in range(20)
    ],
    [ColumnChange("messages", "text", 12)],
    [Letters("twilio", "parse", f"Error{number}", number, 9 - number) for number in range(9)],
    [
        Sample("messages", "added", EVENT, ("text",), None, {"text": HOSTILE}),
        Sample("messages", "removed", EVENT, ("text",), {"text": HOSTILE}, None),
        Sample("messages", "changed", EVENT, ("text",), {"text": "before"}, {"text": HOSTILE}),
    ],
    {"messages": 7},
)
REPORTS = {
    "nothing": html(run(), NOTHING),
    "everything": html(run(damages=(Damage("a" * 300, 7, 8, HOSTILE),)), EVERYTHING),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("told", REPORTS)
def test_a_report_fits_and_is_accessible_by_day_and_by_night(
    new_visitor, tmp_path: Path, told: str, size: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(REPORTS[told], "utf-8")
    # Its own policy would keep the examiner out.
    page = new_visitor(viewport=SIZES[size], color_scheme="light", bypass_csp=True).new_page()
    page.goto(file.as_uri())
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("img, script").count() == 0
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"


def test_a_report_loads_nothing_and_runs_nothing(new_visitor, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(REPORTS["everything"], "utf-8")
    page = new_visitor().new_page()
    said: list[str] = []
    page.on("request", lambda request: said.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    page.evaluate(UNFOLD)
    assert said == [file.as_uri()]
    expect(page.get_by_text("7 of these in messages are one change each")).to_be_visible()
    assert page.locator("td.value", has_text="<img src=x").count() >= 3
