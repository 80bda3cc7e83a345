"""`parley stream` as operators run it: what a stop does while BigQuery is away."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from pipelines.local.pubsub import PubSubServer
from pipelines.local.ready import wait_for
from pipelines.local.topics import create_topics
from tests.raw_events import text_message

pytestmark = pytest.mark.thorough

PROJECT = "parley-test"
TOPIC = f"projects/{PROJECT}/topics/raw-facebook"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/parley-facebook"


class Reader(BaseHTTPRequestHandler):
    """A BigQuery that can be asked, and has no table."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def stream(log: Path, *arguments: str, reader: str | None = None) -> "subprocess.Popen[bytes]":
    """Start it with a BigQuery that takes no rows, and where nobody answers for `reader` either, nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    environ = {
        "PARLEY_PROJECT": PROJECT,
        "BIGQUERY_EMULATOR_HOST": f"http://{reader or nobody}",
        "BIGQUERY_STORAGE_GRPC_ENDPOINT": nobody,
        "NO_GCE_CHECK": "true",
    }
    command = [sys.executable, "-m", "pipelines.cli", "stream", "--subscription", SUBSCRIPTION, *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(command, env=os.environ | environ, stdout=file, stderr=file)


@pytest.fixture
def reader() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("options", [[], ["--append_connections=1"]])
def test_a_stop_does_not_wait_for_ever_for_a_bigquery_that_is_away(
    pubsub: PubSubServer, tmp_path, reader: str, options: list[str], is_read: bool
):
    create_topics(PROJECT, {"raw-facebook": "parley-facebook"})
    publisher = pubsub_v1.PublisherClient()
    sent = [text_message(number) for number in range(3)]
    for event in sent:
        publisher.publish(TOPIC, event.data, **event.attributes).result(30)
    publisher.stop()
    log = tmp_path / "log"
    process = stream(log, "--stop_seconds=0.5", *options, reader=reader if is_read else None)
    told = "BigQuery does not take rows" if is_read else "nothing is stored until the table"
    try:
        wait_for("what does not go", lambda: told in log.read_text(), 60)
        process.send_signal(signal.SIGTERM)
        # Again, as impatient people do.
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()
    assert "Error: stopped before BigQuery had taken all rows" in log.read_text()
    assert "INFO SIGTERM: storing what has been read, then stopping\n" in log.read_text()
    again: set[str] = set()

    def come_again() -> bool:
        with pubsub_v1.SubscriberClient() as client:
            for received in client.pull(subscription=SUBSCRIPTION, max_messages=10, timeout=30).received_messages:
                again.add(received.message.attributes["event_id"])
        return again == {event.event_id for event in sent}

    wait_for("all events again", come_again, 60)
