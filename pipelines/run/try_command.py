"""`parley sources try`: what the receiver and the pipeline make of one captured request of a custom source."""

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from pipelines.core import ids
from pipelines.core.item import Lineage
from pipelines.core.rows import DeadLetter, Row
from pipelines.run import shown
from pipelines.run.preview import Moment
from pipelines.sources import PARSERS, form_body, registry
from pipelines.sources.expressions import Given
from pipelines.sources.mapping import Mapped
from pipelines.sources.nearest import misspelt, nearest
from pipelines.sources.normalization import normalize
from receiver.config import PREFIX, Settings
from receiver.proofs.encodings import encoding_of
from receiver.proofs.key_sets import KeysMissingError
from receiver.proofs.places import signatures, timestamp
from receiver.proofs.setting import seconds_of
from receiver.sources import custom
from receiver.web.captured import Captured
from schemas import encodings
from schemas.custom_sources import VARIABLE, Definition, SourcesFile, SourcesFileError, read_file
from schemas.raw_event import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    EVENT_ID,
    HEADER_PREFIX,
    QUERY,
    RECEIVED_AT,
    SOURCE,
    VERIFIED_BY,
    RawEvent,
    format_received_at,
)

if TYPE_CHECKING:
    from flask import Request


STANDARD: Final = "standard-webhooks"
_FORM: Final = re.compile(rb"[^\s=&<]+=")


class Tried(NamedTuple):
    """What became of a request."""

    lines: list[str]
    good: bool


class _Header(click.ParamType[tuple[str, str]]):
    """Name: value."""

    name = "name: value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, colon, text = value.partition(":")
        if not colon or not name.strip():
            self.fail(f"{value!r} is not NAME: VALUE", param, ctx)
        return name.strip(), text.strip()


