"""The commands that run the pipeline."""

import tempfile
from datetime import datetime

import click
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.bigquery import load
from pipelines.bigquery.deploy import deploy
from pipelines.bigquery.target import Target, client
from pipelines.io.archive_segments import Selection
from pipelines.io.options import moment, unknown
from pipelines.run import batch as batches
from pipelines.run import local_stack, logs
from pipelines.run import stream as live
from pipelines.run.table_commands import target

_LOCAL_RUNNER = "FnApiRunner"


class BeamCommand(click.Command):
    """A command whose further options are Beam's and the pipeline's; others are wrong usage."""

    ignore_unknown_options = True
    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command's own options, and refuse what nobody knows."""
        rest = super().parse_args(ctx, args)
        own = [name for option in self.get_params(ctx) for name in option.opts if name.startswith("--")]
        wrong = unknown(_with_runner(ctx.args), own)
        if wrong:
            what = "no such option" if wrong[0].startswith("-") else "unexpected argument"
            raise click.UsageError(f"{what}: {', '.join(wrong)}", ctx)
        return rest


def local_options(arguments: list[str]) -> PipelineOptions:
    """Return Beam's options; where they name no runner, the one that runs in this process."""
    return PipelineOptions(_with_runner(arguments))


def _with_runner(arguments: list[str]) -> list[str]:
    named = any(argument.startswith("--runner") for argument in arguments)
    return arguments if named else [*arguments, f"--runner={_LOCAL_RUNNER}"]


@click.command(cls=BeamCommand)
@click.option("--catch-up", metavar="ARCHIVE", help="First store what this archive has and the ledger lacks.")
@click.pass_context
def stream(ctx: click.Context, catch_up: str | None) -> None:
    """Run the live pipeline. Further options are Beam's and the pipeline's (see docs/configuration.md)."""
    logs.to_terminal()
    where = target()
    if not any(argument.startswith("--live_reader") for argument in ctx.args):
        ctx.args.append("--live_reader=pull")
    if catch_up:
        count = live.catch_up(catch_up, local_options(ctx.args), where)
        click.echo(f"caught up: {count} events of the archive were not in the ledger")
    click.echo(local_stack.PIPELINE_READS)
    try:
        live.run(local_options(ctx.args), where)
    except live.NotAllStoredError as error:
        raise click.ClickException(str(error)) from error


@click.command(cls=BeamCommand)
@click.option("--archive", required=True, help="The archive's root: a folder or gs://bucket/prefix.")
@click.option("--from", "start", type=moment, help="Only events received from this time on: a date or RFC 3339.")
@click.option("--to", "end", type=moment, help="Only events received before this time.")
@click.option("--source", "sources", multiple=True, help="Only this endpoint; may be given again.")
@click.option("--into", required=True, metavar="PREFIX", help="Prefix of the datasets to fill; they must be new.")
@click.pass_context
def batch(
    ctx: click.Context,
    archive: str,
    start: datetime | None,
    end: datetime | None,
    sources: tuple[str, ...],
    into: str,
) -> None:
    """Normalize an archive into datasets of their own, beside those that analysts read."""
    logs.to_terminal()
    where = Target.prefixed(target().project, into)
    bigquery = client(where)
    if any(dataset.dataset_id == where.rows_dataset for dataset in bigquery.list_datasets()):
        raise click.ClickException(f"the dataset {where.rows_dataset} exists already: choose another --into")
    deploy(bigquery, where)
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = batches.run(archive, Selection(start, end, sources), folder, local_options(ctx.args))
        except FileNotFoundError as error:
            raise click.ClickException(str(error)) from error
        rows = load.load(bigquery, where, folder)
    click.echo(f"{done.events} events of {done.segments} segments: {rows}")
    if done.damages:
        raise click.ClickException(f"{done.damages} places of the archive could not be read: see the log")
