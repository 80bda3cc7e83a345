import queue

import apache_beam as beam
from apache_beam.io import ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

RECEIVED: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()


def receive(message) -> None:
    RECEIVED.put((message.data, message.attributes))


def test_beams_local_runner_reads_what_is_published(client):
    client.publish(*[b"before"] * 15)
    pipeline = beam.Pipeline(BundleBasedDirectRunner(), PipelineOptions(streaming=True))
    (pipeline | ReadFromPubSub(subscription=client.subscription, with_attributes=True) | beam.Map(receive))
    result = pipeline.run()
    try:
        assert [RECEIVED.get(timeout=20)[0] for _ in range(15)] == [b"before"] * 15
        client.publish_messages([{"data": b"live", "attributes": {"source": "facebook"}}])
        assert RECEIVED.get(timeout=20) == (b"live", {"source": "facebook"})
    finally:
        result._executor._executor.executor_service.shutdown()
        result._executor._executor.executor_service.await_completion()
        result._state = "CANCELLED"
