"""The counters of a finished pipeline."""

from typing import Any

import apache_beam as beam


def counted(result: Any, name: str) -> int:
    """Return a counter of a finished pipeline, 0 where nothing was counted."""
    found = result.metrics().query(beam.metrics.MetricsFilter().with_name(name))["counters"]
    return sum(counter.committed or 0 for counter in found)
