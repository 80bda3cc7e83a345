"""Runs the pipeline over the archive: into Parquet files, and these into tables."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.bigquery.load import parquet_files
from pipelines.bigquery.suppressed import Suppressed
from pipelines.core.rows import TABLES
from pipelines.io.archive_damages import damages_folder
from pipelines.io.archive_segments import Group, Selection, find_groups
from pipelines.io.archive_share import Share
from pipelines.io.options import ParleyOptions
from pipelines.io.read_archive import ReadArchive
from pipelines.io.write_parquet import WriteParquet
from pipelines.normalize import build
from pipelines.run import finished
from pipelines.run.counters import counted
from pipelines.run.shares import processes_worth, work_through

_LARGEST_UPLOAD = 64 * 1024 * 1024
_ROW_GROUP_BYTES = 16 * 1024 * 1024


class BatchResult(msgspec.Struct, frozen=True):
    """What a batch run did."""

    segments: int
    events: int
    damages: int
    """Places in the archive that could not be read; `damages_folder` says which."""


def run(
    archive: str,
    selection: Selection,
    output: str,
    options: PipelineOptions,
    *,
    again: bool = False,
    suppressed: Suppressed | None = None,
    meanwhile: AbstractContextManager[object] | None = None,
) -> BatchResult:
    """Normalize the selected events of an archive into `<output>/<table>/*.parquet`.

    Where the runner runs in this process, a large archive is divided among processes, this one among them, and
    into shares with a pipeline for each. `again` leaves out what pipelines of an earlier run into `output`, with
    the same selection, have finished. `suppressed` is as in `pipelines.normalize.build`. `meanwhile` is entered
    while events are read, and may start threads.

    Raises:
        FileNotFoundError: there is no archive, or what workers elsewhere have written is not in `output` here.
        concurrent.futures.process.BrokenProcessPool: a process was killed.
    """
    groups = find_groups(archive, selection)
    if not groups:
        return BatchResult(0, 0, 0)
    run_share = partial(_run_share, selection=selection, output=output, options=options, suppressed=suppressed)
    earlier = finished.pick_up(output, groups) if again else []
    left = sorted(set(groups).difference(*(one.groups for one in earlier)), key=groups.index)
    if options.view_as(ParleyOptions).runs_in_this_process():
        processes = processes_worth(left, options.view_as(ParleyOptions).most_processes())
        results = work_through(left, processes, run_share, meanwhile)
    else:
        with meanwhile or nullcontext():
            results = [run_share(left)] if left else []
    done = _sum([*map(_result, earlier), *results])
    if done.events and not any(parquet_files(f"{output.rstrip('/')}/{table}") for table in TABLES):
        raise FileNotFoundError(
            f"the rows of {done.events} events are not in {output}: workers of other machines have written them "
            "to a folder of their own; name one that every machine reaches"
        )
    return done


def _sum(results: Iterable[BatchResult]) -> BatchResult:
    return BatchResult(*(sum(counts) for counts in zip(*map(msgspec.structs.astuple, results), strict=True)))


def _run_share(
    groups: Share | Sequence[Group],
    selection: Selection,
    output: str,
    options: PipelineOptions,
    suppressed: Suppressed | None,
) -> BatchResult:
    pipeline = beam.Pipeline(options=options)
    keys = options.view_as(ParleyOptions).keys()
    read = ReadArchive(groups, selection, damages=damages_folder(output), keys=keys)
    build(pipeline, read, WriteParquet(output), suppressed)
    result = pipeline.run()
    result.wait_until_finish()
    read_of = groups.taken if isinstance(groups, Share) else groups
    made = finished.Finished(tuple(read_of), counted(result, "events"), counted(result, "damages"))
    finished.note(output, made)
    return _result(made)


def _result(made: finished.Finished) -> BatchResult:
    return BatchResult(sum(len(group.segments) for group in made.groups), made.events, made.damages)
