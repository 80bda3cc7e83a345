"""A webhook is one trace from its request to its rows where that is asked for; else it is nowhere."""

import collections
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import fastavro
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipelines.bigquery import appender
from pipelines.bigquery.sink import _AppendRows
from pipelines.bigquery.target import GRPC_EMULATOR, REST_EMULATOR, Target
from pipelines.core.batches import EventBatch
from pipelines.demo.samples import sign
from pipelines.local.pubsub import PubSubServer
from pipelines.local.topics import create_topics
from pipelines.normalize import NormalizeEvents
from receiver.app import create_app
from receiver.config import ConfigError
from receiver.operate.logs import JsonFormatter
from receiver.web import intake
from schemas import tracing
from schemas.raw_event import RawEvent
from tests.pipelines.bigquery.scripted_write_api import ScriptedWriteApi
from tests.receiver.receiver_support import PROJECT, TOPICS, Bus, archived

pytestmark = pytest.mark.slow

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"
BODY = json.dumps({"object": "page", "entry": []}).encode()


class Collector:
    """An OTLP endpoint over HTTP that keeps what it was sent."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        """Service and span."""
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for each in told.resource_spans:
                    names = {a.key: a.value.string_value for a in each.resource.attributes}
                    spans.extend((names["service.name"], span) for part in each.scope_spans for span in part.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(tracing, "_shared", {})
    yield collector
    logging.setLogRecordFactory(factory)
    collector.close()


@pytest.fixture
def bus(pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    create_topics(PROJECT, TOPICS)
    bus = Bus(pubsub)
    yield bus
    bus.close()


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {
        "PARLEY_PROJECT": PROJECT,
        "PARLEY_ARCHIVE": str(folder / "archive"),
        "PARLEY_DATA_DIR": str(folder / "data"),
        "PARLEY_FACEBOOK_APP_SECRETS": "secret",
        "PARLEY_FACEBOOK_VERIFY_TOKENS": "token",
        **more,
    }


def post(folder: Path, bus: Bus, *requests: dict[str, str], **more: str) -> list[RawEvent]:
    """Send webhooks with further headers, and return what Pub/Sub has got of them."""
    app = create_app(environ(folder, **more))
    try:
        for headers in requests:
            signed = {"X-Hub-Signature-256": sign(BODY, "secret"), "Content-Type": "application/json", **headers}
            assert app.test_client().post("/facebook", data=BODY, headers=signed).status_code == 200
    finally:
        app.extensions[intake.EXTENSION].close()
    return bus.published()


def store(
    events: list[RawEvent], monkeypatch: pytest.MonkeyPatch, origin: str = "pubsub"
) -> collections.Counter[str]:
    """Let the steps of the pipeline make rows of events and append them; return how many of each table."""
    api = ScriptedWriteApi()
    monkeypatch.setenv(GRPC_EMULATOR, api.address)
    monkeypatch.setenv(REST_EMULATOR, "http://127.0.0.1:1")
    target = Target.prefixed(PROJECT, "")
    normalize, append = NormalizeEvents(), _AppendRows(target, 1)
    normalize.setup()
    append.setup()
    append.start_bundle()
    for batch in normalize.process(EventBatch(events, origin)):
        append.process(batch)
    append.finish_bundle()
    appender.shared(target, 1).close()
    appender._appender_of.cache_clear()
    api.stop()
    for tracer in tracing._shared.values():
        tracer.close()
    return collections.Counter(row["table"] for row in api.stored)


def test_a_webhook_is_one_trace_from_its_request_to_its_rows(
    collector: Collector, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = {"OTEL_TRACES_EXPORTER": "otlp"}
    events = post(tmp_path, bus, {"traceparent": HEADER}, {}, **on)
    assert store(events, monkeypatch)["events"] == len(events)

    assert [event.attributes for event in archived(tmp_path)] == [event.attributes for event in events]
    by_event: dict[str, dict[str, Any]] = {}
    for service, span in collector.spans:
        about = {a.key: a.value.string_value for a in span.attributes}
        by_event.setdefault(about["parley.event_id"], {})[span.name] = (service, span)
    for event in events:
        spans = by_event[event.event_id]
        assert {name: service for name, (service, _) in spans.items()} == {
            "POST /facebook": "parley-receiver",
            "normalize": "parley-pipeline",
            "append": "parley-pipeline",
        }
        _, trace, parent, flags = event.attributes[tracing.TRACEPARENT].split("-")
        assert {span.trace_id.hex() for _, span in spans.values()} == {trace}
        assert spans["POST /facebook"][1].span_id.hex() == parent
        assert {spans[name][1].parent_span_id.hex() for name in ("normalize", "append")} == {parent}
        assert int(flags, 16) & 1
    first, second = (event.attributes[tracing.TRACEPARENT].split("-")[1] for event in events)
    assert first == TRACE != second
    assert by_event[events[0].event_id]["POST /facebook"][1].parent_span_id.hex() == PARENT


def test_to_read_an_archive_again_is_no_part_of_a_trace(
    collector: Collector, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = post(tmp_path, bus, {}, OTEL_TRACES_EXPORTER="otlp")
    store(events, monkeypatch, origin="a/segment.avro")

    assert "normalize" not in {span.name for _, span in collector.spans}


def test_what_is_not_sampled_is_not_sent_and_still_says_so(
    collector: Collector, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    (event,) = post(tmp_path, bus, {"traceparent": HEADER}, OTEL_TRACES_EXPORTER="otlp")
    store([event], monkeypatch)

    assert event.attributes[tracing.TRACEPARENT].startswith(f"00-{TRACE}-")
    assert event.attributes[tracing.TRACEPARENT].endswith("-00")
    assert collector.spans == []


def test_what_has_a_trace_and_neither_id_nor_source_is_stored_as_a_dead_letter(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = RawEvent(BODY, {tracing.TRACEPARENT: HEADER})
    known = RawEvent(BODY, {"event_id": "e", "source": "facebook", "received_at": "2026-03-01T10:00:00.000000Z"})
    assert store([strange, known], monkeypatch) == {"dead_letters": 1, "events": 1}

    (span,) = [span for _, span in collector.spans if span.name == "append"]
    assert (span.trace_id.hex(), list(span.attributes)) == (TRACE, [])


def test_logs_carry_the_trace_of_their_request(collector: Collector, bus: Bus, tmp_path: Path) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonFormatter().format(record))

    logger = logging.getLogger("receiver.web.intake")
    handler, level = Kept(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        post(tmp_path, bus, {"traceparent": HEADER}, OTEL_TRACES_EXPORTER="otlp")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = [json.loads(each) for each in lines if json.loads(each)["message"] == "received"]

    assert line["logging.googleapis.com/trace"] == f"projects/{PROJECT}/traces/{TRACE}"
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert len(line["logging.googleapis.com/spanId"]) == 16


def test_an_older_reader_takes_an_event_with_a_trace(tmp_path: Path) -> None:
    from schemas.raw_event import AVRO_SCHEMA

    event = RawEvent(BODY, {"event_id": "e", "source": "facebook", "received_at": "2026-03-01T10:00:00.000000Z"})
    traced = RawEvent(BODY, {**event.attributes, tracing.TRACEPARENT: HEADER})
    path = tmp_path / "a.avro"
    with path.open("wb") as file:
        fastavro.writer(file, AVRO_SCHEMA, [traced.to_avro(), event.to_avro()])
    with path.open("rb") as file:
        assert [RawEvent.from_avro(record) for record in fastavro.reader(file)] == [traced, event]


def test_nothing_is_loaded_and_nothing_added_where_it_is_off(bus: Bus, tmp_path: Path) -> None:
    (event,) = post(tmp_path, bus, {"traceparent": HEADER})
    assert tracing.TRACEPARENT not in event.attributes

    code = (
        "import os, sys; import pipelines.normalize, pipelines.bigquery.sink; "
        "from receiver.app import create_app; "
        "create_app(os.environ); pipelines.normalize.NormalizeEvents().setup(); "
        "print([name for name in sys.modules if name.startswith('opentelemetry.exporter')"
        " or name == 'receiver.operate.tracing'])"
    )
    clean = environ(tmp_path) | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER is otlp or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is http",
        ),
    ],
)
def test_what_cannot_be_done_is_said_at_the_start(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        create_app(environ(tmp_path, **variables))
