"""Each panel of the reports' page equals a recount of the view that it is about, of the same days."""

import datetime as dt
import html
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from bigquery_fixtures import Emulator
from dashboard_shop import NOON, WEEK, Shop

from pipelines.bigquery import resolving
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from pipelines.dashboard import reports
from pipelines.dashboard.app import create_app
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import Row, Warehouse
from pipelines.dashboard.words import money
from pipelines.generate import delivery, people, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.sources import PARSERS
from pipelines.sources.custom import OwnJson
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

WORLD = World(240, 5, write_archive.day_of(DEFAULT_START), 4, (*WEIGHTS, "shop"), people.MOST)
START = DEFAULT_START.date()
SECOND, THIRD = START + dt.timedelta(days=1), START + dt.timedelta(days=2)
PERIODS = {
    "whole": Period(START - dt.timedelta(days=3), START + dt.timedelta(days=8)),
    "two days": Period(SECOND, THIRD),
    "whatsapp": Period(START, THIRD, "whatsapp"),
}
NAMES = "(NULL, '517000000000001', 'bot', 'Helper'), ('shop', 'desk', 'human', 'The desk')"
RATES = (
    "('whatsapp', 'marketing', 'message', 110000, 'EUR'), ('whatsapp', NULL, 'conversation', 30000, 'EUR'), "
    "('twilio.sms', NULL, 'segment', 8000, 'USD')"
)
FAILED = {"failed", "undelivered", "canceled"}


class Books:
    """What the views say, and the dashboard beside them."""

    def __init__(self, analyst: Analyst) -> None:
        self.warehouse = Warehouse(analyst.target, lambda: analyst.client)
        self._analyst = analyst
        self._views: dict[str, list[Row]] = {}

    def of(self, view: str, day: str, period: Period) -> list[Row]:
        """Return a view's rows of a period, by the column that names their day."""
        if view not in self._views:
            self._views[view] = self._analyst.query(f"SELECT * FROM parley.{view}")
        return [
            row
            for row in self._views[view]
            if period.first_day <= row[day] <= period.last_day and period.source in {"", row["source"]}
        ]

    def asked(self, question: str, period: Period) -> list[Row]:
        return self.warehouse.ask(question, **period.parameters())


@pytest.fixture(scope="module")
def books(bigquery_emulator: Emulator) -> Iterator[Books]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        patch.setitem(PARSERS, "shop", OwnJson("shop").parse)
        analyst = Analyst()
        analyst.tell(*(each.event for day in range(WORLD.days) for each in delivery.of_day(WORLD, day)))
        resolving.keep(analyst.client, analyst.target)
        analyst.insert("actor_names", f"(source, actor_id, kind, name) VALUES {NAMES}")
        analyst.insert("rates", f"(source, category, unit, price_micros, currency) VALUES {RATES}")
        yield Books(analyst)
        analyst.close()


def grouped(rows: Iterable[Row], *by: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in by)].append(row)
    return found


