"""Traces by OpenTelemetry: one of each webhook, from its request over Pub/Sub to its rows.

Off unless `OTEL_TRACES_EXPORTER=otlp`; until then nothing of it is imported. All else is said by the standard
variables (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), and which trace an
event belongs to by its attribute `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header).
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from schemas.raw_event import EVENT_ID, SOURCE, RawEvent

if TYPE_CHECKING:
    from opentelemetry.trace import Span

TRACEPARENT: Final = "traceparent"
"""The attribute of a raw event that says which trace it belongs to; not there where nothing is traced."""
PIPELINE: Final = "parley-pipeline"
"""The pipeline's service, as spans name it."""
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"
_FLUSH_MILLISECONDS: Final = 5_000


class NotTracedError(ValueError):
    """Traces are asked for in a way that there is not; the message names the variable."""


def is_on(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for traces.

    Raises:
        NotTracedError: it asks for what cannot be done.
    """
    wanted = environ.get(EXPORTER, "").strip().lower()
    if wanted in ("", "none") or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if wanted != "otlp":
        raise NotTracedError(f"{EXPORTER} is otlp or none, not {wanted!r}")
    for name in _PROTOCOLS:
        if (protocol := environ.get(name, "").strip()) and protocol != _HTTP:
            raise NotTracedError(f"{name} is {_HTTP}, not {protocol!r}")
    if not _is_installed():
        raise NotTracedError(f"{EXPORTER}=otlp needs parley[traces]")
    return True


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        # A part of the name is not there: Google's clients bring others of it.
        return False


class Tracer:
    """Begins spans of one service, and sends those that have ended to where the environment says."""

    def __init__(self, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
        # One of its own: what Google's clients could trace by the global one is no part of a webhook's way.
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("parley")
        self._propagator = TraceContextTextMapPropagator()

    def begin(
        self,
        name: str,
        kind: str,
        traceparent: str | None,
        attributes: Mapping[str, str],
        started: int | None = None,
    ) -> "Span":
        """Begin a span, now or at a time in ns: of the trace that a `traceparent` names, else of a new one.

        `kind` is server, internal or consumer.
        """
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        carrier = {TRACEPARENT: traceparent} if traceparent else {}
        # Never that of whatever else runs in this thread.
        context = self._propagator.extract(carrier, Context())
        return self._tracer.start_span(name, context, SpanKind[kind.upper()], attributes, start_time=started)

    def close(self) -> None:
        """Send what has ended, for some seconds at most."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()


def traceparent(span: "Span") -> str:
    """Return what the next one on the way needs to know of a span."""
    known = span.get_span_context()
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"


def fail(span: Any, why: str) -> None:
    """Say of a span that it was in vain."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    span.set_status(Status(StatusCode.ERROR, why))


@contextmanager
def traced(tracer: Tracer, name: str, event: RawEvent) -> Iterator[None]:
    """Let what is done to an event be a span of its trace, where it has one."""
    parent = event.attributes.get(TRACEPARENT)
    if parent is None:
        yield
        return
    span = tracer.begin(name, "internal", parent, _about(event))
    try:
        yield
    except BaseException as error:
        fail(span, type(error).__name__)
        raise
    finally:
        span.end()


class Stored:
    """The spans of events that are stored together: each from when it came until all are confirmed."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._spans: list[Any] = []

    def add(self, events: Iterable[RawEvent]) -> None:
        """Begin to store events, of those that have a trace."""
        self._spans += [
            self._tracer.begin("append", "internal", parent, _about(event))
            for event in events
            if (parent := event.attributes.get(TRACEPARENT))
        ]

    def end(self, error: BaseException | None = None) -> None:
        """Say that all are stored, or that they are not, for now."""
        for span in self._spans:
            if error is not None:
                fail(span, type(error).__name__)
            span.end()
        self._spans.clear()


def _about(event: RawEvent) -> dict[str, str]:
    # Of what somebody else has published there may be neither; that it is a dead letter is said where it is read.
    named = {name: event.attributes.get(name) for name in (EVENT_ID, SOURCE)}
    return {f"parley.{name}": value for name, value in named.items() if value}


_shared: dict[str, Tracer] = {}
_lock = threading.Lock()


def shared(service: str) -> Tracer | None:
    """Return this process's tracer of a service, None where nothing is to be traced.

    Raises:
        NotTracedError: the environment asks for what cannot be done.
    """
    if not is_on(os.environ):
        return None
    with _lock:
        if service not in _shared:
            _shared[service] = Tracer(service)
        return _shared[service]
