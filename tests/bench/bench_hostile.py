"""Measures what six hostile bodies of proven senders cost: memory of the pipeline, and delay of another source.

    python -m tests.bench.bench_hostile [--seconds 20] [--rate 20]

A stack of its own runs as `parley run` starts it. WhatsApp's webhooks come at a steady rate; after a third of the
time six bodies of nearly 4 MiB come to Facebook's endpoint, signed, made to become as many and as large rows as
can be. An event's delay lasts from its receipt until its ledger row is made. All share the processors. Prints what
it found, and fails where the pipeline takes 600 MB, another source's event 2 s more than before, or a body more
than one dead letter.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import click

from pipelines.bigquery.target import Target, client
from pipelines.demo.samples import sign
from pipelines.local import ready
from tests.bench.bench_streaming import Watched
from tests.bench.world import OUT
from tests.e2e.conftest import Stack

BODY_BYTES: Final = 4 * 1024 * 1024
MOST_MB: Final = 600.0
MOST_DELAY_MS: Final = 2_000
PATIENCE_SECONDS: Final = 120
ENDS: Final = {"sender": {"id": "5"}, "recipient": {"id": "1"}}
LONG: Final = "x" * 1024 * 1024
DELAYS: Final = """
    SELECT event_id, MIN(received_at), TIMESTAMP_DIFF(MIN(processed_at), MIN(received_at), MILLISECOND)
    FROM `{}` WHERE source = 'whatsapp' GROUP BY event_id ORDER BY 2
"""
LETTERS: Final = """
    SELECT event.event_id, ANY_VALUE(event.outcome), COUNT(letter.event_id)
    FROM `{}` AS event LEFT JOIN `{}` AS letter USING (event_id)
    WHERE event.source = 'facebook' GROUP BY event.event_id
"""


def page(entry: dict[str, Any]) -> bytes:
    """Return Messenger's envelope of one entry."""
    return json.dumps({"object": "page", "entry": [entry]}, separators=(",", ":")).encode()


def largest(make: Callable[[int], bytes]) -> bytes:
    """Return what is made for a number whose body is nearly as long as any may be."""
    none, some = len(make(0)), len(make(25_000))
    body = make(int(0.78 * 25_000 * (BODY_BYTES - none) / (some - none)))
    assert 0.5 * BODY_BYTES < len(body) < BODY_BYTES, len(body)
    return body


def hostile() -> list[bytes]:
    """Return bodies whose rows would grow with the square of their length, and one that is nested very deep."""
    depth = (BODY_BYTES - 100) // 2
    return [
        largest(
            lambda n: page({"id": "1", "messaging": [{**ENDS, "delivery": {"mids": [f"m{i}" for i in range(n)]}}]})
        ),
        largest(lambda n: page({"id": "1", **{f"k{i}": i for i in range(n)}})),
        largest(lambda n: page({"id": "1", "messaging": [{**ENDS, **{f"k{i}": i for i in range(n)}}]})),
        largest(
            lambda n: page({"id": LONG, "messaging": [{**ENDS, "message": {"mid": f"m{i}"}} for i in range(n)]})
        ),
        largest(lambda n: page({"id": LONG, "messaging": [{**ENDS, "read": {"watermark": i}} for i in range(n)]})),
        b'{"object":"page","entry":' + b"[" * depth + b"]" * depth + b"}",
    ]


def message(number: int) -> bytes:
    """Return a message of WhatsApp's."""
    told = {"id": f"wamid.{number}", "from": "4915", "type": "text", "timestamp": str(int(time.time()))}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": "1", "display_phone_number": "2"},
        "messages": [told | {"text": {"body": "Are you open?"}}],
    }
    change = {"field": "messages", "value": value}
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [change]}]}
    ).encode()


def post(stack: Stack, source: str, body: bytes) -> int:
    """Post a signed webhook and return the status."""
    secret = stack.variables[f"PARLEY_{source.upper()}_APP_SECRETS"]
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body, secret)}
    address = f"http://127.0.0.1:{stack.ports.receiver}/{source}"
    with urlopen(Request(address, body, headers), timeout=60) as response:
        return int(response.status)


def measure(stack: Stack, seconds: float, rate: float) -> bool:
    """Send, wait until everything is stored, print what was found; return whether it is as promised."""
    where = Target.prefixed(stack.variables["PARLEY_PROJECT"])
    # The first events wait until the pipeline reads, and imports what it needs.
    for number in range(20):
        post(stack, "whatsapp", message(-1 - number))
    stack.wait_until("SELECT COUNT(DISTINCT event_id) FROM {rows}.events", 20)
    watched = Watched(stack._processes["pipeline"].pid, 0.1)
    watched.start()
    bodies, started = hostile(), time.monotonic()
    count, hostile_at = int(seconds * rate), ""
    with ThreadPoolExecutor(8) as threads:
        for number in range(count):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            threads.submit(post, stack, "whatsapp", message(number))
            if number == count // 3:
                hostile_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                answers = [threads.submit(post, stack, "facebook", body) for body in bodies]
        refused = sum(answer.result() != 200 for answer in answers)
    stack.wait_until("SELECT COUNT(DISTINCT event_id) FROM {rows}.events", 20 + count + len(bodies))
    peak = max(watched.end())
    warehouse = client(where)
    delays = [
        (row[1].strftime("%Y-%m-%dT%H:%M:%SZ"), row[2])
        for row in warehouse.query_and_wait(DELAYS.format(where.table("events")))
    ][20:]
    before = max(delay for at, delay in delays if at < hostile_at)
    during = sorted(delay for at, delay in delays if at >= hostile_at)
    letters = [
        (row[1], row[2])
        for row in warehouse.query_and_wait(LETTERS.format(where.table("events"), where.table("dead_letters")))
    ]
    sizes = ", ".join(f"{len(body):,}" for body in bodies)
    outcomes = ", ".join(f"{outcome} with {number}" for outcome, number in letters)
    middle, last = during[len(during) // 2], during[-1]
    click.echo(f"hostile bodies    {len(bodies)} of {sizes} bytes, {refused} refused")
    click.echo(f"their outcomes    {outcomes} dead letters")
    click.echo(f"pipeline's peak   {peak:.0f} MB")
    click.echo(f"others' delay     at most {before} ms before; then median {middle}, at most {last} ms")
    only_itself = len(letters) == len(bodies) and all(each == ("failed", 1) for each in letters)
    return not refused and only_itself and peak < MOST_MB and during[-1] < before + MOST_DELAY_MS


@click.command()
@click.option("--seconds", default=20.0, show_default=True)
@click.option("--rate", default=20.0, show_default=True, help="WhatsApp's webhooks a second.")
def main(seconds: float, rate: float) -> None:
    """Measure what hostile bodies cost."""
    OUT.mkdir(parents=True, exist_ok=True)
    # Whoever is told to end ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        stack = Stack(Path(folder))
        os.environ.update(stack.variables)
        try:
            stack.start("pubsub", "bigquery", "receiver", "pipeline")
            ready.wait_for("the receiver", ready.receiver, PATIENCE_SECONDS)
            ready.wait_for("BigQuery", ready.tables, PATIENCE_SECONDS)
            good = measure(stack, seconds, rate)
        finally:
            stack.close()
    sys.exit(not good)


if __name__ == "__main__":
    main()
