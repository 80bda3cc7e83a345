"""`parley sources check`: is every source configured, and which URL belongs into which provider's console."""

import difflib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click
from flask import Flask

from pipelines.run import json_output
from receiver import sources as source_modules
from receiver.config import PREFIX, Settings
from receiver.sources import custom
from schemas import recipes
from schemas.custom_sources import VARIABLE, SourcesFile, SourcesFileError, read_file

CONSOLES: Final = {
    "facebook": "Meta's app dashboard: Messenger (and Instagram), Webhooks, Callback URL",
    "whatsapp": "Meta's app dashboard: WhatsApp, Configuration, Callback URL",
    "twilio": "Twilio's console: the number's or messaging service's incoming and status callback URLs",
    "google": "the Business Communications console: the agent's webhook (for replays only)",
    "airy": "Airy: POST /webhooks.subscribe, field url",
    "chatplugin": "your web site: the address of the script tag and of the API",
    "replies": "whatever posts replies to be sent; who may is in PARLEY_REPLY_TOKENS",
    "custom": "the sender's webhook settings",
}
HANDSHAKES: Final = {
    "facebook": "FACEBOOK_VERIFY_TOKENS",
    "whatsapp": "WHATSAPP_VERIFY_TOKENS",
    "google": "GOOGLE_CLIENT_TOKENS",
}
"""What the provider's handshake needs; without it the URL cannot be entered."""
NO_URL: Final = "https://<PARLEY_PUBLIC_URL>"


class Endpoint(NamedTuple):
    """A URL that takes webhooks."""

    source: str
    url: str


class Report(NamedTuple):
    """What was found."""

    endpoints: list[Endpoint]
    problems: list[str]
    notes: list[str]


@click.group()
def sources() -> None:
    """See to the sources that the environment configures."""


@sources.command()
@json_output.option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check the sources' configuration, and print the webhook URL for each provider's console.

    Exits with 1 where something is wrong.
    """
    report = examine(os.environ)
    if as_json:
        listed = [{**each._asdict(), "console": CONSOLES[each.source]} for each in report.endpoints]
        json_output.write({"endpoints": listed, "problems": report.problems, "notes": report.notes})
        ctx.exit(1 if report.problems else 0)
    for endpoint in report.endpoints:
        click.echo(f"{endpoint.source:<12} {endpoint.url}")
        click.echo(f"{'':<12} {CONSOLES[endpoint.source]}")
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    for problem in report.problems:
        click.echo(f"problem: {problem}", err=True)
    ctx.exit(1 if report.problems else 0)


@sources.command()
@click.argument("provider")
def add(provider: str) -> None:
    """Add a known PROVIDER's table to the sources file, or print it where PARLEY_SOURCES_FILE is not set.

    Exits with 2 where there is no such recipe, or the file has the source already.
    """
    if provider not in recipes.names():
        near = difflib.get_close_matches(provider, recipes.names(), 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise click.UsageError(f"no recipe for {provider!r}: {meant}There are {', '.join(recipes.names())}")
    table = recipes.text(provider)
    path = Settings(os.environ).text(VARIABLE.removeprefix(PREFIX))
    if not path:
        click.echo(table, nl=False)
        return
    file = Path(path)
    try:
        before = read_file(path) if file.exists() else ""
        known = SourcesFile(before, path).definitions
        if provider in known:
            raise click.UsageError(f"{path} has the source {provider} already")
        file.write_text(f"{before.rstrip()}\n\n{table}" if before.strip() else table, "utf-8")
    except (SourcesFileError, OSError) as error:
        raise click.UsageError(str(error)) from error
    for line in table.splitlines():
        if not line.startswith("#"):
            break
        click.echo(line.removeprefix("# "))
    definition = SourcesFile(table).definitions[provider]
    if not definition.keeps_public_keys:
        click.echo(f"Put the secret into {PREFIX}SOURCE_{provider.upper().replace('-', '_')}_SECRETS.")
    click.echo("Then run `parley sources check`, which prints the URL.")


def examine(environ: Mapping[str, str]) -> Report:
    """Return the endpoints that an environment configures, what is wrong, and what to mind."""
    settings = Settings(environ)
    app = Flask(__name__, static_folder=None)
    for routes in source_modules.blueprints(settings):
        app.register_blueprint(routes)
    urls = settings.public_urls()
    base = urls[0] if urls else NO_URL
    by_token = any(source.definition.scheme == "bearer" for source in custom.configured(settings))
    endpoints = [
        Endpoint(source, base + rule.rule)
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
        if ((source := rule.endpoint.partition(".")[0]) == "custom" or "POST" in (rule.methods or ()))
        and (by_token or rule.rule != custom.AIRYS)
    ]
    configured = {endpoint.source for endpoint in endpoints}
    problems = [*settings.problems, *_missing_handshakes(settings, configured), *_wrong_expressions(settings)]
    problems += _unfilled(settings)
    if not configured and not problems:
        problems.append("no source is configured: see docs/sources/")
    return Report(endpoints, list(dict.fromkeys(problems)), list(_notes(settings, configured, urls)))


def _missing_handshakes(settings: Settings, configured: set[str]) -> Iterator[str]:
    for source, variable in HANDSHAKES.items():
        if source in configured and not settings.secrets(variable):
            yield f"{PREFIX}{variable} is not set: {source}'s handshake would be refused"


def _unfilled(settings: Settings) -> Iterator[str]:
    """Yield where a recipe's zeros still stand for what is the operator's own."""
    for source in custom.configured(settings):
        jwt = source.definition.jwt
        if jwt is not None and jwt.audience and not jwt.audience.strip("0-"):
            yield f"{source.name}.jwt.audience is nobody's: put your own in the place of the zeros"


def _wrong_expressions(settings: Settings) -> Iterator[str]:
    """Yield what the pipeline would refuse, or never do, where the pipeline's packages are installed."""
    if not _checks_expressions():
        return
    from pipelines.sources import registry  # noqa: PLC0415 - the receiver's hosts may not have it

    path = settings.text(VARIABLE.removeprefix(PREFIX))
    try:
        text = read_file(path)
        registry.parsers(text, path)
        # What starts all the same, and never does what it says.
        yield from registry.doubts(text, path)
    except SourcesFileError as error:
        yield from error.problems


def _notes(settings: Settings, configured: set[str], urls: tuple[str, ...]) -> Iterator[str]:
    if not urls:
        yield f"{PREFIX}PUBLIC_URL is not set, so the URLs above have no host"
    elif urls[0].startswith("http://"):
        yield f"{PREFIX}PUBLIC_URL is not https: most providers refuse that"
    for source in sorted(settings.names("ALLOW_UNSIGNED") & configured):
        yield f"{PREFIX}ALLOW_UNSIGNED: whoever knows {source}'s URL can post to it where no secret is set"
    if "custom" in configured and not _checks_expressions():
        yield "jmespath is not installed here, so expressions were not checked: the pipeline does at its start"


def _checks_expressions() -> bool:
    return all(importlib.util.find_spec(package) for package in ("jmespath", "pyarrow"))


if _checks_expressions():
    from pipelines.run.try_command import try_request

    sources.add_command(try_request)
