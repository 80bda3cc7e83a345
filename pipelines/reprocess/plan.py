"""Plans a run: makes rows of archived events beside the current ones, and compares the two."""

import contextlib
import datetime as dt
import json
import tempfile
from collections.abc import Iterator

import msgspec
import uuid_utils
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import bigquery

from pipelines.bigquery.suppressed import Suppressed
from pipelines.bigquery.target import Target
from pipelines.core.generation import GENERATION
from pipelines.io.archive_damages import damages_folder, read_damages, shortened
from pipelines.io.archive_segments import Selection
from pipelines.io.options import ParleyOptions
from pipelines.reprocess import diff, extent, folder, staging
from pipelines.reprocess.progress import watched
from pipelines.reprocess.runs import RefusedError, Request, Run, Runs, Staging, State, made_at
from pipelines.reprocess.steps import Steps
from pipelines.run import batch

_CLOCK_TOLERANCE = dt.timedelta(hours=1)
_MOST_OF_DAMAGES = 300_000
"""Bytes: they are part of a statement, which has a megabyte at most. https://cloud.google.com/bigquery/quotas"""


def plan(
    client: bigquery.Client,
    live: Target,
    request: Request,
    options: PipelineOptions,
    *,
    files: str | None = None,
    steps: Steps | None = None,
) -> Run:
    """Make rows of the requested events and compare them with the current ones; nothing that is read changes.

    `files` is where the batch pipeline writes its rows, `gs://…` for a runner of a cluster; by default a
    folder that is removed afterwards. Whoever is killed or fails leaves a run in the state `planning` and this
    folder, for `resume` or to be discarded.

    Raises:
        FileNotFoundError: there is no archive.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    steps, run_id = steps or Steps(), str(uuid_utils.uuid7())
    with folder.kept(files, run_id) as output:
        folder.note_events(output, request.selection)
        Runs(client, live).begin(run_id, request)
        steps.reached("recorded")
        _make(client, live, run_id, request, options, output, steps)
        return finish(client, live, run_id, output, steps)


def resume(
    client: bigquery.Client,
    live: Target,
    name: str,
    options: PipelineOptions,
    *,
    files: str | None = None,
    steps: Steps | None = None,
) -> Run:
    """Go on with a plan that was interrupted: what it has made and loaded is not made and loaded again.

    `files` is what the plan had. Where the files are gone, all is made again.

    Raises:
        RefusedError: the run is not being planned, or by another generation, or by another process.
        UnknownRunError: there is no such run.
        FileNotFoundError, google.api_core.exceptions.GoogleAPICallError: as `plan`.
    """
    steps, run = steps or Steps(), Runs(client, live).get(name)
    if run.state is not State.PLANNING:
        raise RefusedError(f"run {run.run_id} is {run.state}: only a plan that was interrupted is resumed")
    if run.generation != GENERATION:
        raise RefusedError(
            f"run {run.run_id} is of generation {run.generation}, this is {GENERATION}: discard it and plan again"
        )
    with folder.kept(files, run.run_id) as output:
        request = Request.of(run, lambda: folder.read_events(output))
        _make(client, live, run.run_id, request, options, output, steps, again=True)
        return finish(client, live, run.run_id, output, steps, again=True)


def plan_if_different(
    client: bigquery.Client,
    live: Target,
    request: Request,
    options: PipelineOptions,
    *,
    files: str | None = None,
    steps: Steps | None = None,
) -> Run | None:
    """Plan as `plan` does, but record a run only where rows differ, and leave nothing where they do not.

    Raises:
        FileNotFoundError, google.api_core.exceptions.GoogleAPICallError: as `plan`.
    """
    steps, run_id = steps or Steps(), str(uuid_utils.uuid7())
    place = Staging.of(live, run_id)
    with _folder(files, run_id) as output:
        _make(client, live, run_id, request, options, output, steps)
        compare(client, live, run_id, output, steps)
        if not staging.affected(client, place):
            staging.drop(client, place)
            return None
        Runs(client, live).begin(run_id, request)
        return _planned(client, live, run_id, output, steps)


def _make(
    client: bigquery.Client,
    live: Target,
    run_id: str,
    request: Request,
    options: PipelineOptions,
    output: str,
    steps: Steps,
    *,
    again: bool = False,
) -> None:
    """Make a run's dataset, and the files of its rows in a folder; `again` makes what is missing of both."""
    staging.create(client, Staging.of(live, run_id), again=again)
    steps.reached("prepared")
    selection = narrowed(request.selection)
    batch.run(
        request.archive,
        selection,
        output,
        options,
        again=again,
        suppressed=Suppressed(live, reference=options.view_as(ParleyOptions).erasure_key_secret),
        meanwhile=watched(request.archive, selection, f"{output}/events", "normalizing", steps),
    )
    steps.reached("normalized")


def finish(
    client: bigquery.Client, live: Target, run_id: str, output: str, steps: Steps, *, again: bool = False
) -> Run:
    """Load what the batch pipeline has written for a run, compare it with the current rows, and call it planned.

    Raises:
        RefusedError, google.api_core.exceptions.GoogleAPICallError: as `staging.load`.
    """
    compare(client, live, run_id, output, steps, again=again)
    return _planned(client, live, run_id, output, steps)


def compare(
    client: bigquery.Client, live: Target, run_id: str, output: str, steps: Steps, *, again: bool = False
) -> None:
    """Load what the batch pipeline has written for a run, and compare it with the current rows.

    `again` leaves what is loaded already.

    Raises:
        RefusedError, google.api_core.exceptions.GoogleAPICallError: as `staging.load`.
    """
    place = Staging.of(live, run_id)
    staging.load(client, place, output, steps, again=again)
    steps.reached("loaded")
    where = extent.of_events(client, live, place.made("events"), place.made("events"))
    if where is not None:
        diff.compare(client, live, place, where, steps)
    steps.reached("compared")


def _planned(client: bigquery.Client, live: Target, run_id: str, output: str, steps: Steps) -> Run:
    runs, place = Runs(client, live), Staging.of(live, run_id)
    begun = runs.get(run_id)
    run = msgspec.structs.replace(
        begun,
        counts=json.dumps(diff.read(client, place, samples=0).by_table()),
        events=staging.events(client, place),
        damages=tuple(shortened(read_damages(damages_folder(output)), _MOST_OF_DAMAGES)),
    )
    client.query_and_wait(runs.insertion(run, State.PLANNED, begun.history[-1].actor, begun.history[-1].reason))
    steps.reached("planned")
    return runs.get(run_id)


def narrowed(selection: Selection) -> Selection:
    """Return the selection with a range where ids imply one: a UUIDv7 tells when it was made.

    It spares reading the whole archive for a few events.
    """
    if not selection.events:
        return selection
    made = [made_at(event_id) for event_id in selection.events]
    known = [moment for moment in made if moment is not None]
    if len(known) < len(made):
        return selection
    return msgspec.structs.replace(
        selection,
        start=selection.start or min(known) - _CLOCK_TOLERANCE,
        end=selection.end or max(known) + _CLOCK_TOLERANCE,
    )


@contextlib.contextmanager
def _folder(files: str | None, run_id: str) -> Iterator[str]:
    if files is not None:
        yield f"{files.rstrip('/')}/{run_id}"
        return
    with tempfile.TemporaryDirectory(prefix="parley-") as here:
        yield here