@click.command(name="try")
@click.option("--header", "headers", type=_Header(), multiple=True, help="'Name: value'; may be given again.")
@click.option("--query", default="", help="The URL's query, without the question mark.")
@click.option("--method", type=click.Choice(["POST", "GET", "HEAD"]), default="POST", show_default=True)
@click.option("--at", type=Moment(), help="When the request came, in RFC 3339: an old one is proven by its time.")
@click.argument("name")
@click.argument("body", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.pass_context
def try_request(
    ctx: click.Context,
    headers: tuple[tuple[str, str], ...],
    query: str,
    method: str,
    at: dt.datetime | None,
    name: str,
    body: str,
) -> None:
    """Show what becomes of one request: is it proven, what is it answered, which rows does it make.

    NAME is a source of the sources file, BODY a file with the body as it came (- is standard input). Exits with 1
    where the request is refused or an item is a dead letter. Nothing is stored.
    """
    data = sys.stdin.buffer.read() if body == "-" else Path(body).read_bytes()
    captured = Captured(data, _with_content_type(headers, data), query, method)
    try:
        tried = attempt(os.environ, name, captured, at or dt.datetime.now(dt.UTC))
    except SourcesFileError as error:
        raise click.UsageError(str(error)) from error
    click.echo("\n".join(tried.lines))
    ctx.exit(0 if tried.good else 1)


def _with_content_type(headers: tuple[tuple[str, str], ...], body: bytes) -> dict[str, str]:
    """Return headers by name, with the content type that a body looks like where they do not have it."""
    given = dict(headers)
    if not any(name.lower() == "content-type" for name in given):
        is_form = not form_body.is_json(body, "") and _FORM.match(body) is not None
        given["Content-Type"] = form_body.FORM if is_form else "application/json"
        if is_form:
            click.echo(
                "note: read as a form: where it came as another, say so by --header 'Content-Type: …'", err=True
            )
    return given


def attempt(environ: Mapping[str, str], name: str, captured: Captured, at: dt.datetime) -> Tried:
    """Return what the receiver answers a request at a time, and what the pipeline makes of it.

    Raises:
        SourcesFileError: the file cannot be used, or has no such source.
    """
    path = Settings(environ).text(VARIABLE.removeprefix(PREFIX))
    text = read_file(path)
    definitions = SourcesFile(text, path).definitions
    if name not in definitions:
        meant = f"; did you mean {found}?" if (found := nearest(name, definitions)) else ""
        raise SourcesFileError([f"{name!r} is no source of {path or VARIABLE}{meant}"])
    definition = definitions[name]
    proof = _proof(environ, name, captured, at)
    if not proof.is_event:
        return Tried(proof.lines, proof.good)
    lines = [*proof.lines, ""]
    parse = registry.parsers(text, path)[name]
    given: list[Given] = []
    mapped = getattr(parse, "__self__", None)

    def explained(event: RawEvent, lineage: Lineage) -> str | None:
        return mapped.parse(event, lineage, given) if isinstance(mapped, Mapped) else parse(event, lineage)

    known = PARSERS.get(name)
    PARSERS[name] = explained
    try:
        rows = normalize(_event(name, definition, captured, at))
    finally:
        PARSERS.pop(name) if known is None else PARSERS.update({name: known})
    lines += ["rows", *(f"  {line}" if line else "" for line in shown.lines(rows))]
    if given:
        lines += ["", "expressions", *shown.given_lines(given), *_hints(given)]
    return Tried(lines, proof.good and not any(map(_is_dead, rows)))


def _is_dead(row: Row) -> bool:
    return isinstance(row, DeadLetter)


def _hints(given: list[Given]) -> Iterator[str]:
    hints = (
        f"  note: {each.place}.{each.name}: {hint}"
        for each in given
        if each.value is None
        for hint in misspelt(each.expression, each.values)
    )
    yield from dict.fromkeys(hints)


def _event(name: str, definition: Definition, captured: Captured, at: dt.datetime) -> RawEvent:
    headers = {key.lower(): value for key, value in captured.headers.items()}
    query = captured.query
    for secret in definition.query_secrets:
        query = custom.without(query, secret)
    attributes = {
        EVENT_ID: ids.derive("try", name, captured.query),
        SOURCE: name,
        RECEIVED_AT: format_received_at(at),
        CONTENT_TYPE: headers.get("content-type", ""),
        VERIFIED_BY: definition.scheme,
        **({QUERY: query} if query else {}),
        **({CONTENT_ENCODING: encoding} if (encoding := headers.get("content-encoding", "").lower()) else {}),
    }
    for kept in definition.keep_headers:
        if kept.lower() in headers:
            attributes[HEADER_PREFIX + kept.lower()] = headers[kept.lower()]
    return RawEvent(captured.body, attributes)


class _Proof(NamedTuple):
    """What the receiver does with a request, in words."""

    lines: list[str]
    good: bool
    is_event: bool = True


def _proof(environ: Mapping[str, str], name: str, captured: Captured, at: dt.datetime) -> _Proof:
    settings = Settings(environ)
    source = _source(settings, name, at.timestamp())
    if source is None:
        mine = [what for what in settings.problems if custom.secrets_variable(name) in what]
        return _Proof([f"proof: not tried: {'; '.join(mine or settings.problems)}"], False)
    request = captured.request(f"/sources/{name}")
    if (settled := _before_proof(source, request)) is not None:
        return settled
    try:
        is_proven = source.proven(request)
    except KeysMissingError as error:
        return _Proof([f"proof: 503, since the keys of {error} have not come yet: try again"], False)
    if not is_proven:
        said = f"proof: refused ({source.refusal})"
        return _Proof([f"{said}: {why}" for why in _why(settings, source, request)], False)
    answer = source.answers.after_proof(request)
    lines = [f"proof: accepted, {source.definition.scheme}"]
    if (answer is None or answer.keep) and (refused := _refused(source, request)):
        return _Proof([*lines, refused], False, False)
    if answer is not None:
        what = "an event, when it is durable" if answer.keep else "a handshake, no event"
        lines.append(f"answer: {answer.response.status_code} {answer.response.get_data(as_text=True)} ({what})")
    return _Proof(lines, True, answer is None or answer.keep)


def _before_proof(source: custom.CustomSource, request: "Request") -> _Proof | None:
    """Return what the receiver answers without looking at a proof; None where it looks."""
    if (handshake := source.answers.before_proof(request)) is not None:
        said = f"answer: {handshake.status_code} {handshake.get_data(as_text=True)} (a handshake, no event)"
        return _Proof([said], True, False)
    if request.method not in source.methods:
        return _Proof([_not_taken(request, source.methods)], False, False)
    return None


def _refused(source: custom.CustomSource, request: "Request") -> str | None:
    """Return the answer to a proven request that is no event for all that."""
    if request.method not in source.definition.methods:
        return _not_taken(request, source.definition.methods)
    encoding = encoding_of(request)
    if encoding and encoding not in encodings.KNOWN:
        return f"answer: 415: {encoding} is none of {', '.join(sorted(encodings.KNOWN))}"
    return None


def _not_taken(request: "Request", methods: Iterable[str]) -> str:
    return f"answer: 405: events come by {' or '.join(sorted(methods))}, not by {request.method}"


def _source(settings: Settings, name: str, seconds: float) -> custom.CustomSource | None:
    found = [source for source in custom.configured(settings, lambda: seconds) if source.name == name]
    return found[0] if found else None


def _why(settings: Settings, source: custom.CustomSource, request: "Request") -> Iterator[str]:
    """Yield what is known of why a request is not proven; never what would have been right."""
    definition = source.definition
    for header in _headers_of_proof(definition, request):
        if header not in request.headers:
            meant = nearest(header.lower(), (name.lower() for name in request.headers.keys()))  # noqa: SIM118
            yield f"there is no header {header}" + (f", but {meant}" if meant else "")
            return
    signing = definition.signing
    if signing is not None and not signatures(request, signing):
        yield (
            f"there is no signature with the prefix {signing.prefix!r}"
            if signing.prefix
            else "there is no signature"
        )
        return
    if signing is not None:
        told = timestamp(request, signing)
    elif definition.scheme == STANDARD:
        told = request.headers[_standard(request, "timestamp")]
    else:
        yield f"the {definition.scheme} is another one" + (
            ", or not where the table says" if definition.token else ""
        )
        return
    seconds = seconds_of(told) if told is not None else None
    if told is not None and seconds is None:
        yield f"the timestamp {told[:40]!r} is no time, or not where the table says"
        return
    if seconds is not None and (then := _source(settings, source.name, seconds)) and then.proven(request):
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
        yield f"only its time is too long ago: it was good at {moment} (try it with --at {moment})"
        return
    yield "the signature is by another secret, over another body, or of another template"


def _headers_of_proof(definition: Definition, request: "Request") -> Iterator[str]:
    """Yield the headers without which no request of a source is proven."""
    for table in (definition.signing, definition.token, definition.jwt):
        if table is not None and table.header:
            yield table.header
    if definition.scheme in {"basic", "bearer"}:
        yield "Authorization"
    elif definition.scheme == STANDARD:
        yield from (_standard(request, part) for part in ("id", "timestamp", "signature"))


def _standard(request: "Request", part: str) -> str:
    """Return a header of Standard Webhooks by the name that the sender gives it: Svix has its own."""
    return f"{'svix' if 'svix-id' in request.headers else 'webhook'}-{part}"
