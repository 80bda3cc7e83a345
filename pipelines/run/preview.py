"""`parley preview`: what a body becomes, for who writes or mends a source."""

import datetime as dt
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from pipelines.core import ids
from pipelines.core.rows import TABLE_OF, DeadLetter
from pipelines.run import shown
from pipelines.run.readable import readable
from pipelines.sources import PARSERS, registry
from pipelines.sources.nearest import nearest
from pipelines.sources.normalization import InvalidRawEventError, normalize
from schemas.custom_sources import SourcesFileError
from schemas.raw_event import (
    CONTENT_TYPE,
    EVENT_ID,
    RECEIVED_AT,
    SOURCE,
    VERIFIED_BY,
    RawEvent,
    format_received_at,
)

DEFAULT_CONTENT_TYPE: Final = {"twilio": "application/x-www-form-urlencoded"}


class Moment(click.ParamType[dt.datetime]):
    """A date or an RFC 3339 time; without a zone, UTC is meant."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Return the time that a text says."""
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an RFC 3339 time, such as 2026-11-22T18:30:00Z", param, ctx)
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC)


class _Attribute(click.ParamType[tuple[str, str]]):
    """KEY=VALUE."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, separator, text = value.partition("=")
        if not separator or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, text


@click.command()
@click.option(
    "--source", required=True, help="The endpoint that takes such bodies: facebook, twilio, …, or a custom one."
)
@click.option("--content-type", help="The request's Content-Type.")
@click.option("--received-at", type=Moment(), help="When the request came, in RFC 3339. Default: now.")
@click.option(
    "--attribute",
    "attributes",
    type=_Attribute(),
    multiple=True,
    help="A further attribute of the raw event, such as query=… or header.x-event=…; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and row.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.pass_context
def preview(
    ctx: click.Context,
    source: str,
    content_type: str | None,
    received_at: dt.datetime | None,
    attributes: tuple[tuple[str, str], ...],
    as_json: bool,
    files: tuple[str, ...],
) -> None:
    """Print the rows that bodies become, for a person to read.

    Each FILE holds one body; - or no FILE is standard input. Exits with 1 where there is a dead letter.
    """
    try:
        registry.install_configured()
    except SourcesFileError as error:
        raise click.UsageError(str(error)) from error
    if source not in PARSERS:
        meant = f"; did you mean {found}?" if (found := nearest(source, PARSERS)) else ""
        raise click.BadParameter(
            f"{source!r} is none of {', '.join(sorted(PARSERS))}{meant}", param_hint="'--source'"
        )
    known = {
        SOURCE: source,
        RECEIVED_AT: format_received_at(received_at or dt.datetime.now(dt.UTC)),
        CONTENT_TYPE: content_type or DEFAULT_CONTENT_TYPE.get(source, "application/json"),
        VERIFIED_BY: "none",
    }
    failed = False
    for file in files or ("-",):
        body = _body(file)
        # Of the body, so that two previews of it can be compared.
        known[EVENT_ID] = ids.derive("preview", source, hashlib.sha256(body).hexdigest())
        try:
            rows = normalize(RawEvent(body, known | dict(attributes)))
        except InvalidRawEventError as error:
            raise click.UsageError(str(error)) from error
        failed |= any(isinstance(row, DeadLetter) for row in rows)
        if not as_json:
            click.echo("\n".join(shown.lines(rows)))
            continue
        for row in rows:
            click.echo(json.dumps({"table": TABLE_OF[type(row)], "row": readable(row)}, ensure_ascii=False))
    ctx.exit(1 if failed else 0)


def _body(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
