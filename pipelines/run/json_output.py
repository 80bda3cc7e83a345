"""`--json`: what a command found, for programs. The shapes are in docs/commands.md."""

import json
from typing import Any, Final

import click
import msgspec

option: Final = click.option(
    "--json", "as_json", is_flag=True, help="For programs: JSON on standard output, and nothing else there."
)
"""The option of every command that has it."""


def write(found: Any) -> None:
    """Write what was found as one JSON document: times in RFC 3339, bytes in base64."""
    click.echo(json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False))
