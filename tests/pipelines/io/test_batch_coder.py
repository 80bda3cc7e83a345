"""Batches between steps are not encoded only to be measured."""

import pickle

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.core.batches import EventBatch, NormalizedBatch
from pipelines.io.archive_segments import Group, Selection
from pipelines.io.batch_coder import BatchCoder
from pipelines.io.read_archive import ReadArchive
from pipelines.io.read_pubsub import PullSubscriptions, ReadSubscriptions
from pipelines.normalize import NormalizeEvents, build
from pipelines.sources.normalization import normalize
from tests.raw_events import text_message


def batches() -> list[EventBatch | NormalizedBatch]:
    events = [text_message(n) for n in range(3)]
    rows = {"messages": [row for event in events for row in normalize(event)]}
    return [EventBatch(events, "here", 1), NormalizedBatch(events, rows, "here", 2)]


@pytest.mark.parametrize("batch", batches())
def test_a_batch_comes_through_as_it_was(batch: EventBatch | NormalizedBatch):
    coder = coders.registry.get_coder(type(batch))

    assert isinstance(coder, BatchCoder)
    assert coder.decode(coder.encode(batch)) == batch


@pytest.mark.parametrize("batch", batches())
def test_a_batch_is_measured_without_encoding_it(batch: EventBatch | NormalizedBatch, monkeypatch):
    monkeypatch.setattr(pickle, "dumps", None)

    size = BatchCoder().get_impl().estimate_size(batch)

    assert size == sum(len(event.data) for event in batch.events)


@pytest.mark.parametrize(
    "reader",
    [
        ReadArchive([Group(("a.avro",), 1)], Selection()),
        PullSubscriptions(["projects/project/subscriptions/name"]),
        ReadSubscriptions(["projects/project/subscriptions/name"]),
    ],
)
def test_every_step_says_that_it_makes_batches(reader: beam.PTransform):
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", "--streaming"]))

    normalized = build(pipeline, reader, beam.Map(lambda batch: batch).with_input_types(NormalizedBatch))

    assert normalized.producer.inputs[0].element_type is NormalizedBatch
    steps = {applied.full_label: applied for applied in _all(pipeline)}
    assert steps["Normalize"].inputs[0].element_type is EventBatch
    assert isinstance(steps["Normalize"].transform.fn, NormalizeEvents)


def _all(pipeline: beam.Pipeline) -> list[beam.pipeline.AppliedPTransform]:
    found = list(pipeline.transforms_stack)
    for applied in found:
        found.extend(applied.parts)
    return found
