"""Runs the pipeline live: from Pub/Sub to BigQuery, until it is told to stop."""

import logging
import math
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines import sources
from pipelines.bigquery import appender, suppressed, target
from pipelines.bigquery.sink import AppendRows
from pipelines.bigquery.suppressed import Suppressed
from pipelines.bigquery.target import Target
from pipelines.io import read_pubsub
from pipelines.io.archive_segments import Selection, find_groups
from pipelines.io.options import FlinkCheckpointOptions, ParleyOptions
from pipelines.io.read_archive import ReadArchive
from pipelines.io.read_pubsub import PullSubscriptions, ReadSubscriptions
from pipelines.normalize import build
from pipelines.run.counters import counted
from pipelines.sources import registry

_log = logging.getLogger(__name__)


class NotAllStoredError(Exception):
    """BigQuery had not taken all that was read when the pipeline had to stop: Pub/Sub delivers the rest again."""


def run(options: PipelineOptions, where: Target) -> Any:
    """Run the streaming pipeline; with the pulling reader here, again and again until SIGTERM or SIGINT.

    With the runner's own reader, or on a cluster, it returns the runner's result at once: the job runs there.

    Raises:
        NotAllStoredError: BigQuery has not taken everything within `--stop_seconds` of a signal.
    """
    parley = options.view_as(ParleyOptions)
    runs_there = parley.live_reader == "native" or parley.runs_elsewhere()
    options.view_as(StandardOptions).streaming = runs_there
    if parley.live_reader == "pull" and runs_there:
        hand_over_readers(options)
    subscriptions = parley.subscriptions or default_subscriptions(where.project)
    if not runs_there:
        _stop_on_signals(where, parley.append_connections, parley.stop_seconds)
    try:
        while True:
            pipeline = beam.Pipeline(options=options)
            _build(pipeline, _reader(parley, subscriptions), where, parley)
            result = pipeline.run()
            if runs_there:
                return result
            result.wait_until_finish()
            if read_pubsub.stopping.is_set():
                return result
            # Before the next run, which returns only when it ends: a result holds all that its run has kept.
            del result
    except Exception as error:
        if read_pubsub.stopping.is_set():
            raise NotAllStoredError(
                "stopped before BigQuery had taken all rows; Pub/Sub delivers what is missing again"
            ) from error
        raise
    finally:
        read_pubsub.stop_pulling()


def hand_over_readers(options: PipelineOptions) -> None:
    """Let a cluster begin to read whatever its first checkpoint meets.

    Flink keeps back what a bundle puts out that ends with a checkpoint, until the step has another element or a
    watermark comes. The step that names the readers has one element in its life, and no watermark follows where
    checkpoints are on: nobody would ever read, and the job would look well.
    """
    options.view_as(FlinkCheckpointOptions).finish_bundle_before_checkpointing = True


def _build(pipeline: beam.Pipeline, reader: beam.PTransform, where: Target, parley: ParleyOptions) -> None:
    # As rows are tried without end.
    known = Suppressed(where, reference=parley.erasure_key_secret, patience=math.inf)
    build(pipeline, reader, AppendRows(where, parley.append_connections), known)


def _reader(parley: ParleyOptions, subscriptions: Sequence[str]) -> beam.PTransform:
    if parley.live_reader == "native":
        return ReadSubscriptions(subscriptions)
    in_hand = Path(parley.in_hand) if parley.in_hand else None
    return PullSubscriptions(subscriptions, in_hand, parley.live_readers if parley.runs_elsewhere() else 0)


def catch_up(archive: str, options: PipelineOptions, where: Target) -> int:
    """Store what the archive has and the ledger lacks, as it counts; return how many events that were.

    For a Pub/Sub that forgets when it stops, as emulators do. Where Pub/Sub delivers one of these events as well,
    its rows are the same and the views show them once.
    """
    selection = Selection()
    groups = find_groups(archive, selection)
    if not groups:
        return 0
    pipeline = beam.Pipeline(options=options)
    _build(pipeline, ReadArchive(groups, selection, stored_events(where)), where, options.view_as(ParleyOptions))
    result = pipeline.run()
    result.wait_until_finish()
    return counted(result, "events")


def stored_events(where: Target) -> set[str]:
    """Return the ids of all events of which a ledger row counts: the others `reconcile` calls missing.

    A run that was rolled back may have left rows of an event, none of which counts.
    """
    sql = f"SELECT DISTINCT event_id FROM `{where.view('counted_events')}`"  # noqa: S608 - the name is checked
    return {row[0] for row in target.client(where).query(sql).result()}


def default_subscriptions(project: str) -> Sequence[str]:
    """Return the subscription of every source that has a parser, by its usual name."""
    registry.install_configured()
    return [f"projects/{project}/subscriptions/parley-{name}" for name in sorted(sources.PARSERS)]


def _stop_on_signals(where: Target, connections: int, seconds: float) -> None:
    def give_up() -> None:
        # Rows are tried without end while BigQuery is away: nobody else would end that.
        suppressed.give_up()
        appender.shared(where, connections).close()

    def stop(number: int, frame: Any) -> None:
        if read_pubsub.stopping.is_set():
            return
        _log.info("%s: storing what has been read, then stopping", signal.Signals(number).name)
        read_pubsub.stopping.set()
        last = threading.Timer(seconds, give_up)
        last.daemon = True
        last.start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
