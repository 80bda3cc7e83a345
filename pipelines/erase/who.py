"""What the commands about a person share: the options that say who, and what can be wrong with that."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from pipelines.erase.plan import NobodyError, Wanted
from pipelines.erase.sealed import SealError
from pipelines.reprocess import shell


def who(command: Any) -> Any:
    """Add the options that say who is meant."""
    for option in (
        click.option("--person", help="A person_id of the view people: all sources at once."),
        click.option("--source-contact", help="The source's own id of the person: a phone number, a PSID."),
        click.option("--source", help="A source of the tables, as whatsapp or twilio.sms; with --source-contact."),
        click.option("--contact", help="A contact_id of the tables."),
    ):
        command = option(command)
    return command


def asked_for(contact: str | None, source: str | None, source_contact: str | None, person: str | None) -> Wanted:
    """Return who is meant.

    Raises:
        click.UsageError: nobody, or more than one.
    """
    if bool(source) != bool(source_contact):
        raise click.UsageError("--source and --source-contact belong together")
    if sum(map(bool, (contact, source, person))) != 1:
        raise click.UsageError("who? Give --contact, or --source with --source-contact, or --person")
    return Wanted(contact, (source, source_contact) if source and source_contact else None, person)


@contextmanager
def failures() -> Iterator[None]:
    """Say in one line what fails."""
    with shell.failures():
        try:
            yield
        except (NobodyError, SealError) as error:
            raise click.ClickException(str(error)) from error
