"""The step of the streaming pipeline that stores normalized batches in BigQuery."""

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.bigquery import appender
from pipelines.bigquery.bundle import Bundle
from pipelines.bigquery.target import Target
from pipelines.core.batches import NormalizedBatch
from schemas import tracing

METRICS = "parley.bigquery"
"""Namespace of the counters `<table>.confirmed`, `<table>.refused` and `<table>.setup_waits` (how often rows
had to wait for a table to be made, mended or opened to us), and of the distribution."""
DELAY = "received_to_confirmed_ms"


class AppendRows(beam.PTransform):
    """Stores `NormalizedBatch`es: rows, dead letters for what BigQuery refuses, and the ledger.

    A bundle is only finished when BigQuery has confirmed all its rows, so that a runner that
    acknowledges finished bundles loses nothing. Its output is empty.
    """

    def __init__(self, target: Target, connections: int = appender.CONNECTIONS) -> None:
        super().__init__()
        self._target = target
        self._connections = connections

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Append every batch, and confirm once per bundle."""
        return batches | "Append" >> beam.ParDo(_AppendRows(self._target, self._connections))


class _AppendRows(beam.DoFn):
    def __init__(self, target: Target, connections: int) -> None:
        self._target = target
        self._connections = connections
        self._appender: appender.Appender
        self._bundle: Bundle
        self._traces: tracing.Stored | None = None

    def setup(self) -> None:
        tracer = tracing.shared(tracing.PIPELINE)
        self._traces = tracing.Stored(tracer) if tracer else None

    def start_bundle(self) -> None:
        self._appender = appender.shared(self._target, self._connections)
        self._bundle = Bundle(self._appender)

    def process(self, batch: NormalizedBatch) -> None:
        if self._traces is not None:
            self._traces.add(batch.events)
        self._bundle.add(batch)

    def finish_bundle(self) -> None:
        try:
            stored = self._bundle.finish()
        except BaseException as error:
            if self._traces is not None:
                self._traces.end(error)
            raise
        else:
            if self._traces is not None:
                self._traces.end()
        finally:
            for table, count in self._appender.take_setup_waits().items():
                Metrics.counter(METRICS, f"{table}.setup_waits").inc(count)
        for table, count in stored.confirmed.items():
            Metrics.counter(METRICS, f"{table}.confirmed").inc(count)
        for table, count in stored.refused.items():
            Metrics.counter(METRICS, f"{table}.refused").inc(count)
        for delay in stored.delays:
            Metrics.distribution(METRICS, DELAY).update(delay)
