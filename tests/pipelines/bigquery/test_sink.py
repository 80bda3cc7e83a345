import pickle
from collections.abc import Iterator

import apache_beam as beam
import grpc
import pytest
import scripted_write_api as api
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.cloud import bigquery
from row_samples import batch, channel, sample
from scripted_write_api import ScriptedWriteApi

from pipelines.bigquery import appender
from pipelines.bigquery.sink import DELAY, METRICS, AppendRows
from pipelines.bigquery.target import Target
from pipelines.core.batches import NormalizedBatch


@pytest.fixture(autouse=True)
def own_appender() -> Iterator[None]:
    appender._appender_of.cache_clear()
    yield
    appender._appender_of.cache_clear()


def run(batches: list[NormalizedBatch], target: Target) -> dict[str, int]:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(batches) | AppendRows(target)
    result = pipeline.run()
    result.wait_until_finish()
    metrics = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(METRICS))
    counters = {each.key.metric.name: each.committed for each in metrics["counters"]}
    delays = {each.key.metric.name: each.committed.count for each in metrics["distributions"]}
    return {name: count for name, count in {**counters, **delays}.items() if count}


def test_a_pipeline_stores_its_batches(bigquery_target: Target, bigquery_client: bigquery.Client) -> None:
    batches = [
        batch({"messages": [sample("messages", message_id=f"m{index}", event_id=f"e{index}")]}, index)
        for index in range(20)
    ]

    metrics = run(batches, bigquery_target)

    assert metrics == {"messages.confirmed": 20, "events.confirmed": 20, DELAY: 20}
    for table in ("messages", "events"):
        query = f"SELECT event_id FROM `{bigquery_target.table(table)}`"
        stored = sorted(row.event_id for row in bigquery_client.query_and_wait(query))
        assert stored == sorted(f"e{index}" for index in range(20))
    (row, *_) = bigquery_client.query_and_wait(
        f"SELECT * FROM `{bigquery_target.view('messages')}` WHERE message_id = 'm7'"
    )
    assert row.content == "grüße 👋"


def test_refused_rows_are_counted(write_api: ScriptedWriteApi) -> None:
    write_api.script.append(api.row_errors(0))

    metrics = run([batch({"channels": [channel("a"), channel("b")]})], Target("parley-test"))

    assert metrics == {
        "channels.confirmed": 1,
        "channels.refused": 1,
        "dead_letters.confirmed": 1,
        "events.confirmed": 1,
        DELAY: 1,
    }


def test_waits_for_people_are_counted(write_api: ScriptedWriteApi) -> None:
    write_api.script.extend([api.error(grpc.StatusCode.INVALID_ARGUMENT)] * 2)

    metrics = run([batch({"channels": [channel("a")]})], Target("parley-test"))

    assert metrics == {"channels.confirmed": 1, "channels.setup_waits": 2, "events.confirmed": 1, DELAY: 1}


def test_a_bundle_that_cannot_be_stored_fails_the_pipeline(write_api: ScriptedWriteApi) -> None:
    write_api.habit = api.error(grpc.StatusCode.FAILED_PRECONDITION)

    with pytest.raises(Exception, match="channels takes no rows"):
        run([batch({"channels": [channel("a")]})], Target("parley-test"))


def test_bundles_of_a_process_share_an_appender(write_api: ScriptedWriteApi) -> None:
    target = Target("parley-test")

    assert appender.shared(target) is appender.shared(Target("parley-test"))
    assert appender.shared(target) is not appender.shared(Target("parley-other"))


def test_the_step_travels_to_workers() -> None:
    assert pickle.loads(pickle.dumps(AppendRows(Target("parley-test"))))._target == Target("parley-test")
