"""`parley generate`: the sample world on the command line."""

import datetime as dt
import os
from pathlib import Path
from typing import Final

import click
from google.api_core.exceptions import GoogleAPICallError

from pipelines.generate import delivery, flaws, into_stack, people, send, signing, write_archive
from pipelines.generate.story import DEFAULT_START, WEIGHTS, World
from pipelines.generate.talk import SECOND
from pipelines.run import local_stack
from schemas.custom_sources import name_problem

UNSENDABLE: Final = frozenset({"chatplugin"})
"""Sources that need a token of the receiver's for each visitor, and so are written to archives only."""


@click.command()
@click.option("--conversations", type=click.IntRange(min=1), required=True, help="How many conversations.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Chooses the world.")
@click.option("--days", type=click.IntRange(1, 3_660), default=30, show_default=True, help="Over how many days.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    help=f"The first day. Default: {DEFAULT_START:%Y-%m-%d}; with --to or --here, so that it ends yesterday.",
)
@click.option(
    "--source", "sources", multiple=True, help="A row's source, or a custom one; may be given again. Default: all."
)
@click.option(
    "--several-ids",
    "several",
    type=click.IntRange(0, people.MOST),
    default=people.USUAL,
    show_default=True,
    help="How many people of a hundred WhatsApp knows by several ids.",
)
@click.option(
    "--archive",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write an archive into this folder.",
)
@click.option(
    "--to",
    "url",
    help="Send to the receiver at this URL, signed with the secrets of the environment, "
    "or of the stack that runs in this folder. All of it is received now.",
)
@click.option(
    "--here",
    is_flag=True,
    help="Put it into the stack that runs in this folder, as its receiver would have taken it on those days: "
    "with live chat, and days for sources that tell no time.",
)
@click.option(
    "--flawed",
    type=click.IntRange(0, 1_000),
    help="How many webhooks of a thousand have one beside them that is cut, of another shape, or not ours. "
    f"Default: {flaws.USUAL}; with --archive none.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    help="With --to: webhooks a second. Default: as fast as possible.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    help="With --archive. Default: one a core.",
)
@click.pass_context
def generate(
    ctx: click.Context,
    conversations: int,
    seed: int,
    days: int,
    start: dt.datetime | None,
    sources: tuple[str, ...],
    several: int,
    root: Path | None,
    url: str | None,
    here: bool,
    flawed: int | None,
    rate: float,
    processes: int,
) -> None:
    """Make a sample world: realistic webhooks of all sources, the same for the same seed and options."""
    if [root is not None, url is not None, here].count(True) != 1:
        raise click.UsageError("give --archive, --here or --to")
    for source in sources:
        if source not in WEIGHTS and (what := name_problem(source)):
            raise click.BadParameter(f"{source!r}: {what}", param_hint="'--source'")
    now = dt.datetime.now(dt.UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    until = None if root else today if start is None else now
    if start is None:
        start = DEFAULT_START if root else today - dt.timedelta(days=days)
    known = sources or tuple(source for source in WEIGHTS if not url or source not in UNSENDABLE)
    if url and not UNSENDABLE.isdisjoint(known):
        raise click.UsageError(f"{', '.join(sorted(UNSENDABLE))} cannot be sent: give --here or --archive")
    first = write_archive.day_of(start.replace(tzinfo=dt.UTC))
    world = World(
        conversations,
        seed,
        first,
        days,
        known,
        several,
        flawed=flawed if flawed is not None else 0 if root else flaws.USUAL,
        until=None if until is None else int(until.timestamp()) * SECOND,
    )
    if root is not None:
        _write(world, root, processes)
    elif here:
        _put(world)
    else:
        ctx.exit(_send(world, url or "", rate))


def _write(world: World, root: Path, processes: int) -> None:
    events = 0
    try:
        with click.progressbar(length=world.days, label="days") as bar:
            for count in write_archive.write(world, root, processes):
                events += count
                bar.update(1)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{events} events of {world.conversations} conversations in {root}")


def _put(world: World) -> None:
    local_stack.adopt()
    days = (delivery.of_day(world, day) for day in range(world.days))
    events = 0
    try:
        with click.progressbar(length=world.days, label="days") as bar:
            for count in into_stack.put(days, f"sample-{world.seed}"):
                events += count
                bar.update(1)
    except into_stack.NoStackError as error:
        starts = local_stack.is_held()
        said = "the stack in this folder is not ready yet: its terminal says when it is" if starts else str(error)
        raise click.ClickException(said) from error
    except (GoogleAPICallError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{events} events of {world.conversations} conversations; the pipeline reads them now")


def _send(world: World, url: str, rate: float) -> int:
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--to must be like http://127.0.0.1:8080, not {url!r}")
    local_stack.adopt()
    endpoints = frozenset(_endpoint(source) for source in world.sources)
    try:
        signs = signing.signers(os.environ, endpoints)
    except (signing.MissingSecretError, OSError) as error:
        raise click.ClickException(str(error)) from error
    # What another system reports to have sent needs a token of the receiver's: its messages are known by receipts.
    days = (delivery.of_day(world, day) for day in range(world.days))
    deliveries = (item for each in days for item in each if item.webhook.endpoint in endpoints)
    counts = send.send(deliveries, url, rate, signs)
    for status, count in sorted(counts.items()):
        click.echo(f"{count} answered with {status}" if status else f"{count} not answered")
    return 0 if all(200 <= status < 300 for status in counts) else 1


def _endpoint(source: str) -> str:
    return {"instagram": "facebook"}.get(source, source.partition(".")[0])
