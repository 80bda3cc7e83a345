"""`parley demo`: webhooks in, rows out, live and again in batch, and a comparison of the two."""

import datetime as dt
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from google.cloud import bigquery
from rich.console import Console
from rich.progress import track

from pipelines.bigquery.commands import show
from pipelines.bigquery.target import Target, client
from pipelines.generate.command import UNSENDABLE
from pipelines.generate.delivery import of_day
from pipelines.generate.send import send
from pipelines.generate.signing import signers
from pipelines.generate.story import WEIGHTS, World
from pipelines.local import environment, ready, samples
from pipelines.rows import TABLES
from pipelines.times import MICROS_PER_DAY, to_micros
from schemas import loader

FOLDER = environment.DEFAULT_FOLDER / "demo"
_BATCH_PREFIX = "batch_"
_START_SECONDS = 120.0
_ARRIVAL_SECONDS = 60.0
_TIMED_WEBHOOKS = 5
_WORLD_CONVERSATIONS = 60
_WORLD_DAYS = 5
_QUESTIONS = {
    "A morning of two channels, as an analyst reads it": f"""
        SELECT FORMAT_TIMESTAMP('%H:%M:%S', sent_at) AS sent, t.source, direction, kind,
          COALESCE(text, attachments[SAFE_OFFSET(0)].type) AS text
        FROM message_texts AS t JOIN channels USING (channel_id)
        WHERE source_channel_id IN ('{samples.PAGE}', '{samples.PROFILE}') ORDER BY sent_at""",  # noqa: S608
    "The busiest conversations of every source": """
        SELECT source, source_conversation_id AS conversation, messages, inbound_messages AS inbound,
          outbound_messages AS outbound, CAST(DATE(last_message_at) AS STRING) AS last_on
        FROM conversations WHERE messages > 0
        QUALIFY ROW_NUMBER() OVER (PARTITION BY source ORDER BY messages DESC, conversation_id) = 1
        ORDER BY messages DESC""",
    "Contacts, as far as their sources name them": """
        SELECT source, source_contact_id, display_name
        FROM contacts WHERE display_name IS NOT NULL
        QUALIFY ROW_NUMBER() OVER (PARTITION BY source ORDER BY source_contact_id) = 1 ORDER BY source""",
    "What is known beside the messages": """
        SELECT key, COUNT(*) AS facts, COUNT(DISTINCT source) AS sources, MIN(NULLIF(value, '')) AS such_as
        FROM metadata GROUP BY key ORDER BY facts DESC LIMIT 12""",
    "The ledger: every webhook and what became of it": """
        SELECT outcome, COUNT(*) AS webhooks, SUM(`rows`) AS rows_made, SUM(dead_letters) AS dead_letters
        FROM events GROUP BY outcome ORDER BY outcome""",
    "Dead letters: the broken item, and only that": """
        SELECT source, stage, pointer, error_message FROM dead_letters""",
}

console = Console()


@click.command()
@click.option("--pubsub", type=click.Choice(["auto", "google", "own"]), default="auto", show_default=True)
def demo(pubsub: str) -> None:
    """Run the main job end to end on this machine; exit 0 only if live and batch agree."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with _stack(pubsub):
        where = Target.from_environment()
        warehouse = client(where)
        sent = _send_samples() + _send_world() + _send_chat()
        _wait_for_events(warehouse, where, sent)
        for title, sql in _QUESTIONS.items():
            _ask(warehouse, where, title, sql)
        delays = [_time_one(warehouse, where, number) for number in range(_TIMED_WEBHOOKS)]
        sent += len(delays)
        console.print(
            f"From a webhook's 200 to its row in the view: {statistics.median(delays):.2f} s "
            f"(median of {len(delays)}; at most {max(delays):.2f} s)"
        )
        differences = _batch_and_compare(warehouse, where)
    for difference in differences:
        console.print(f"[red]{difference}[/red]")
    if differences:
        sys.exit(1)
    console.print(
        f"[green]Live and batch agree, row for row, in {len(TABLES)} tables.[/green] "
        f"{sent} webhooks, {time.monotonic() - started:.0f} s. What it kept is in {FOLDER}."
    )


@contextmanager
def _stack(pubsub: str) -> Iterator[None]:
    """Run the local stack, its output in a file."""
    command = [sys.executable, "-m", "pipelines.cli", "run", "--folder", str(FOLDER), "--pubsub", pubsub]
    log = FOLDER / "stack.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    with log.open("wb") as output:
        stack = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
    try:
        with console.status("starting Pub/Sub, BigQuery, receiver and pipeline …"):
            ready.wait_for(
                f"the local stack (see {log})",
                lambda: (FOLDER / environment.STACK_FILE).exists() or stack.poll() is not None,
                _START_SECONDS,
            )
        if stack.poll() is not None:
            raise click.ClickException(f"the local stack did not start:\n{_tail(log)}")
        os.environ.pop("PARLEY_PROJECT", None)
        environment.adopt(FOLDER)
        yield
    except ready.NotReadyError as error:
        raise click.ClickException(f"{error}\n{_tail(log)}") from error
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-30:])


def _send_samples() -> int:
    webhooks = list(samples.webhooks())
    for webhook in track(webhooks, description="sending signed webhooks    ", console=console):
        _post(webhook.body)
    return len(webhooks)


def _send_world() -> int:
    """Send what some dozens of people wrote through every source that signs its webhooks."""
    sources = tuple(source for source in WEIGHTS if source not in UNSENDABLE)
    start = to_micros(dt.datetime.now(dt.UTC)) - _WORLD_DAYS * MICROS_PER_DAY
    world = World(_WORLD_CONVERSATIONS, 1, start // MICROS_PER_DAY * MICROS_PER_DAY, _WORLD_DAYS, sources)
    endpoints = frozenset({"facebook", "whatsapp", "twilio", "google", "airy"})
    deliveries = [delivery for day in range(world.days) for delivery in of_day(world, day)]
    watched = track(deliveries, description="sending a sample world     ", console=console)
    answers = send(watched, _receiver(), 0.0, signers(os.environ, endpoints))
    if not set(answers) <= {200, 204}:
        raise click.ClickException(f"the receiver did not take every webhook: {dict(answers)}")
    return len(deliveries)


def _send_chat() -> int:
    """Write in the live chat as its widget does; one message twice, as after a lost answer."""
    texts = ["Hi! Do you deliver to Iceland?", "It is for my sister.", "It is for my sister."]
    door = {"Origin": _receiver(), "Content-Type": "application/json"}
    opened = _request("/chatplugin.authenticate", {"channel_id": environment.CHAT_CHANNEL}, door)
    for text in texts:
        key = {"Authorization": f"Bearer {opened['token']}", "Idempotency-Key": f"demo-{texts.index(text)}"}
        _request("/chatplugin.send", {"message": {"text": text}}, door | key)
    return len(texts)


def _post(body: bytes) -> None:
    signature = samples.sign(body, os.environ["PARLEY_FACEBOOK_APP_SECRETS"])
    _request("/facebook", body, {"Content-Type": "application/json", "X-Hub-Signature-256": signature})


def _request(path: str, body: bytes | dict[str, Any], headers: dict[str, str]) -> Any:
    """Post to the receiver and return its JSON answer, where it gives one."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(_receiver() + path, data=data, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own loopback URL
            return json.loads(response.read() or b"null")
    except urllib.error.URLError as error:
        raise click.ClickException(f"the receiver did not take a request to {path}: {error}") from error


