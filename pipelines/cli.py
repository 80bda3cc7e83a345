"""The command line: `parley`. Commands are imported when they are used, so that a host needs only its part."""

import importlib
import logging
import sys
from typing import Any

import click

COMMANDS = {
    "batch": "pipelines.commands:batch",
    "demo": "pipelines.local.demo:demo",
    "preview": "pipelines.preview:preview",
    "query": "pipelines.bigquery.commands:query",
    "run": "pipelines.local.stack:run",
    "sources": "receiver.check:sources",
    "stream": "pipelines.commands:stream",
    "tables": "pipelines.bigquery.commands:tables",
}


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Drop what Beam says at import where its old BigQuery client is missing: Parley does not use it."""
    return not str(record.msg).startswith("apitools not found")


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is asked for.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        logging.getLogger().addFilter(_is_worth_saying)
        module, name = COMMANDS[cmd_name].split(":")
        try:
            command: Any = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in {"pipelines", "receiver", "schemas"}:
                raise
            raise click.ClickException(
                f"'parley {cmd_name}' needs the package {error.name}, which is not installed here: "
                "install parley[pipeline], parley[receiver] or parley[local]"
            ) from error
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parley")
def main() -> None:
    """Conversational webhooks to contacts, conversations and messages in BigQuery."""


if __name__ == "__main__":
    sys.exit(main())
