"""GoogleSQL's reference implementation answers each question of the dashboard as the local BigQuery does."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from bigquery_fixtures import Emulator
from google.cloud import bigquery

from pipelines.bigquery import resolving
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR
from pipelines.dashboard import reports
from pipelines.dashboard.app import create_app
from pipelines.dashboard.warehouse import Row, Warehouse, questions
from pipelines.run.desk import Desk
from schemas.raw_event import RawEvent, format_received_at
from tests.googlesql import reference
from tests.googlesql.engine import Engine
from tests.schemas import sample_world
from tests.schemas.analyst import Analyst

pytestmark = pytest.mark.thorough

FIRST, LAST = dt.date(2026, 3, 2), dt.date(2026, 3, 4)
EMPTY = {"contacts", "spoken", "message_keys"}
"""Questions that may have no answer in this world."""


class Compared(Warehouse):
    """Asks both, and remembers by question what was answered and where the two disagree."""

    def __init__(self, analyst: Analyst, googlesql: Engine) -> None:
        client = SimpleNamespace(query=self._query, query_and_wait=analyst.client.query_and_wait)
        super().__init__(analyst.target, lambda: client)  # type: ignore[arg-type, return-value]
        self.rows: dict[str, int] = defaultdict(int)
        self.disagreements: dict[str, list[str]] = defaultdict(list)
        self._question = ""
        self._analyst = analyst
        self._reference = reference.Reference(googlesql, analyst.rows)

    def ask(self, question: str, **parameters: Any) -> list[Row]:
        self._question = question
        return super().ask(question, **parameters)

    def begin(self, question: str, **parameters: Any) -> Future[list[Row]]:
        # One after the other: what is compared is remembered by the question that is asked.
        answered: Future[list[Row]] = Future()
        answered.set_result(self.ask(question, **parameters))
        return answered

    def _query(self, sql: str, job_config: bigquery.QueryJobConfig) -> Any:
        result = self._analyst.client.query(sql, job_config=job_config).result()
        rows = [dict(row) for row in result]
        answer = self._reference.query(sql, dict(reference.parameters_of(job_config)))
        if found := reference.disagreement(answer, rows, result.schema):
            self.disagreements[self._question].append(found)
        if reference.out_of_order(sql, answer, rows):
            self.disagreements[self._question].append("leaves the order open")
        self.rows[self._question] += len(rows)
        return SimpleNamespace(result=lambda timeout: rows)


@pytest.fixture(scope="module")
def compared(bigquery_emulator: Emulator, googlesql: Engine) -> Iterator[Compared]:
    """Whoever has opened every page of three days of a shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REST_EMULATOR, bigquery_emulator.rest)
        patch.setenv(GRPC_EMULATOR, bigquery_emulator.rpc)
        analyst = Analyst()
        with sample_world.custom_sources():
            events = [event for event in sample_world.sample_events() if event.received_at.date() <= LAST]
            broken = {**events[0].attributes, "event_id": "019caaaa-0000-7000-8000-00000000dead"}
            analyst.tell(*events, RawEvent(b"no json", broken), *_of_several_ids())
            analyst.tell(_reply(analyst), _handover())
            resolving.keep(analyst.client, analyst.target)
        analyst.insert("runs", sample_world.RUNS)
        warehouse = Compared(analyst, googlesql)
        noon = dt.datetime.combine(LAST, dt.time(12), dt.UTC)
        app = create_app(warehouse, None, [], lambda: LAST, Desk("http://127.0.0.1:1", "token"), lambda: noon)
        app.testing = True
        for path in _paths(analyst):
            assert app.test_client().get(path).status_code == 200, path
        yield warehouse
        analyst.close()


def _of_several_ids() -> Iterator[RawEvent]:
    """Yield what somebody wrote who is known by a phone number and a user id."""
    noon = dt.datetime.combine(LAST, dt.time(12), dt.UTC)
    senders = ({"from": "4915550000777", "from_user_id": "DE.777"}, {"from_user_id": "DE.777"})
    for number, sender in enumerate(senders):
        text = {"id": f"wamid.two{number}", "timestamp": str(int(noon.timestamp()) + number), "type": "text"}
        received, source, body, attributes = sample_world.whatsapp_event(
            noon, messages=[text | sender | {"text": {"body": "hello"}}]
        )
        event_id = f"019caaaa-0000-7000-8000-0000000007{number:02}"
        known = {"event_id": event_id, "source": source, "received_at": format_received_at(received)}
        yield RawEvent(body, attributes | known)


