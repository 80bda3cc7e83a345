"""The main job with its real parts: webhooks over HTTP, Pub/Sub over gRPC, SQL over rows."""

import csv
import io
import json
import threading
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.local import environment, ready
from tests.e2e.conftest import PATIENCE, Stack
from tests.raw_events import text_message
from tests.schemas.cookbook import COOKBOOK, recipes


def bodies(start: int, count: int) -> list[bytes]:
    return [text_message(number).data for number in range(start, start + count)]


def parley(*arguments: str, code: int = 0) -> str:
    """Return what a command writes on standard output, run against the stack."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def count(start: int, end: int) -> str:
    """Return SQL that counts the messages which `bodies` made."""
    number = "CAST(REPLACE(source_message_id, 'm_', '') AS INT64)"
    return f"SELECT COUNT(*) FROM {{views}}.messages WHERE {number} >= {start} AND {number} < {end}"


def test_a_signed_webhook_becomes_a_message(stack: Stack):
    (body,) = bodies(0, 1)

    assert stack.post(body) == 200

    stack.wait_until(count(0, 1), 1)
    assert stack.scalar(count(0, 1)) == 1


def test_what_is_not_authentic_or_too_large_is_refused_and_leaves_nothing(stack: Stack):
    before = stack.scalar("SELECT COUNT(*) FROM {views}.events")
    (body,) = bodies(10, 1)
    verify = urllib.parse.urlencode({"hub.mode": "subscribe", "hub.verify_token": "wrong", "hub.challenge": "1"})

    assert stack.post(body, "sha256=" + "0" * 64) == 403
    assert stack.get(f"/facebook?{verify}") == 403
    assert stack.announce(5 * 1024 * 1024) == 413

    assert stack.post(bodies(11, 1)[0]) == 200
    stack.wait_until(count(11, 12), 1)
    assert stack.scalar("SELECT COUNT(*) FROM {views}.events") == before + 1


@pytest.mark.thorough
def test_a_pipeline_killed_under_load_loses_nothing_and_doubles_nothing(stack: Stack):
    # Of the rows, since the view takes longer than the pipeline.
    stored = count(1_000, 12_000).replace("{views}", "{rows}")
    stored = stored.replace("COUNT(*)", "COUNT(DISTINCT source_message_id)")
    statuses: list[int] = []
    killed = threading.Event()

    def load() -> None:
        """Post until the pipeline is dead, however quick it is, and some more for the one that follows."""
        for start in range(1_000, 11_800, 200):
            statuses.extend(stack.post_all(bodies(start, 200)))
            if killed.is_set():
                break
        statuses.extend(stack.post_all(bodies(11_800, 200)))

    thread = threading.Thread(target=load)
    thread.start()
    stack.wait_until(stored, 20)
    stack.kill("pipeline")
    killed.set()
    thread.join()
    posted = len(statuses)
    assert stack.scalar(stored) < posted, "the pipeline was done before it was killed"
    stack.start("pipeline")

    assert statuses == [200] * posted
    stack.wait_until(count(1_000, 12_000), posted)
    assert stack.scalar(count(1_000, 12_000)) == posted
    assert stack.scalar("SELECT COUNT(*) FROM {views}.events WHERE outcome != 'normalized'") == 0


def test_webhooks_are_taken_while_bigquery_is_down_and_their_rows_come_when_it_is_back(stack: Stack):
    stack.kill("bigquery")
    assert stack.post_all(bodies(12_000, 50)) == [200] * 50
    stack.start("bigquery")

    stack.wait_until(count(12_000, 12_050), 50)
    assert stack.scalar(count(12_000, 12_050)) == 50


def test_what_pubsub_has_forgotten_is_caught_up_from_the_archive(stack: Stack):
    stack.kill("pipeline")
    assert stack.post_all(bodies(13_000, 50)) == [200] * 50
    # What an operator finds where rows are late: the receiver is well, and the archive has what they lack.
    assert stack.get("/__heartbeat__") == 200
    found = parley("reconcile", "--source", "facebook", "--json", code=5)
    assert len(json.loads(found)["missing"]) == 50
    stack.forget_pubsub()
    stack.start("pubsub", "pipeline")

    stack.wait_until(count(13_000, 13_050), 50)
    assert stack.scalar(count(13_000, 13_050)) == 50


def test_an_analyst_gets_from_the_sample_to_a_csv_of_who_waits_how_long(stack: Stack, tmp_path: Path):
    parley("generate", "--conversations", "40", "--days", "2", "--here")
    archive = Path(stack.variables["PARLEY_ARCHIVE"])
    made = sum(
        1 for path in archive.rglob("sample-*.avro") for _ in fastavro.reader(io.BytesIO(path.read_bytes()))
    )
    stack.wait_until("SELECT COUNT(*) FROM {views}.events WHERE source != 'facebook'", 1)
    stack.wait_until("SELECT COUNT(*) FROM {views}.events WHERE received_date < CURRENT_DATE()", made)

    recipe = next(each for each in recipes(COOKBOOK.read_text("utf-8")) if "nine of ten" in each.question)
    (tmp_path / "waits.sql").write_text(recipe.sql.replace("LIMIT 6", ""), "utf-8")
    parley(
        *("query", "--file", str(tmp_path / "waits.sql")),
        *("--format", "csv", "--output", str(tmp_path / "waits.csv")),
    )

    with (tmp_path / "waits.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    asked = "SELECT COUNT(*) FROM {views}.response_times WHERE is_first"
    assert sum(int(row["questions"]) for row in rows) == stack.scalar(asked) > 0
    assert {row["hour"] for row in rows} <= {str(hour) for hour in range(24)}
    assert len({(row["source"], row["source_channel_id"], row["hour"]) for row in rows}) == len(rows)
    assert any(float(row["p90_minutes"] or 0) > 0 for row in rows)


@pytest.fixture(scope="module")
def sender(stack: Stack) -> None:
    # As a deployment has it: what visitors write is kept for a sender that starts later.
    ready.make_subscriptions_of_the_sender()
    stack.start("sender")


@pytest.mark.thorough
@pytest.mark.usefixtures("sender")
def test_reprocessing_the_whole_archive_answers_no_visitor_again(stack: Stack):
    messages, of_replies = stack.scalar(OF_VISITORS), stack.scalar(OF_REPLIES)
    visitor = Visitor(stack)
    visitor.ask("Is the shop open?")
    visitor.is_answered("Until six.")
    stack.wait_until(OF_VISITORS, messages + 2)
    # The reply, its attempt and its outcome, of which the last may come after the message.
    stack.wait_until(OF_REPLIES, of_replies + 3)
    before = visitor.messages()
    events = stack.scalar("SELECT COUNT(*) FROM {views}.events")

    run = parley("backfill", "plan", "--quiet").strip()
    parley("backfill", "apply", run)
    # Whoever sent anything again would have done it before this answer: it waits its turn in the conversation.
    visitor.is_answered("And from nine tomorrow.")

    after = visitor.messages()
    assert after[:-1] == before
    assert [each["content"]["text"] for each in after] == [
        "Is the shop open?", "Until six.", "And from nine tomorrow.",
    ]  # fmt: skip
    # The reply, its attempt and its outcome are all that came since.
    stack.wait_until("SELECT COUNT(*) FROM {views}.events", events + 3)
    assert stack.scalar("SELECT COUNT(*) FROM {views}.events") == events + 3
    assert stack.scalar(OF_VISITORS) == messages + 3


OF_VISITORS = "SELECT COUNT(*) FROM {views}.messages WHERE source = 'chatplugin'"
OF_REPLIES = "SELECT COUNT(*) FROM {views}.events WHERE source = 'replies'"


class Visitor:
    """Somebody on the live chat of a stack, and whoever answers them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._opened = self._post("/chatplugin.authenticate", {"channel_id": environment.CHAT_CHANNEL})

    def ask(self, text: str) -> None:
        """Ask, and wait until the question is there after the visitor's return: a sender stores it."""
        bearer = f"Bearer {self._opened['token']}"
        self._post("/chatplugin.send", {"message": {"text": text}}, Authorization=bearer)
        self._wait_for(text)

    def is_answered(self, text: str) -> None:
        """Answer, and wait until the visitor sees it."""
        token = self._stack.variables[environment.REPLY_TOKEN]
        reply = {
            "source": "chatplugin",
            "channel": environment.CHAT_CHANNEL,
            "to": self._opened["conversation_id"],
            "content": {"text": text},
        }
        self._post("/replies", reply, **{"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())})
        self._wait_for(text)

    def messages(self) -> list[dict[str, Any]]:
        """Return the conversation as it is there after the visitor's return."""
        asked = {"resume_token": self._opened["resume_token"]}
        return self._post("/chatplugin.authenticate", asked)["messages"]

    def _wait_for(self, text: str) -> None:
        def is_there() -> bool:
            return any(each["content"] == {"text": text} for each in self.messages())

        ready.wait_for(repr(text), is_there, PATIENCE)

    def _post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        address = f"http://127.0.0.1:{self._stack.ports.receiver}"
        request = urllib.request.Request(
            address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Origin": address, **headers},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
