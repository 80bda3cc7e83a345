"""The commands that run the pipeline."""

import shlex
import tempfile
from datetime import datetime, timedelta

import click
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipelines.bigquery import load
from pipelines.bigquery.deploy import deploy
from pipelines.bigquery.suppressed import Suppressed
from pipelines.bigquery.target import Target, client
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.io.options import ParleyOptions, moment, unknown
from pipelines.run import batch as batches
from pipelines.run import local_stack, logs
from pipelines.run import stream as live
from pipelines.run.table_commands import target
from pipelines.sources import PARSERS, registry

_LOCAL_RUNNER = "FnApiRunner"
_TOLD_BY_OPERATORS = ("suppressions", "erasures", "alias_decisions", "actor_names", "rates")
"""Tables whose rows are made of no event: who was erased, who is who, what messages cost."""


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
    """Normalize an archive into datasets of their own, beside those that analysts read.

    It ends with the command that settles them: until then what is told in two partitions shows in both.
    """
    logs.to_terminal()
    live = target()
    where = Target.prefixed(live.project, into)
    warehouse = client(where)
    if any(dataset.dataset_id == where.rows_dataset for dataset in warehouse.list_datasets()):
        raise click.ClickException(f"the dataset {where.rows_dataset} exists already: choose another --into")
    selection = Selection(start, end, sources)
    _check_archive(archive, selection)
    options = local_options(ctx.args)
    suppressed = Suppressed(live, reference=options.view_as(ParleyOptions).erasure_key_secret)
    # Before there are datasets: the key may be missing.
    suppressed.read()
    deploy(warehouse, where)
    _take_along(warehouse, live, where)
    with tempfile.TemporaryDirectory() as folder:
        done = batches.run(archive, selection, folder, options, suppressed=suppressed)
        rows = load.load(warehouse, where, folder)
    click.echo(f"{done.events} events of {done.segments} segments: {rows}")
    _say_how_to_settle(warehouse, where, archive, into)
    if done.damages:
        raise click.ClickException(f"{done.damages} places of the archive could not be read: see the log")


def _take_along(warehouse: bigquery.Client, live: Target, where: Target) -> None:
    """Let the new datasets know what no archive tells: they may become those that live fills."""
    for table in _TOLD_BY_OPERATORS:
        try:
            names = ", ".join(f"`{field.name}`" for field in warehouse.get_table(live.table(table)).schema)
        except NotFound:
            # Of an earlier version, or nothing is installed yet.
            continue
        warehouse.query_and_wait(
            f"INSERT INTO `{where.table(table)}` ({names}) SELECT {names} FROM `{live.table(table)}`"  # noqa: S608
        )


def _say_how_to_settle(warehouse: bigquery.Client, where: Target, archive: str, into: str) -> None:
    """Print the command over all days of new datasets: the nightly one never looks at their past."""
    sql = f"SELECT MIN(DATE(received_at)), MAX(DATE(received_at)) FROM `{where.table('events')}`"  # noqa: S608
    first, last = next(iter(warehouse.query_and_wait(sql))).values()
    if first is None:
        return
    command = ["parley", "settle", "--archive", archive, "--from", first, "--to", last + timedelta(days=1)]
    settle = shlex.join(str(each) for each in command)
    click.echo(f"Once, before anybody reads them: PARLEY_DATASET_PREFIX={into} {settle}")


def _check_archive(archive: str, selection: Selection) -> None:
    """Let no datasets be made for what cannot be read: they would be in the way of whoever says it right.

    Raises:
        click.ClickException: there is no archive, or no such source.
        SourcesFileError: the file of sources cannot be used.
    """
    registry.install_configured()
    if unknown_sources := sorted(set(selection.sources) - PARSERS.keys()):
        raise click.UsageError(
            f"no such source: {', '.join(unknown_sources)}; there are {', '.join(sorted(PARSERS))}"
        )
    try:
        find_segments(archive, selection)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from error
