"""`parley query`: SQL in, a table or a file out; it reads, unless it is told that it may write."""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import click
from google.cloud import bigquery

from pipelines.bigquery.target import Target, client
from pipelines.run.query_output import SHOWN_AT_MOST, WRITERS, show
from pipelines.run.table_commands import target

_READING: Final = "SELECT"
_COMMENT: Final = re.compile(r"--\s|--[^\n]*\n")
_BINARY: Final = "parquet"


class _Asked(click.Command):
    """A command that takes SQL which begins with a comment for SQL, and not for an option that there is not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f" {each}" if _COMMENT.match(each) else each for each in args])


@click.command(cls=_Asked)
@click.argument("sql", required=False)
@click.option(
    "--file", "script", type=click.File("r", "utf-8"), help="Read the SQL from a file; - for standard input."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", *WRITERS]),
    default="table",
    show_default=True,
    help="What to write the rows as.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"Rows at most. By default all of them, but a terminal shows {SHOWN_AT_MOST}.",
)
@click.option("--write", is_flag=True, help="Also run statements that change something.")
def query(
    sql: str | None, script: IO[str] | None, format_: str, output: Path | None, limit: int | None, write: bool
) -> None:
    r"""Run SQL and print what it gives. `messages` stands for Parley's view of that name, and so on.

    \b
    parley query "SELECT source, COUNT(*) FROM messages GROUP BY source"
    parley query --file report.sql --format csv --output report.csv
    """
    text = _sql(sql, script)
    if format_ == _BINARY and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: add --output FILE")
    where = target()
    try:
        rows = _run(client(where), where, text, limit, write)
        _write(rows, format_, output, limit)
    except BrokenPipeError:
        # Whoever reads has seen enough (`parley query … | head`). Python would complain at its end.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror or error}") from error


def _sql(sql: str | None, script: IO[str] | None) -> str:
    if (sql is None) == (script is None):
        raise click.UsageError("give the SQL, or --file with it")
    text = script.read() if script is not None else sql
    if not text or not text.strip():
        raise click.UsageError("there is no SQL in it")
    return text


def _run(
    warehouse: bigquery.Client, where: Target, sql: str, limit: int | None, write: bool
) -> bigquery.table.RowIterator:
    """Run SQL; first let BigQuery say what kind of statement it is, where it must not write."""
    dataset = f"{where.project}.{where.views_dataset}"
    if not write:
        asked = bigquery.QueryJobConfig(default_dataset=dataset, dry_run=True, use_query_cache=False)
        kind = warehouse.query(sql, job_config=asked).statement_type
        if kind != _READING:
            what = f"this is {kind}" if kind else "this is no SELECT"
            raise click.ClickException(f"{what}, and may change something: add --write to run it")
    config = bigquery.QueryJobConfig(default_dataset=dataset)
    return warehouse.query(sql, job_config=config).result(max_results=limit)


def _write(rows: bigquery.table.RowIterator, format_: str, output: Path | None, limit: int | None) -> None:
    if format_ == "table":
        most = SHOWN_AT_MOST if limit is None and output is None and sys.stdout.isatty() else limit
        if output is None:
            show(rows, most)
        else:
            with output.open("w", encoding="utf-8") as file:
                show(rows, most, file=file)
        return
    with _opened(output) as binary:
        WRITERS[format_](rows, binary)


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when it is whole; or standard output."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
