"""`parley deploy`: start, replace and drain the pipeline as a job on Dataflow."""

import contextlib
import shlex
import time
from collections.abc import Iterator

import click
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    TestOptions,
)
from apache_beam.utils.retry import PermanentException
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.dataflow_v1beta3 import JobState

from pipelines import launch
from pipelines.bigquery.target import ConfigurationError, Target
from pipelines.deploy import dataflow
from pipelines.deploy.jobs import Jobs, NoSuchJobError, steps, steps_of
from pipelines.io.options import BATCH, STREAMING
from pipelines.run import logs

_BEAM_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}
_REGION = click.option("--region", required=True, help="Where the job runs.")


@click.group()
def deploy() -> None:
    """Run the pipeline as a job on an engine."""


@deploy.command("dataflow", context_settings=_BEAM_ARGUMENTS)
@click.option("--mode", type=click.Choice([STREAMING, BATCH]), required=True, help="Live, or plan a reprocessing.")
@click.option("--project", help="Google Cloud project of the job; by default $PARLEY_PROJECT.")
@_REGION
@click.option("--temp_location", required=True, help="gs://bucket/prefix for staged and temporary files.")
@click.option("--job_name", help="By default parley-streaming, or parley-batch- and the time.")
@click.option("--min_num_workers", default=1, show_default=True, help="Workers at least.")
@click.option("--max_num_workers", default=10, show_default=True, help="Workers at most.")
@click.option("--archive", envvar="PARLEY_ARCHIVE", help="batch: the archive's root, gs://bucket/prefix.")
@click.option("--update", is_flag=True, help="streaming: replace the running job of this name.")
@click.option("--force", is_flag=True, help="Leave it to Dataflow to check whether an update is possible.")
@click.option("--dry_run", is_flag=True, help="Show the arguments and steps of the job, and stop there.")
@click.pass_context
def deploy_dataflow(
    ctx: click.Context,
    mode: str,
    project: str | None,
    region: str,
    temp_location: str,
    job_name: str | None,
    min_num_workers: int,
    max_num_workers: int,
    archive: str | None,
    update: bool,
    force: bool,
    dry_run: bool,
) -> None:
    """Start the pipeline on Dataflow, or replace the one that runs there.

    Further options are Beam's and the pipeline's, such as --service_account_email, --subnetwork,
    --no_use_public_ips, --sdk_container_image, --subscription, --from and --to. Workers install this
    checkout with its pinned requirements, unless --sdk_container_image names an image that has them.
    """
    logs.to_terminal()
    if update and mode == BATCH:
        raise click.UsageError("--update is for streaming: Dataflow replaces no batch job")
    with _failures():
        where = Target.from_environment()
        name = job_name or (f"parley-{mode}" if mode == STREAMING else time.strftime("parley-batch-%Y%m%d-%H%M%S"))
        job = dataflow.Job(
            mode, project or where.project, region, temp_location, name, min_num_workers, max_num_workers
        )
        further = [*_datasets(where), *ctx.args]
        if mode == BATCH and archive:
            further.append(f"--archive={archive}")
        if update:
            further.append("--update")
        arguments = dataflow.arguments(job, further)
        if problems := dataflow.problems(arguments):
            raise click.UsageError("; ".join(problems))
        if dry_run:
            _show(arguments)
        else:
            if mode == STREAMING:
                _check_running(job, arguments, update, force)
            _submit(arguments, job)


@deploy.command("drain", context_settings=_BEAM_ARGUMENTS)
@click.option("--project", help="Google Cloud project of the job; by default $PARLEY_PROJECT.")
@_REGION
@click.option("--job_name", default=f"parley-{STREAMING}", show_default=True, help="The job's name.")
@click.pass_context
def drain(ctx: click.Context, project: str | None, region: str, job_name: str) -> None:
    """Stop a streaming job on Dataflow once all that it has read is stored; nothing is lost."""
    with _failures():
        project = project or Target.from_environment().project
        job_id = Jobs(PipelineOptions([f"--project={project}", f"--region={region}", *ctx.args])).drain(job_name)
    click.echo(f"{job_name} is draining ({job_id}). To watch it:")
    click.echo(f"gcloud dataflow jobs describe {job_id} --region={region} --project={project}")


def _datasets(where: Target) -> list[str]:
    return [
        f"--bigquery_project={where.project}",
        f"--dataset_prefix={where.rows_dataset.removesuffix('parley_rows')}",
        f"--bigquery_location={where.location}",
    ]


def _show(arguments: list[str]) -> None:
    click.echo(shlex.join(["python", "-m", "pipelines.normalize"]))
    for argument in arguments:
        click.echo(f"  {shlex.quote(argument)}")
    click.echo("makes a job of these steps:")
    for step in sorted(pipeline_steps(arguments)):
        click.echo(f"  {step}")


def pipeline_steps(arguments: list[str]) -> set[str]:
    """Return the steps that a job with these arguments would have."""
    options = PipelineOptions(arguments)
    # Beam's own dry run: everything of a submission but sending it.
    options.view_as(TestOptions).dry_run = True
    google = options.view_as(GoogleCloudOptions)
    google.update, google.transform_name_mapping = False, None
    setup = options.view_as(SetupOptions)
    setup.setup_file = setup.requirements_file = setup.extra_packages = None
    return steps(launch.start(options).job.proto_pipeline)


def _check_running(job: dataflow.Job, arguments: list[str], update: bool, force: bool) -> None:
    options = PipelineOptions(arguments)
    running = Jobs(options).active(job.job_name)
    if running is None:
        if update:
            raise click.ClickException(f"no active job is called {job.job_name!r}: deploy without --update")
        return
    there = f"{job.job_name!r} is {running.current_state.name} ({running.id})"
    if not update:
        raise click.ClickException(f"{there}: --update replaces it, parley deploy drain ends it")
    if running.current_state != JobState.JOB_STATE_RUNNING:
        # Beam would look for a running one until it finds it.
        raise click.ClickException(f"{there}: it cannot be replaced")
    if force:
        return
    mapping = options.view_as(GoogleCloudOptions).transform_name_mapping
    if lost := dataflow.lost_steps(steps_of(running), pipeline_steps(arguments), mapping):
        listed = "\n".join(f"  {step}" for step in lost)
        raise click.ClickException(
            f"the running job {running.id} has steps that the new one has not:\n{listed}\n"
            "What is under way in them would have no place to go. Say where they went with "
            '--transform_name_mapping=\'{"old name": "new name"}\'; or end the job with parley deploy drain, '
            "and deploy without --update"
        )


def _submit(arguments: list[str], job: dataflow.Job) -> None:
    job_id = launch.start(PipelineOptions(arguments)).job_id()
    click.echo(f"{job.job_name} is submitted ({job_id}):")
    click.echo(f"https://console.cloud.google.com/dataflow/jobs/{job.region}/{job_id}?project={job.project}")


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (ConfigurationError, NoSuchJobError, OSError, PermanentException) as error:
        raise click.ClickException(str(error)) from error
    except GoogleAPICallError as error:
        raise click.ClickException(error.message or str(error)) from error
