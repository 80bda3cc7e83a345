"""Prometheus metrics over all worker processes, at `/metrics` for who has the token."""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Final

from flask import Flask, Response, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from receiver.event_loop import in_thread
from receiver.proofs.signatures import matches_any

MULTIPROCESS_DIR: Final = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EVENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

REQUESTS: Final = Counter("parley_receiver_requests", "Requests by source and HTTP status.", ["source", "status"])
REJECTED: Final = Counter(
    "parley_receiver_rejected", "Requests whose sender was not proven.", ["source", "reason"]
)
COMMIT_SECONDS: Final = Histogram(
    "parley_receiver_commit_seconds",
    "From handing over the first event of a group until the group is durable.",
    ["source"],
    buckets=_SECONDS,
)
GROUP_EVENTS: Final = Histogram(
    "parley_receiver_group_events", "Events committed together.", ["source"], buckets=_EVENTS
)
PUBLISHED: Final = Counter("parley_receiver_published", "Events confirmed by Pub/Sub, by way.", ["source", "way"])
SPOOLED: Final = Counter("parley_receiver_spooled", "Events that went to the spool.", ["source"])
REFUSED: Final = Counter("parley_receiver_refused", "Events set aside, since Pub/Sub refuses them.", ["source"])
UPLOADED: Final = Counter("parley_receiver_uploaded", "Archive segments confirmed in the bucket.")
UPLOAD_FAILURES: Final = Counter("parley_receiver_upload_failures", "Uploads to be tried again.")


class Gauges:
    """Gauges that are read when somebody asks, because all processes share what they measure."""

    def __init__(self, read: Callable[[], Iterator[tuple[str, str, str, float]]]) -> None:
        """Take a function that yields name, description, source and value."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges as Prometheus's client asks for them."""
        families: dict[str, GaugeMetricFamily] = {}
        for name, description, source, value in self._read():
            family = families.setdefault(name, GaugeMetricFamily(name, description, labels=["source"]))
            family.add_metric([source], value)
        yield from families.values()


def init_app(app: Flask, tokens: tuple[str, ...], gauges: Gauges) -> None:
    """Count an app's requests, and answer `/metrics` to bearers of a token, if there is one."""

    @app.after_request
    def count(response: Response) -> Response:
        _requests(request.blueprint or "", response.status_code).inc()
        return response

    if not tokens:
        return

    @app.get("/metrics")
    def metrics() -> Response:
        """Give all processes' metrics in Prometheus's text format."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not matches_any(given, tokens):
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        registry = CollectorRegistry()
        registry.register(gauges)
        text = in_thread(lambda: generate_latest(registry) + generate_latest(_processes()))
        return Response(text, content_type=CONTENT_TYPE_LATEST)


@functools.lru_cache(maxsize=1024)
def _requests(source: str, status: int) -> Counter:
    """Return the counter of a source and status; finding it costs more than counting."""
    return REQUESTS.labels(source, str(status))


def _processes() -> CollectorRegistry:
    """Return the registry of all processes, or of this one where it is the only one."""
    if MULTIPROCESS_DIR not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