def _receiver() -> str:
    return f"http://127.0.0.1:{os.environ['PARLEY_PORT']}"


def _wait_for_events(warehouse: bigquery.Client, where: Target, expected: int) -> None:
    sql = f"SELECT COUNT(DISTINCT event_id) FROM `{where.table('events')}`"  # noqa: S608
    with console.status(f"waiting for {expected} events in the ledger …"):
        ready.wait_for(
            f"the ledger's row of every one of {expected} webhooks",
            lambda: _scalar(warehouse, sql) >= expected,
            _ARRIVAL_SECONDS,
        )


def _time_one(warehouse: bigquery.Client, where: Target, number: int) -> float:
    """Send one message; return the seconds from its 200 until the view shows it."""
    mid = f"m_timed-{number}"
    body = next(iter(samples.webhooks())).body.replace(b"m_anna-1", mid.encode())
    _post(body)
    answered = time.monotonic()
    sql = f"SELECT COUNT(*) FROM `{where.view('messages')}` WHERE source_message_id = '{mid}'"  # noqa: S608
    ready.wait_for(f"message {mid} in the view", lambda: _scalar(warehouse, sql) > 0, _ARRIVAL_SECONDS)
    return time.monotonic() - answered


def _scalar(warehouse: bigquery.Client, sql: str) -> int:
    return int(next(iter(warehouse.query(sql).result()))[0])


def _ask(warehouse: bigquery.Client, where: Target, title: str, sql: str) -> None:
    config = bigquery.QueryJobConfig(default_dataset=f"{where.project}.{where.views_dataset}")
    show(warehouse.query(sql, job_config=config).result(), title=title)


def _batch_and_compare(warehouse: bigquery.Client, live: Target) -> list[str]:
    with console.status("the same again in batch, from the archive …"):
        command = [sys.executable, "-m", "pipelines.cli", "batch", "--into", _BATCH_PREFIX]
        done = subprocess.run(
            [*command, "--archive", os.environ["PARLEY_ARCHIVE"]], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise click.ClickException(f"the batch run failed:\n{done.stdout}{done.stderr}")
    console.print(done.stdout.strip(), markup=False)
    again = Target.prefixed(live.project, _BATCH_PREFIX)
    return [line for table in TABLES for line in compare(warehouse, table, live, again)]


def compare(warehouse: bigquery.Client, table: str, live: Target, again: Target) -> Sequence[str]:
    """Return in words how the rows of a table differ between two targets, `processed_at` left aside."""
    names = [column.name for column in loader.tables()[table].columns if column.name != "processed_at"]
    columns = ", ".join(
        f"ARRAY_TO_STRING({c.name}, ',') AS {c.name}" if c.mode == "REPEATED" else c.name
        for c in loader.tables()[table].columns
        if c.name in names
    )
    found = []
    for here, there, word in ((live, again, "live"), (again, live, "in batch")):
        sql = (
            f"SELECT {columns} FROM `{here.table(table)}` EXCEPT DISTINCT "  # noqa: S608
            f"SELECT {columns} FROM `{there.table(table)}`"
        )
        rows = list(warehouse.query(sql).result())
        if rows:
            found.append(f"{table}: {len(rows)} rows only {word}, such as {dict(rows[0].items())}")
    return found
