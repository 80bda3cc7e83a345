"""`parley demo`: webhooks in, rows out, answers back, a bug of the past put right, live compared with batch."""

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from pipelines.bigquery.target import Target, client
from pipelines.core.rows import TABLES
from pipelines.demo import answers, bug_story, miscounting, samples
from pipelines.demo.warehouse import Warehouse
from pipelines.demo.webhooks import post_text, send_all
from pipelines.local import environment, ready
from pipelines.local.environment import Ports
from pipelines.local.processes import Processes
from pipelines.local.stack import commands
from pipelines.run import local_stack

FOLDER = local_stack.DEFAULT_FOLDER / "demo"
_BATCH_PREFIX = "batch_"
_START_SECONDS = 120.0
_TIMED_WEBHOOKS = 5
_PIPELINE = "pipeline"
_WRONG_PIPELINE = "the wrong pipeline"
_PYTHON = shlex.quote(sys.executable)
_MORNING = f"""
    SELECT FORMAT_TIMESTAMP('%H:%M:%S', sent_at) AS sent, t.source, direction, kind,
      COALESCE(text, attachments[SAFE_OFFSET(0)].type) AS text
    FROM message_texts AS t JOIN channels USING (channel_id)
    WHERE source_channel_id IN ('{samples.PAGE}', '{samples.PROFILE}')
    ORDER BY sent_at"""  # noqa: S608
_QUESTIONS = {
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
        SELECT key, COUNT(*) AS entries, COUNT(DISTINCT source) AS sources, MIN(NULLIF(value, '')) AS such_as
        FROM metadata GROUP BY key ORDER BY entries DESC LIMIT 12""",
    "The ledger: every webhook and what became of it": """
        SELECT outcome, COUNT(*) AS webhooks, SUM(`rows`) AS rows_made, SUM(dead_letters) AS dead_letters
        FROM events GROUP BY outcome ORDER BY outcome""",
    "Dead letters: the broken item, and only that": """
        SELECT source, stage, pointer, error_message FROM dead_letters""",
}

console = Console()


@click.command()
def demo() -> None:
    """Run the main job end to end on this machine; exit 0 only if live and batch agree, and history was fixed."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with _stack() as processes:
        where = Target.from_environment()
        warehouse = Warehouse(client(where), where)
        _title("Webhooks in, rows out")
        sent = send_all(console)
        _wait_for_events(warehouse, sent)
        warehouse.ask("A morning of two channels, as an analyst reads it", _MORNING)
        _title("Asked and answered")
        sent += answers.tell(console, warehouse)
        calls = answers.requests()
        _title("Counted wrongly, and put right for the past too")
        sent += bug_story.tell(console, warehouse, sent, lambda: _mend(processes), FOLDER / "plan.html")
        _title("What analysts can ask")
        for title, sql in _QUESTIONS.items():
            warehouse.ask(title, sql)
        _title("How fast, and whether batch makes the same")
        delays = [_time_one(warehouse, number) for number in range(_TIMED_WEBHOOKS)]
        sent += len(delays)
        console.print(
            f"From a webhook's 200 to its row in the view: {statistics.median(delays):.2f} s "
            f"(median of {len(delays)}; at most {max(delays):.2f} s)"
        )
        _wait_for_events(warehouse, sent)
        differences = _batch_and_compare(warehouse)
        answers.check_nothing_sent(console, calls)
    for difference in differences:
        console.print(f"[red]{difference}[/red]")
    if differences:
        sys.exit(1)
    console.print(
        f"[green]Live and batch agree, row for row, in {len(TABLES)} tables.[/green] "
        f"{sent} webhooks, {time.monotonic() - started:.0f} s. What it kept is in {FOLDER}."
    )


def _title(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


@contextmanager
def _stack() -> Iterator[Processes]:
    """Run the local stack, its output in a file, with a pipeline that is wrong."""
    ports = Ports().freed()
    for name in [name for name in os.environ if name.startswith("PARLEY_")]:
        del os.environ[name]
    os.environ.update(environment.variables(FOLDER, ports))
    Path(os.environ["PARLEY_ARCHIVE"]).mkdir(parents=True)
    # Not Google's emulator: it goes on sending to a pipeline that has ended, whatever has taken its place.
    parts = commands(FOLDER, ports, "own")
    with Processes(FOLDER / "stack.log") as processes:
        for name in ("pubsub", "bigquery", "receiver", "sandbox", "sender"):
            processes.start(name, parts[name])
        processes.start(
            _WRONG_PIPELINE, f"{_PYTHON} -m {ready.__name__} && exec {_PYTHON} -m {miscounting.__name__} stream"
        )
        try:
            with console.status("starting Pub/Sub, BigQuery, receiver and pipeline …"):
                _wait_for(processes, "the receiver", ready.receiver)
                _wait_for(processes, "BigQuery with its tables", ready.tables)
                _wait_for(processes, "the sandbox", ready.sandbox)
                # A reply that is published before there is a subscription is not heard.
                ready.make_subscriptions_of_the_sender()
            yield processes
        except ready.NotReadyError as error:
            raise click.ClickException(f"{error}\n{processes.last_lines()}") from error


def _wait_for(processes: Processes, what: str, is_ready: Callable[[], bool]) -> None:
    def look() -> bool:
        processes.check()
        return is_ready()

    ready.wait_for(what, look, _START_SECONDS)


def _mend(processes: Processes) -> None:
    """Let the right pipeline take over from the wrong one; Pub/Sub keeps what arrives in between."""
    processes.stop(_WRONG_PIPELINE)
    processes.start(_PIPELINE, f"exec {_PYTHON} -m pipelines.cli stream")


def _wait_for_events(warehouse: Warehouse, expected: int) -> None:
    with console.status(f"waiting for {expected} events in the ledger …"):
        warehouse.wait_for_events(expected)


def _time_one(warehouse: Warehouse, number: int) -> float:
    """Send one message; return the seconds from its 200 until the view shows it."""
    mid = f"m_timed-{number}"
    post_text(mid)
    answered = time.monotonic()
    sql = f"SELECT COUNT(*) FROM `V.messages` WHERE source_message_id = '{mid}'"  # noqa: S608
    warehouse.wait_for(f"message {mid} in the view", sql, 1)
    return time.monotonic() - answered


def _batch_and_compare(warehouse: Warehouse) -> list[str]:
    with console.status("the same again in batch, from the archive …"):
        command = [sys.executable, "-m", "pipelines.cli", "batch", "--into", _BATCH_PREFIX]
        done = subprocess.run(
            [*command, "--archive", os.environ["PARLEY_ARCHIVE"]], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise click.ClickException(f"the batch run failed:\n{done.stdout}{done.stderr}")
    console.print(done.stdout.strip(), markup=False)
    return warehouse.differences(Target.prefixed(warehouse.where.project, _BATCH_PREFIX))
