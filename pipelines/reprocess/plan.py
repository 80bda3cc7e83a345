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

from pipelines.bigquery.target import Target
from pipelines.io.archive_damages import damages_folder, read_damages
from pipelines.io.archive_segments import Selection
from pipelines.reprocess import diff, extent, staging
from pipelines.reprocess.progress import watched
from pipelines.reprocess.runs import Request, Run, Runs, Staging, State
from pipelines.reprocess.steps import Steps
from pipelines.run import batch

_CLOCK_TOLERANCE = dt.timedelta(hours=1)


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
    folder that is removed afterwards. Whoever is interrupted leaves a run in the state `planning`, which
    can only be discarded.

    Raises:
        FileNotFoundError: there is no archive.
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    steps, run_id = steps or Steps(), str(uuid_utils.uuid7())
    Runs(client, live).begin(run_id, request)
    steps.reached("recorded")
    with _made(client, live, run_id, request, options, files, steps) as output:
        return finish(client, live, run_id, output, steps)


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
    with _made(client, live, run_id, request, options, files, steps) as output:
        compare(client, live, run_id, output, steps)
        if not staging.affected(client, place):
            staging.drop(client, place)
            return None
        Runs(client, live).begin(run_id, request)
        return _planned(client, live, run_id, output, steps)


@contextlib.contextmanager
def _made(
    client: bigquery.Client,
    live: Target,
    run_id: str,
    request: Request,
    options: PipelineOptions,
    files: str | None,
    steps: Steps,
) -> Iterator[str]:
    """Make a run's dataset, and the files of its rows in the folder that is given to the block."""
    staging.create(client, Staging.of(live, run_id))
    steps.reached("prepared")
    selection = narrowed(request.selection)
    with _folder(files, run_id) as output:
        with watched(request.archive, selection, f"{output}/events", "normalizing", steps):
            batch.run(request.archive, selection, output, options)
        steps.reached("normalized")
        yield output


def finish(client: bigquery.Client, live: Target, run_id: str, output: str, steps: Steps) -> Run:
    """Load what the batch pipeline has written for a run, compare it with the current rows, and call it planned.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    compare(client, live, run_id, output, steps)
    return _planned(client, live, run_id, output, steps)


def compare(client: bigquery.Client, live: Target, run_id: str, output: str, steps: Steps) -> None:
    """Load what the batch pipeline has written for a run, and compare it with the current rows.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: BigQuery refuses something.
    """
    place = Staging.of(live, run_id)
    staging.load(client, place, output, steps)
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
        damages=tuple(read_damages(damages_folder(output))),
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
    made = [_made_at(event_id) for event_id in selection.events]
    known = [moment for moment in made if moment is not None]
    if len(known) < len(made):
        return selection
    return msgspec.structs.replace(
        selection,
        start=selection.start or min(known) - _CLOCK_TOLERANCE,
        end=selection.end or max(known) + _CLOCK_TOLERANCE,
    )


def _made_at(event_id: str) -> dt.datetime | None:
    try:
        identifier = uuid_utils.UUID(event_id)
    except ValueError:
        return None
    if identifier.version != 7:
        return None
    return dt.datetime.fromtimestamp(identifier.timestamp / 1_000, dt.UTC)


@contextlib.contextmanager
def _folder(files: str | None, run_id: str) -> Iterator[str]:
    if files is not None:
        yield f"{files.rstrip('/')}/{run_id}"
        return
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        yield folder
