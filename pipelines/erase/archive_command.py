"""`parley archive`: seals what was archived before the archive was sealed."""

import sys
from collections.abc import Iterator

import click

from pipelines.bigquery.target import ConfigurationError
from pipelines.erase import retiring
from pipelines.erase.erase_commands import WAITS
from pipelines.erase.segments import Rewritten, seal
from pipelines.io.archive_segments import Selection, find_segments
from pipelines.reprocess import shell, terminal
from pipelines.reprocess.steps import Steps
from receiver.config import ARCHIVE_KEY, ARCHIVE_KEYS
from receiver.durable.keyring import Keyring


@click.group("archive")
def archive_commands() -> None:
    """What is done to the archive itself."""


@archive_commands.command("encrypt")
@click.option("--archive", help="The archive's root; by default $PARLEY_ARCHIVE.")
@click.option("--quiet", is_flag=True, help="No progress, only what was done.")
def encrypt(archive: str | None, quiet: bool) -> None:
    """Seal every segment in which something is not; docs/privacy.md says what that is good for.

    Interrupted, it goes on when it is said again. Exit codes: 0 done, 1 failed, 2 wrong usage, 6 some segments
    are being written, or cannot be read.
    """
    root = shell.archive_root(archive)
    keys = retiring.keys_of(root)
    if keys is None:
        raise ConfigurationError(f"{ARCHIVE_KEY} and {ARCHIVE_KEYS} are not set: with what is it to be sealed?")
    with terminal.steps(quiet) as steps:
        done = dict(sealed(root, keys, steps))
    left = [each for each in done.values() if each.waits or each.damage]
    written = [each for each in done.values() if each.events]
    size = sum(each.bytes for each in written)
    click.echo(
        f"{sum(each.events for each in written):,} events sealed, in {len(written):,} segments of {size:,} bytes"
    )
    for path, each in done.items():
        if each.damage:
            click.echo(f"  cannot be read, and stays: {path}: {each.damage}")
    if left:
        click.echo(f"{len(left):,} segments are left: they are being written, or cannot be read")
        sys.exit(WAITS)


def sealed(archive: str, keys: Keyring, steps: Steps) -> Iterator[tuple[str, Rewritten]]:
    """Seal an archive, and yield what became of each segment.

    Raises:
        FileNotFoundError: there is no archive.
    """
    retiring.finish(keys, archive)
    paths = find_segments(archive, Selection())
    for number, path in enumerate(paths):
        steps.progress("sealing", number, len(paths), "segments")
        yield path, seal(path, keys)
    steps.progress("sealing", len(paths), len(paths), "segments")
