import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1.types import StreamingPullRequest

from pipelines.local.pubsub import PubSubServer, RemoteFaults

pytestmark = pytest.mark.thorough

TOPIC = "raw-facebook:parley-facebook"


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server as a process of its own; give it and its address."""
    command = [sys.executable, "-m", "pipelines.local.pubsub", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith("Pub/Sub listens on 127.0.0.1:")
            yield server, line.split()[3]
        finally:
            server.kill()


def test_what_is_not_acknowledged_outlives_a_restart(connect, tmp_path):
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        first_ids = client.publish(b"acknowledged", b"pulled", b"waiting")
        acknowledged, _ = client.pull(2)
        client.acknowledge(acknowledged)
        client.subscriber.create_subscription(name="projects/parley-test/subscriptions/gone", topic=client.topic)
        client.publish(b"later")
        client.subscriber.delete_subscription(subscription="projects/parley-test/subscriptions/gone")
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        listed = client.subscriber.list_subscriptions(project="projects/parley-test")
        assert [each.name for each in listed] == [client.subscription]
        received = client.pull(3)
        assert [each.message.data for each in received] == [b"pulled", b"waiting", b"later"]
        assert [each.message.message_id for each in received[:2]] == first_ids[1:]
        assert int(client.publish(b"new")[0]) > int(received[-1].message.message_id)
        client.acknowledge(*received, *client.pull())
    with PubSubServer(data_dir=tmp_path) as server:
        assert connect(server.address).finds_nothing()


def test_a_subscription_made_anew_has_nothing_of_the_old_one(connect, tmp_path):
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        client.publish(b"x")
        client.subscriber.delete_subscription(subscription=client.subscription)
        client = connect(server.address)
    with PubSubServer(data_dir=tmp_path) as server:
        assert connect(server.address).finds_nothing()


def test_ids_increase_though_the_clock_went_back(connect, tmp_path, monkeypatch):
    with PubSubServer(data_dir=tmp_path) as server:
        ids = connect(server.address).publish(b"1")
    monkeypatch.setattr("time.time_ns", lambda: 0)
    with PubSubServer(data_dir=tmp_path) as server:
        assert int(connect(server.address).publish(b"2")[0]) > int(ids[0])


def test_a_deleted_topic_stays_deleted_after_a_restart(connect, tmp_path):
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        client.publisher.delete_topic(topic=client.topic)
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        client.publish(b"not for the subscription of the deleted topic")
        assert client.finds_nothing()


def test_what_was_confirmed_outlives_kill_9(connect, tmp_path):
    with process("--data-dir", str(tmp_path)) as (server, address):
        client = connect(address)
        ids = [id_ for n in range(20) for id_ in client.publish(*[b"%d" % n] * 50)]
        taken = client.pull(100)
        client.acknowledge(*taken)
        server.kill()
        server.wait(20)
    kept = sorted(set(ids) - {each.message.message_id for each in taken}, key=int)
    with process("--data-dir", str(tmp_path)) as (_, address):
        received = connect(address).pull(len(kept))
        assert [each.message.message_id for each in received] == kept


def test_without_a_folder_nothing_is_kept(connect):
    with PubSubServer() as server:
        connect(server.address).publish(b"x")
    with PubSubServer() as server:
        assert connect(server.address).finds_nothing()


def test_a_publish_that_cannot_be_written_is_not_confirmed_nor_delivered(connect, tmp_path):
    with PubSubServer(data_dir=tmp_path) as server:
        client = connect(server.address)
        database = server.broker._journal._database
        database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(exceptions.InternalServerError, match="full"):
            client.publish(b"x" * 1_000_000)
        assert client.finds_nothing()
        database.execute("PRAGMA max_page_count = 1000000")
        client.publish(b"y" * 1_000_000)
        assert client.pull_data() == [b"y" * 1_000_000]


def test_two_servers_cannot_share_a_folder_or_a_port(tmp_path):
    with PubSubServer(data_dir=tmp_path) as server:
        with pytest.raises(OSError, match="locked"):
            PubSubServer(data_dir=tmp_path)
        with pytest.raises(OSError, match="taken"):
            PubSubServer(port=int(server.address.split(":")[1]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_makes_topics_and_stops_on_a_signal(connect, number):
    with process("--project", "parley-test", "--topic", TOPIC) as (server, address):
        client = connect(address)
        client.publish(b"x")
        first = StreamingPullRequest(subscription=client.subscription, stream_ack_deadline_seconds=60)
        still_open = threading.Event()
        requests = chain([first], iter(still_open.wait, True))
        stream = client.subscriber.streaming_pull(requests=requests)
        assert next(stream).received_messages
        server.send_signal(number)
        with pytest.raises(exceptions.ServiceUnavailable):
            next(stream)
        still_open.set()
        assert server.wait(20) == 0


def test_the_command_says_what_is_wrong():
    with PubSubServer() as server:
        port = server.address.split(":")[1]
        for options, message in (
            (["--port", port], f"Port {port} is taken."),
            (["--port", "0", "--topic", "raw-facebook"], "raw-facebook is not TOPIC:SUBSCRIPTION"),
            (["--port", "0", "--topic", "a:b"], "Invalid [topic] name: (name=projects/parley-local/topics/a)"),
        ):
            command = [sys.executable, "-m", "pipelines.local.pubsub", *options]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
            assert done.returncode
            assert done.stderr.endswith(f"{message}\n")
            assert "Traceback" not in done.stderr


def test_faults_reach_a_server_in_another_process(connect):
    with process() as (_, address):
        client = connect(address)
        RemoteFaults(address).set("Publish", code=grpc.StatusCode.UNAVAILABLE, times=1)
        with pytest.raises(exceptions.ServiceUnavailable):
            client.publish(b"x")
        client.publish(b"x")


def test_the_server_does_not_import_beam():
    code = "import sys, pipelines.local.pubsub.__main__; assert 'apache_beam' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
