import queue
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.api_core import exceptions

from pipelines.local.pubsub import RemoteFaults

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture(params=["in this process", "from another process"])
def faults(request, pubsub):
    return pubsub.faults if request.param == "in this process" else RemoteFaults(pubsub.address)


def test_a_method_fails_until_its_fault_is_cleared(client, faults):
    faults.set("Publish", code=UNAVAILABLE)
    for _ in range(2):
        with pytest.raises(exceptions.ServiceUnavailable, match="Injected fault of Publish"):
            client.publish(b"lost")
    assert client.finds_nothing()
    faults.clear("Publish")
    client.publish(b"x")
    assert client.pull_data() == [b"x"]


def test_a_method_fails_so_many_times(client, faults):
    faults.set("Pull", code=grpc.StatusCode.PERMISSION_DENIED, times=2)
    client.publish(b"x")
    for _ in range(2):
        with pytest.raises(exceptions.PermissionDenied):
            client.pull()
    assert client.pull_data() == [b"x"]


def test_the_official_publisher_comes_over_a_passing_fault(client, faults):
    faults.set("Publish", code=UNAVAILABLE, times=1)
    client.publisher.publish(client.topic, b"x").result(timeout=60)
    assert client.pull_data() == [b"x"]


def test_a_lost_answer_leaves_the_work_done(client, faults):
    faults.set("Publish", code=UNAVAILABLE, times=1, after=True)
    with pytest.raises(exceptions.ServiceUnavailable):
        client.publish(b"x")
    assert client.pull_data() == [b"x"]


def test_a_delayed_call_is_answered_late(client, faults):
    faults.set("Publish", delay=0.2, times=1)
    before = time.monotonic()
    client.publish(b"x")
    assert time.monotonic() - before >= 0.2


def test_a_hanging_call_goes_on_when_cleared(pubsub, client, faults):
    faults.set("Publish", hang=True, times=1)
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(client.publish, b"x")
        while pubsub.faults.waiting("Publish"):
            time.sleep(0.01)
        assert client.finds_nothing()
        assert not hanging.done()
        faults.clear()
        hanging.result(timeout=20)
    assert client.pull_data() == [b"x"]


def test_a_hanging_call_that_its_client_gave_up_does_nothing(client, faults):
    faults.set("Publish", hang=True, times=1)
    with pytest.raises(exceptions.DeadlineExceeded):
        client.publish_messages([{"data": b"given up"}], timeout=0.2)
    client.publish(b"x")
    assert client.pull_data() == [b"x"]
    assert client.finds_nothing()


def test_the_official_subscriber_meets_faults(client, faults):
    faults.set("StreamingPull", hang=True)
    received: queue.Queue[bytes] = queue.Queue()
    future = client.subscriber.subscribe(
        client.subscription, lambda message: (received.put(message.data), message.ack())
    )
    client.publish(b"1")
    assert client.pull_data() == [b"1"]
    faults.clear()
    client.publish(b"2")
    assert received.get(timeout=20) == b"2"
    faults.set("StreamingPull", code=grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(exceptions.PermissionDenied):
        future.result(timeout=20)


def test_a_fault_of_an_unknown_method_is_refused(pubsub):
    with pytest.raises(grpc.RpcError, match="No method Publsh; there are Acknowledge, "):
        RemoteFaults(pubsub.address).set("Publsh", code=UNAVAILABLE)
