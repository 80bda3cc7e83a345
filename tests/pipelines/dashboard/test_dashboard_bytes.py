"""What BigQuery would read for each question where 100 events a second have come for a year, by the schemas."""

import datetime as dt
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from dashboard_world import HOSTILE_EVENT, START, DashboardWorld
from google.api_core.exceptions import BadRequest, InternalServerError
from google.cloud import bigquery

from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.dashboard import reported, reports
from pipelines.dashboard.app import create_app
from pipelines.dashboard.period import Period
from pipelines.dashboard.warehouse import (
    DEFAULT_MAX_BYTES,
    MAX_BYTES,
    Row,
    UnansweredError,
    Warehouse,
    max_bytes,
    questions,
    rendered,
)
from pipelines.dashboard.widest import widest
from pipelines.generate.people import MOST
from pipelines.generate.volume import volume
from pipelines.run.desk import Desk
from schemas.scans import scans

pytestmark = pytest.mark.thorough

EVENTS_A_DAY = 100 * 86_400
TARGET = Target("some-project", "rows", "views")
LAST = START.date() + dt.timedelta(days=3)
A_THIRD = volume(several=MOST)
"""Of people with several ids."""
YEAR = frozenset(LAST + dt.timedelta(days=number) for number in range(-182, 183))
"""Days around those that are asked for, so that what lies after them counts as well."""
WEEK = Period(LAST - dt.timedelta(days=6), LAST)
REFUSAL = "Query exceeded limit for bytes billed: 53687091200. 64424509440 or higher required."


def read(question: str, parameters: Mapping[str, Any]) -> float:
    sql, scalars = rendered(question, TARGET, parameters)
    return A_THIRD.scanned(scans(sql, scalars, YEAR), EVENTS_A_DAY)


class Listening(Warehouse):
    """Remembers what it was asked."""

    def __init__(self, world: DashboardWorld) -> None:
        super().__init__(world.target, lambda: world.client)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def ask(self, question: str, **parameters: Any) -> list[Row]:
        self.asked.append((question, parameters))
        return super().ask(question, **parameters)


def _contact(world: DashboardWorld) -> str:
    (row,) = world.query("SELECT contact_id FROM parley.contacts ORDER BY messages DESC, contact_id LIMIT 1")
    return str(row["contact_id"])


@pytest.mark.parametrize("question", questions())
def test_every_question_of_a_week_is_under_the_limit(question: str) -> None:
    found = read(question, widest(WEEK)[question])

    assert 0 < found < DEFAULT_MAX_BYTES, f"{found / 2**30:.1f} GiB"


@pytest.mark.parametrize("question", sorted(set(questions()) - {"runs", "run_states"}))
def test_every_question_to_a_partitioned_table_is_bounded_in_time(question: str) -> None:
    sql, scalars = rendered(question, TARGET, widest(WEEK)[question])
    far = frozenset(LAST + dt.timedelta(days=number) for number in range(-4000, 400))

    for scan in scans(sql, scalars, far):
        assert scan.days is None or len(scan.days) < 800, scan.table


@pytest.mark.parametrize(
    "question",
    [
        "activity",
        "message_list",
        "event_list",
        "outcomes",
        "dead_letters",
        "troubles",
        "letter_days",
        "letter_list",
    ],
)
def test_what_reads_one_table_is_under_the_limit_for_a_month(question: str) -> None:
    month = Period(LAST - dt.timedelta(days=29), LAST)

    assert read(question, widest(month)[question]) < DEFAULT_MAX_BYTES


def test_whatever_a_page_asks_is_no_wider_than_the_widest(world: DashboardWorld) -> None:
    warehouse = Listening(world)
    noon = dt.datetime.combine(LAST, dt.time(12), dt.UTC)
    desk = Desk("http://127.0.0.1:1", "token")
    visitor = create_app(warehouse, None, [], lambda: LAST, desk, lambda: noon).test_client()
    conversation = world.conversation_of(HOSTILE_EVENT)
    paths = ["/conversations/?waiting=1&contact=6", "/conversations/", "/dead-letters/", "/runs/", "/runs/x"]
    paths += [f"/panels/{name}" for name in ("status", "totals", "activity", "funnel", "responses", "troubles")]
    paths += [f"/panels/reports/{name}" for name in reports.PANELS]
    paths += [
        "/messages/",
        "/messages/?text=a",
        "/messages/?which=read",
        "/messages/?which=unanswered",
        "/response-times/",
        "/dead-letters/?format=csv",
        "/webhooks/",
    ]
    paths += [
        "/panels/totals?from=2026-06-01&to=2026-06-07",
        f"/conversations/{conversation}?day={START.date()}",
        f"/conversations/{conversation}?day=2026-04-09",
        f"/conversations/{conversation}?day=2026-12-01",
        "/people/?several=1&contact=6",
        f"/people/{_contact(world)}?day={START.date()}",
        f"/events/{START.date()}/{HOSTILE_EVENT}",
    ]
    for path in paths:
        assert visitor.get(path).status_code in {200, 404}, path

    assert {question for question, _ in warehouse.asked} == set(questions())
    for question, parameters in warehouse.asked:
        assert read(question, parameters) <= read(question, widest(WEEK)[question]), (question, parameters)


def test_no_question_reads_content_but_those_that_show_it() -> None:
    showing = set()
    for question, parameters in widest(WEEK).items():
        sql, scalars = rendered(question, TARGET, parameters)
        if any(scan.columns & {"content", "data"} for scan in scans(sql, scalars, YEAR)):
            showing.add(question)

    reading = {
        "report_sessions"
    }  # Of the reports, who wrote and what was told of prices, referrals and ratings is in it.
    assert showing == {"answers", "dead_letters", "items", "search", "texts", *reported.REACH} - reading


@pytest.mark.parametrize("kind", [BadRequest, InternalServerError])
def test_a_question_that_would_read_more_says_how_much_and_what_helps(kind: type[Exception]) -> None:
    # The client makes a fault of the server of whatever reason it does not know.
    def refused() -> None:
        raise kind(REFUSAL)

    warehouse = Warehouse(TARGET, lambda: None, 50 * 2**30)  # type: ignore[arg-type, return-value]
    with pytest.raises(UnansweredError) as caught:
        warehouse.guarded(refused)

    assert "would read 60 GiB" in str(caught.value)
    assert "50 GiB" in str(caught.value)
    assert MAX_BYTES in str(caught.value)
    assert not caught.value.will_pass


def test_every_question_is_sent_with_the_limit() -> None:
    sent: list[bigquery.QueryJobConfig] = []

    class Client:
        def query(self, sql: str, job_config: bigquery.QueryJobConfig) -> Any:
            sent.append(job_config)
            return SimpleNamespace(result=lambda timeout: [])

    warehouse = Warehouse(TARGET, Client, 12_345_678)  # type: ignore[arg-type]
    for question, parameters in widest(WEEK).items():
        warehouse.ask(question, **parameters)
    assert [config.maximum_bytes_billed for config in sent] == [12_345_678] * len(questions())


def test_the_limit_is_a_setting() -> None:
    assert max_bytes({}) == max_bytes({MAX_BYTES: " "}) == DEFAULT_MAX_BYTES
    assert max_bytes({MAX_BYTES: "1000000000"}) == 1_000_000_000
    for wrong in ("50 GiB", "-1", "0", "1e9"):
        with pytest.raises(ConfigurationError, match=re.escape(MAX_BYTES)):
            max_bytes({MAX_BYTES: wrong})
