"""One span of each webhook's request, where traces are asked for; otherwise nothing of this is on its way."""

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec
from flask import Flask, Response, g, has_request_context, request

from receiver.config import Config
from receiver.durable.committer import Committers, UnavailableError
from receiver.durable.keyring import Keyring
from schemas import tracing
from schemas.raw_event import RawEvent

if TYPE_CHECKING:
    from opentelemetry.trace import Span

SERVICE: Final = "parley-receiver"
_SPAN: Final = "parley_span"
_SERVER_ERROR: Final = 500


class TracedCommitters(Committers):
    """Committers that give each event the trace of its request."""

    def __init__(self, config: Config, keys: Keyring | None = None) -> None:
        super().__init__(config, keys)
        self._tracer: tracing.Tracer | None = None
        self._tracer_lock = threading.Lock()

    def init_app(self, app: Flask) -> None:
        """Begin a span with each request that is posted to an app, and end it with its answer."""
        app.before_request(self._begin)
        app.after_request(_note_status)
        app.teardown_request(_end)
        known = logging.getLogRecordFactory()
        # An app is made more than once in a process, and a record needs it once.
        if not isinstance(known, _Records):
            logging.setLogRecordFactory(_Records(known, self._config.project))

    def commit(self, event: RawEvent) -> None:
        """Return when an event is durable, with the attribute `traceparent`.

        Raises:
            UnavailableError: it is not; the sender should try again.
        """
        span = _span()
        if span is None:
            super().commit(event)
            return
        span.set_attribute("parley.event_id", event.event_id)
        span.set_attribute("parley.source", event.source)
        known = {**event.attributes, tracing.TRACEPARENT: tracing.traceparent(span)}
        try:
            super().commit(msgspec.structs.replace(event, attributes=known))
        except UnavailableError as error:
            tracing.fail(span, str(error))
            raise

    def close(self) -> None:
        """Commit what is waiting, then stop, and send the spans that have ended."""
        super().close()
        if self._tracer is not None:
            self._tracer.close()

    def _begin(self) -> None:
        if request.method != "POST" or request.url_rule is None:
            return
        route = request.url_rule.rule
        about = {"http.request.method": "POST", "http.route": route}
        g.parley_span = self._started().begin(
            f"POST {route}", "server", request.environ.get("HTTP_TRACEPARENT"), about
        )

    def _started(self) -> tracing.Tracer:
        """Return the tracer, which has a thread: so it is not made before any fork."""
        with self._tracer_lock:
            if self._tracer is None:
                self._tracer = tracing.Tracer(SERVICE)
            return self._tracer


class _Records:
    """A factory of log records that know the trace of the request in which they are written."""

    def __init__(self, known: Any, project: str) -> None:
        self._known = known
        self._project = project

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._known(*arguments, **named)
        span = _span()
        if span is not None:
            context = span.get_span_context()
            record.trace = f"projects/{self._project}/traces/{context.trace_id:032x}"
            record.span_id = f"{context.span_id:016x}"
            record.trace_sampled = bool(context.trace_flags & 1)
        return record


def _span() -> "Span | None":
    return g.get(_SPAN) if has_request_context() else None


def _note_status(response: Response) -> Response:
    span = _span()
    if span is not None:
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= _SERVER_ERROR:
            tracing.fail(span, str(response.status_code))
    return response


def _end(error: BaseException | None) -> None:
    span = g.pop(_SPAN, None)
    if span is not None:
        span.end()