def numbers(rows: Iterable[Row], by: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return what a question answers, by the first so many columns."""
    return {tuple(row.values())[:by]: tuple(row.values())[by:] for row in rows}


def count(rows: Iterable[Row], holds: Callable[[Row], Any]) -> int:
    return sum(1 for row in rows if holds(row))


def single(rows: Iterable[Row], value: str) -> tuple[Any, str | None]:
    """Return the sum of a value and its currency; nothing where there are several."""
    rows = list(rows)
    currencies = {row["currency"] for row in rows} - {None}
    known = [row[value] for row in rows if row[value] is not None]
    return (None, None) if len(currencies) > 1 else (sum(known) if known else None, next(iter(currencies), None))


@pytest.fixture(params=PERIODS)
def period(request: pytest.FixtureRequest) -> Period:
    return PERIODS[request.param]


def test_costs(books: Books, period: Period) -> None:
    costs = [row for row in books.of("message_costs", "told_date", period) if row["is_charged"] is not None]
    expected = {
        key: (
            len(rows),
            count(rows, lambda row: row["billable"]),
            count(rows, lambda row: row["is_charged"]),
            count(rows, lambda row: row["is_charged"] and row["cost_micros"] is None),
            # Beside charged messages, what is free adds nothing to know.
            *single([row for row in rows if row["is_charged"]] or rows, "cost_micros"),
        )
        for key, rows in grouped(costs, "source", "direction", "category", "pricing_type").items()
    }
    assert numbers(books.asked("report_costs", period), 4) == expected
    assert any(money for *_, money, _ in expected.values())
    assert period.source or any(unpriced for _, _, _, unpriced, _, _ in expected.values())


def test_templates(books: Books, period: Period) -> None:
    sent = {row["message_id"]: row for row in books.of("template_messages", "sent_date", period)}.values()
    read = {"read", "seen", "played"}
    delivered = {*read, "delivered"}
    expected = {
        key: (
            len(rows),
            count(rows, lambda row: row["state"] in {*delivered, "sent"}),
            count(rows, lambda row: row["state"] in delivered),
            count(rows, lambda row: row["state"] in read),
            count(rows, lambda row: row["state"] in FAILED),
            count(rows, lambda row: row["clicked_at"]),
            count(rows, lambda row: row["is_answered_within_day"]),
        )
        for key, rows in grouped(sent, "source", "template", "language").items()
    }
    assert numbers(books.asked("report_templates", period), 3) == expected
    messages, *further, _, _, answered = map(sum, zip(*expected.values(), strict=True))
    assert messages >= answered > 0 < min(further)


def test_acquisitions(books: Books, period: Period) -> None:
    came = grouped(books.of("acquisitions", "came_date", period), "source", "kind", "ad_id", "campaign")
    expected = {
        key: (
            min((row["headline"] for row in rows if row["headline"]), default=None),
            len(rows),
            len({row["conversation_id"] for row in rows}),
            count(rows, lambda row: row["answered_at"]),
            sum(row["conversions"] for row in rows),
            *single(rows, "value_micros"),
        )
        for key, rows in came.items()
    }
    asked = books.asked("report_acquisitions", period)
    for row in asked:
        waits = [each["first_response_seconds"] for each in came[tuple(row.values())[:4]]]
        is_near(row.pop("median"), waits, 0.5)
    assert numbers(asked, 4) == expected
    assert any(row["value_micros"] for row in asked)


def test_actors(books: Books, period: Period) -> None:
    answers = {row["message_id"]: row for row in books.of("actors", "sent_date", period)}.values()
    expected = {
        key: (len(rows), len({row["conversation_id"] for row in rows}))
        for key, rows in grouped(answers, "source", "actor_kind", "actor_name").items()
    }
    assert numbers(books.asked("report_actors", period), 3) == expected
    assert {kind for _, kind, _ in expected} >= {"human", "bot"}


def test_handovers(books: Books, period: Period) -> None:
    handed = grouped(books.of("handovers", "handed_date", period), "source", "kind", "to_kind", "to_name")
    expected = {
        key: (len({row["handover_id"] for row in rows}), len({row["conversation_id"] for row in rows}))
        for key, rows in handed.items()
    }
    assert numbers(books.asked("report_handovers", period), 4) == expected
    assert period.source or expected


def test_ratings(books: Books, period: Period) -> None:
    told = grouped(books.of("ratings", "rated_date", period), "source", "scale")
    expected = {}
    for key, rows in told.items():
        scores = [row["score"] for row in rows if row["score"] is not None]
        levels = Counter("low" if score < 0.5 else "middling" if score < 0.75 else "high" for score in scores)
        points = [row["points"] for row in rows if row["points"] is not None]
        mean = round(sum(points) / len(points), 6) if points else None
        expected[key] = (
            len(rows),
            levels["low"],
            levels["middling"],
            levels["high"],
            len(rows) - len(scores),
            mean,
        )
    assert numbers(books.asked("report_ratings", period), 2) == expected
    assert expected


def test_sessions(books: Books, period: Period) -> None:
    began = books.of("conversation_report", "started_date", period)
    sessions = {**grouped(began, "source"), ("",): began}
    asked = {row["of_source"]: row for row in books.asked("report_sessions", period)}
    answers = {row["of_source"]: row for row in books.asked("report_first_answers", period)}
    assert set(asked) == {name for (name,) in sessions}
    for (name,), rows in sessions.items():
        row = asked[name]
        assert row["sessions"] == len(rows)
        assert row["reopened"] == count(rows, lambda each: each["is_reopened"])
        assert row["unanswered"] == count(rows, lambda each: each["is_unanswered"])
        assert row["closed"] == count(rows, lambda each: each["closed_at"])
        assert row["resolved"] == count(rows, lambda each: each["is_resolved_for_7_days"])
        assert row["came_back"] == count(rows, lambda each: each["is_resolved_for_7_days"] is False)
        is_spread(row, "", [each["first_response_seconds"] for each in rows])
        for kind in ("human", "bot"):
            waits = [each[f"first_{kind}_response_seconds"] for each in rows]
            known = [wait for wait in waits if wait is not None]
            answered = answers.get(name)
            assert (answered[f"{kind}_sessions"] if answered else 0) == len(known)
            if answered:
                is_spread(answered, f"{kind}_", waits)
    assert asked[""]["sessions"] > 20
    assert answers[""]["human_sessions"] > answers[""]["bot_sessions"] > 0 or period.source


def is_spread(row: Row, of: str, waits: list[float | None]) -> None:
    is_near(row[f"{of}median"], waits, 0.5)
    is_near(row[f"{of}p90"], waits, 0.9)


def is_near(found: float | None, waits: list[float | None], share: float) -> None:
    """Assert that a quantile is one of those around its place: it is approximate."""
    known = sorted(wait for wait in waits if wait is not None)
    if not known:
        assert found is None
        return
    near = known[max(0, int(share * len(known)) - 2) : int(share * len(known)) + 2]
    assert found is not None
    assert near[0] <= found <= near[-1]


def test_the_page_has_a_place_for_each_panel_and_an_empty_one_says_what_to_do(books: Books) -> None:
    page = create_app(books.warehouse, today=lambda: THIRD).test_client()
    frame = page.get("/reports/").text
    assert all(f"/panels/reports/{name}?" in frame for name in reports.PANELS)
    costs = page.get(f"/panels/reports/costs?from={START}&to={THIRD}").text
    assert "\N{NO-BREAK SPACE}EUR" in costs
    assert "parley rates check" in costs
    assert "handover.to" in page.get("/panels/reports/handovers?from=2020-01-01&to=2020-01-02").text
    assert page.get("/panels/reports/weather").status_code == 404


def test_unknown_costs_show_as_a_dash_and_not_as_nothing_and_their_number_is_left_out_by_name(shop: Shop) -> None:
    def told(name: str, state: str, category: str, to: str = "4915550000101") -> None:
        price = {"billable": True, "pricing_model": "PMP", "category": category, "type": "regular"}
        shop.receipt(f"wamid.{name}", state, NOON, pricing=price, recipient_id=to)

    columns = "source, category, number_prefix, unit, price_micros, currency"
    shop.analyst.insert("rates", f"({columns}) VALUES ('whatsapp', 'utility', '49', 'message', 1500000, 'EUR')")
    # Of these the charged one has no price, and the other is free, since it was not delivered.
    told("a", "read", "marketing")
    told("b", "sent", "marketing")
    # Of these two one has a price; of these none is charged.
    told("c", "read", "utility")
    told("d", "read", "utility", "33600000000")
    told("e", "sent", "authentication")
    shop.stored()
    page = create_app(shop.warehouse, today=lambda: WEEK.last_day).test_client()
    shown = html.unescape(page.get(f"/panels/reports/costs?from={NOON.date()}&to={NOON.date()}").text)
    texts = [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<t[dh][ >].*?</t[dh]>", shown, re.S)]
    title = "Direction Category Type Messages Billable Charged"
    assert texts[:9] == ["Source", *title.split(), "Without a price", "Cost"]
    rows = {texts[at + 2]: texts[at + 4 : at + 9] for at in range(9, len(texts), 9)}
    assert rows == {
        "Marketing": ["2", "2", "1", "1", "–"],
        "Utility": ["2", "2", "2", "1", "1.50\N{NO-BREAK SPACE}EUR"],
        "Authentication": ["1", "1", "0", "0", "0"],
    }
    assert "The costs leave out 2 charged messages that have no price" in shown


def test_money_is_told_of_one_currency() -> None:
    told = [money(110_000, "EUR"), money(12_500_000, "EUR"), money(0, None), money(None, None), money(5, None)]
    assert [each.replace("\N{NO-BREAK SPACE}", " ") for each in told] == ["0.1100 EUR", "12.50 EUR", "0", "–", "–"]
