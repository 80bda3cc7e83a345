"""What readers are told, to compare: every view, every recipe of the cookbook, every question of the dashboard.

Of two warehouses that were told the same, each by another way.
"""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud import bigquery

from pipelines.bigquery.target import Target
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Row, Warehouse
from schemas import loader
from tests.schemas.cookbook import COOKBOOK, on, recipes

Answers = dict[str, list[str]]
"""Rows by what was asked, each written down, without what says by which code and when they were made."""

_MADE = re.compile(
    r"decided_at|processed_at|generation|traceback|placed_at|run_id|\w*(processed|processing)(_delay|_at)?|days_until_processed"
)
_OTHERWISE = {"runs", "superseded"}
"""What tells of the way itself; so do counted rows and sightings, among which what is told twice is twice."""
_VIEWS = re.compile(r"(?<![\w.`])parley\.(\w+)")
_DIGITS = 6


class _Asked(Warehouse):
    """Notes what the pages are told, by question."""

    def __init__(self, client: bigquery.Client, target: Target) -> None:
        super().__init__(target, lambda: client)
        self.answers: Answers = {}

    def ask(self, question: str, **parameters: Any) -> list[Row]:
        rows = super().ask(question, **parameters)
        self.answers.setdefault(f"dashboard: {question}", []).extend(written(row) for row in rows)
        return rows


def answers(
    client: bigquery.Client, target: Target, first: dt.date, last: dt.date, *, with_recipes: bool
) -> Answers:
    """Return what every view and all pages of a period give, and every recipe where that is asked for."""
    found = {}
    asked = dict(_views(target)) | (dict(_recipes(target, first + dt.timedelta(days=2))) if with_recipes else {})
    for name, sql in asked.items():
        found[name] = sorted(written(dict(row)) for row in client.query_and_wait(sql))
    pages = _Asked(client, target)
    app = create_app(pages, today=lambda: last).test_client()
    for path in _paths(client, target, first, last):
        assert app.get(path).status_code == 200, path
    return found | {question: sorted(rows) for question, rows in pages.answers.items()}


def written(row: Mapping[str, Any]) -> str:
    """Return a row without what says how it was made, numbers rounded."""
    return repr({name: _rounded(value) for name, value in row.items() if not _MADE.fullmatch(name)})


def _rounded(value: Any) -> Any:
    # Sums of floats depend on the order of the rows.
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value


def _views(target: Target) -> Iterator[tuple[str, str]]:
    for view in loader.views():
        if view not in _OTHERWISE and not view.startswith((loader.COUNTED, loader.SEEN)):
            yield view, f"SELECT * FROM `{target.view(view)}`"


def _recipes(target: Target, day: dt.date) -> Iterator[tuple[str, str]]:
    for recipe in recipes(COOKBOOK.read_text("utf-8")):
        if "parley.runs" in recipe.sql:
            continue
        sql = _VIEWS.sub(lambda found: f"`{target.view(found[1])}`", recipe.sql)
        yield f"cookbook: {recipe.question}", on(day, sql)


def _paths(client: bigquery.Client, target: Target, first: dt.date, last: dt.date) -> Iterator[str]:
    period = f"from={first}&to={last}"
    yield from (f"/panels/{name}?{period}" for name in ("totals", "activity", "funnel", "responses", "troubles"))
    yield from (f"/conversations/?{period}", f"/conversations/?waiting=1&{period}", f"/dead-letters/?{period}")
    longest = (
        "SELECT conversation_id, DATE(last_message_at) AS day FROM "
        f"`{target.view('conversations')}` WHERE messages > 0 "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY source ORDER BY messages DESC, conversation_id) = 1"
    )
    for row in client.query_and_wait(longest):
        yield f"/conversations/{row['conversation_id']}?day={row['day']}"
