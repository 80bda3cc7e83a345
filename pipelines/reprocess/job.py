"""Plans a run wholly inside one job of any runner, so that a scheduler or a template can start it."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import uuid_utils
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions

from pipelines.bigquery import target
from pipelines.bigquery.suppressed import Suppressed
from pipelines.bigquery.target import Target
from pipelines.io.archive_damages import damages_folder
from pipelines.io.archive_segments import find_groups
from pipelines.io.options import ParleyOptions
from pipelines.io.read_archive import ReadArchive
from pipelines.io.write_parquet import WriteParquet
from pipelines.normalize import build
from pipelines.reprocess import staging
from pipelines.reprocess.plan import finish, narrowed
from pipelines.reprocess.runs import Request, Runs, Staging, State
from pipelines.reprocess.steps import Steps

_log = logging.getLogger(__name__)


class Started(NamedTuple):
    """A run, and the runner's result of the job that plans it."""

    run_id: str
    result: Any


def start(live: Target, request: Request, options: PipelineOptions, files: str) -> Started:
    """Record a run and start the job that makes its rows, compares them, and ends with the run as planned.

    `files` is a folder that all workers reach, where rows lie before they are loaded.

    Raises:
        FileNotFoundError: there is no archive.
    """
    selection = narrowed(request.selection)
    groups = find_groups(request.archive, selection)
    run_id = str(uuid_utils.uuid7())
    output = f"{files.rstrip('/')}/{run_id}"
    if not options.view_as(TestOptions).dry_run:
        with target.client(live) as client:
            Runs(client, live).begin(run_id, request)
    pipeline = beam.Pipeline(options=options)
    parley = options.view_as(ParleyOptions)
    read = ReadArchive(groups, selection, damages=damages_folder(output), keys=parley.keys())
    suppressed = Suppressed(live, reference=parley.erasure_key_secret)
    _ = build(pipeline, read, WriteParquet(output), suppressed) | "Plan" >> FinishPlan(live, run_id, output)
    return Started(run_id, pipeline.run())


class FinishPlan(beam.PTransform):
    """Waits until every file is written, then loads them and compares, as the last step of a job."""

    def __init__(self, live: Target, run_id: str, output: str) -> None:
        """Finish the run whose rows lie in the folder `output`."""
        super().__init__()
        self._finish = _Finish(live, run_id, output)

    def expand(self, written: Any) -> Any:
        """Return the id of the run when it is planned."""
        return written | "Written" >> beam.combiners.Count.Globally() | "Compare" >> beam.ParDo(self._finish)


class _Finish(beam.DoFn):
    def __init__(self, live: Target, run_id: str, output: str) -> None:
        self._live = live
        self._run_id = run_id
        self._output = output

    def process(self, files: int) -> Iterator[str]:
        with target.client(self._live) as client:
            state = Runs(client, self._live).get(self._run_id).state
            if state is State.PLANNING:
                place = Staging.of(self._live, self._run_id)
                # An earlier attempt of this bundle may have loaded something.
                staging.drop(client, place)
                staging.create(client, place)
                finish(client, self._live, self._run_id, self._output, Steps())
            else:
                _log.warning("the run %s is %s: there is nothing to finish", self._run_id, state)
        yield self._run_id