def _reply(analyst: Analyst) -> RawEvent:
    """Return a reply to the conversation of Messenger that `_paths` opens, on the day of its last message."""
    (found,) = analyst.query(
        "SELECT source_channel_id, source_conversation_id, conversations.last_message_at "
        "FROM parley.conversations JOIN parley.channels USING (channel_id) "
        "WHERE conversations.source = 'facebook' ORDER BY conversations.messages DESC, conversation_id LIMIT 1"
    )
    body = {
        "source": "facebook",
        "channel": found["source_channel_id"],
        "to": found["source_conversation_id"],
        "content": {"text": "Yes"},
    }
    attributes = {
        "event_id": "019caaaa-0000-7000-8000-00000000cafe",
        "source": "replies",
        "received_at": format_received_at(found["last_message_at"]),
        "content_type": "application/json",
        "reply_id": "8b5b64b4-8f5b-5a57-9a3c-6a1d2f4b7c11",
    }
    return RawEvent(json.dumps(body).encode(), attributes)


def _handover() -> RawEvent:
    """Return a conversation of Messenger that is passed to another app."""
    noon = dt.datetime.combine(LAST, dt.time(12), dt.UTC)
    milliseconds = int(noon.timestamp()) * 1_000
    passed = {
        "sender": {"id": "visitor-7"},
        "recipient": {"id": "page-7"},
        "timestamp": milliseconds,
        "pass_thread_control": {"new_owner_app_id": "263902037430900", "metadata": "a human, please"},
    }
    body = {"object": "page", "entry": [{"id": "page-7", "time": milliseconds, "messaging": [passed]}]}
    attributes = {
        "event_id": "019caaaa-0000-7000-8000-00000000abed",
        "source": "facebook",
        "received_at": format_received_at(noon),
    }
    return RawEvent(json.dumps(body).encode(), attributes)


def _paths(analyst: Analyst) -> Iterator[str]:
    period = f"from={FIRST}&to={LAST}"
    panels = ("status", "totals", "activity", "funnel", "responses", "troubles")
    yield from (f"/panels/{name}?{period}" for name in panels)
    yield from (f"/messages/?{period}", f"/messages/?text=o&from={LAST}&to={LAST}", f"/webhooks/?{period}")
    yield from (f"/messages/?which={name}&{period}" for name in ("read", "unanswered", "within_1_hour"))
    yield from (f"/response-times/?{period}", f"/response-times/?business=1&{period}")
    yield from (f"/panels/reports/{name}?{period}" for name in reports.PANELS)
    yield "/panels/totals?from=2026-03-20&to=2026-03-21"
    yield from (f"/conversations/?{period}", f"/conversations/?waiting=1&{period}", f"/dead-letters/?{period}")
    yield f"/dead-letters/?format=csv&{period}"
    yield from ("/runs/", "/runs/019cbbbb-1")
    spoken = "SELECT conversation_id, DATE(MAX(sent_at)) AS day FROM parley.messages GROUP BY 1"
    # Of a person with several ids, of a user id among them.
    (found,) = analyst.query(
        "SELECT told.conversation_id, MAX(told.sent_date) AS day FROM parley.messages_as_told AS told "
        "INNER JOIN parley.identities AS me ON me.contact_id = told.contact_id "
        "WHERE me.resolved_contact_id != me.contact_id GROUP BY told.conversation_id "
        "ORDER BY told.conversation_id LIMIT 1"
    )
    yield f"/conversations/{found['conversation_id']}?day={found['day']}"
    yield from (f"/people/?{period}", f"/people/?several=1&contact=5&{period}")
    people = analyst.query(
        "SELECT person_id, DATE(MAX(last_message_at)) AS day FROM parley.people WHERE messages > 0 "
        f"AND DATE(first_message_at) <= '{LAST}' GROUP BY person_id ORDER BY MAX(messages) DESC, person_id LIMIT 3"
    )
    yield from (f"/people/{row['person_id']}?day={row['day']}" for row in people)
    for source in ("facebook", "whatsapp", "shop-app"):
        (found,) = analyst.query(
            f"{spoken}, source HAVING source = '{source}' ORDER BY COUNT(*) DESC, conversation_id LIMIT 1"
        )
        yield f"/conversations/{found['conversation_id']}?day={found['day']}"
    (event,) = analyst.query(
        "SELECT event_id, DATE(received_at) AS day FROM parley.messages ORDER BY received_at, event_id LIMIT 1"
    )
    yield f"/events/{event['day']}/{event['event_id']}"


@pytest.mark.parametrize("question", questions())
def test_a_question_gives_what_googlesql_gives(question: str, compared: Compared) -> None:
    assert question in compared.rows, "no page asks it"
    assert compared.disagreements[question] == []
    assert compared.rows[question] or question in EMPTY
