"""A Flink cluster stores live events, loses a task manager, and starts again from a savepoint: each event once."""

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest
from flink_cluster import FLINK, JOB_SERVER, TASK_MANAGERS, FlinkCluster, flink_cluster, wait_until
from google.cloud import bigquery
from live_job import live_job

from pipelines.bigquery.target import Target
from pipelines.core.rows import Message
from pipelines.generate import delivery
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics
from pipelines.normalize import normalize_or_dead_letter
from pipelines.sources import PARSERS
from receiver.durable.publisher import Publisher
from schemas.raw_event import RawEvent

pytestmark = pytest.mark.thorough

PROJECT = "parley-test"
EVENTS = 2_400
_SECONDS = 900


@pytest.fixture
def cluster(pubsub: PubSubServer, bigquery_target: Target, tmp_path: Path) -> Iterator[FlinkCluster]:
    """A cluster whose workers find the test's Pub/Sub and BigQuery in their environment."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java, which Flink runs on")
    if missing := [path.name for path in (FLINK, JOB_SERVER) if not path.exists()]:
        pytest.skip(f"{missing} not there: make runners (needs Java 17 and Maven)")
    create_topics(PROJECT, {f"raw-{name}": f"parley-{name}" for name in PARSERS})
    with flink_cluster(tmp_path / "flink") as running:
        yield running


def test_each_event_is_stored_once_whatever_dies(
    cluster: FlinkCluster,
    pubsub: PubSubServer,
    bigquery_client: bigquery.Client,
    bigquery_target: Target,
    tmp_path: Path,
):
    events = list(islice(sample_world(), EVENTS))
    third = EVENTS // 3
    names = [f"projects/{PROJECT}/subscriptions/parley-{name}" for name in PARSERS]

    def stored(view: str = "{rows}.events", key: str = "event_id") -> int:
        where = {"rows": bigquery_target.rows_dataset, "views": bigquery_target.views_dataset}
        sql = f"SELECT COUNT(DISTINCT {key}) FROM `{view.format(**where)}`"
        return int(next(iter(bigquery_client.query(sql).result()))[0])

    with live_job(cluster, bigquery_target, names, tmp_path / "launch.log") as job:
        job.wait_until_it_runs()
        publish(events[:third])
        wait_until(lambda: stored() > third // 2, _SECONDS, "half of the first third")
        publish(events[third : 2 * third])
        cluster.kill(TASK_MANAGERS[0])
        wait_until(lambda: stored() == 2 * third, _SECONDS, "the second third")
        assert job.restarts() >= 1
        publish(events[2 * third : 2 * third + 500])
        savepoint = job.stop_with_savepoint()
    publish(events[2 * third + 500 :])
    with live_job(
        cluster, bigquery_target, names, tmp_path / "again.log", [f"--savepoint_path={savepoint}"]
    ) as job:
        job.wait_until_it_runs()
        wait_until(lambda: stored() == EVENTS, _SECONDS, "all events")
        assert job.restarts() == 1
        wait_until(lambda: kept(pubsub, names) == 0, _SECONDS, "the last acknowledgement")
        job.stop_with_savepoint()

    made = {
        row.message_id for event in events for row in normalize_or_dead_letter(event) if isinstance(row, Message)
    }
    assert shown(bigquery_client, bigquery_target, "messages", "message_id") == (len(made), len(made))
    assert shown(bigquery_client, bigquery_target, "events", "event_id") == (EVENTS, EVENTS)
    for view, key in (
        ("contacts", "contact_id"),
        ("conversations", "conversation_id"),
        ("channels", "channel_id"),
    ):
        rows, different = shown(bigquery_client, bigquery_target, view, key)
        assert rows == different > 0, view


def shown(client: bigquery.Client, where: Target, view: str, key: str) -> tuple[int, int]:
    """Return how many rows a view shows, and how many different ones."""
    sql = f"SELECT COUNT(*), COUNT(DISTINCT {key}) FROM `{where.view(view)}`"
    row = next(iter(client.query(sql).result()))
    return row[0], row[1]


def kept(pubsub: PubSubServer, names: Sequence[str]) -> int:
    """Return how many messages Pub/Sub still has."""
    with pubsub.broker.changed:
        return sum(len(pubsub.broker.resources.backlog(name)) for name in names)


def sample_world() -> Iterator[RawEvent]:
    world = World(2_000, 5, int(DEFAULT_START.timestamp()) * 1_000_000, 2, tuple(WEIGHTS))
    for day in range(world.days):
        yield from (item.event for item in delivery.of_day(world, day))


def publish(events: Sequence[RawEvent]) -> None:
    publisher = Publisher(PROJECT, "raw-")
    for name in {event.source for event in events}:
        publisher.publish(name, [event for event in events if event.source == name], 30)
    publisher.close()
