"""`parley demo`: webhooks in, rows out, live and again in batch, and a comparison of the two."""

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

import click
from google.cloud import bigquery
from rich.console import Console
from rich.progress import track

from pipelines.bigquery.commands import show
from pipelines.bigquery.target import Target, client
from pipelines.local import environment, ready, samples
from pipelines.rows import TABLES
from schemas import loader

FOLDER = environment.DEFAULT_FOLDER / "demo"
_BATCH_PREFIX = "batch_"
_START_SECONDS = 120.0
_ARRIVAL_SECONDS = 60.0
_TIMED_WEBHOOKS = 5
_QUESTIONS = {
    "Messages, as an analyst reads them": """
        SELECT FORMAT_TIMESTAMP('%H:%M:%S', sent_at) AS sent, source, direction, kind,
          COALESCE(JSON_VALUE(content, '$.message.text'), JSON_VALUE(content, '$.postback.title')) AS text
        FROM messages ORDER BY sent_at""",
    "Conversations": """
        SELECT source, source_conversation_id AS contact, messages, inbound_messages AS inbound,
          outbound_messages AS outbound, FORMAT_TIMESTAMP('%H:%M:%S', last_message_at) AS last
        FROM conversations ORDER BY messages DESC, contact""",
    "Contacts": """
        SELECT source, source_contact_id, FORMAT_TIMESTAMP('%H:%M:%S', last_seen_at) AS last_seen
        FROM contacts ORDER BY source_contact_id""",
    "What is known beside the messages": """
        SELECT FORMAT_TIMESTAMP('%H:%M:%S', occurred_at) AS occurred, source, subject_type, key, value
        FROM metadata ORDER BY occurred_at, key""",
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
        sent = _send_samples()
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
    for webhook in track(webhooks, description="sending signed webhooks", console=console):
        _post(webhook.body)
    return len(webhooks)


def _post(body: bytes) -> None:
    secret = os.environ["PARLEY_FACEBOOK_APP_SECRETS"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{os.environ['PARLEY_PORT']}/facebook",
        data=body,
        headers={"Content-Type": "application/json", "X-Hub-Signature-256": samples.sign(body, secret)},
    )
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass
    except urllib.error.URLError as error:
        raise click.ClickException(f"the receiver did not take a webhook: {error}") from error


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
