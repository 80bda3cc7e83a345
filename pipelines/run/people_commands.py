"""`parley people`: look at who is who, and decide it where the sources cannot."""

import contextlib
import getpass
from collections.abc import Iterator

import click
from google.api_core.exceptions import GoogleAPICallError

from pipelines.bigquery.target import client
from pipelines.run.deciding import DIFFERENT, SAME, WITHDRAWN, Decisions, Pair, UnknownError
from pipelines.run.harmless import harmless
from pipelines.run.table_commands import target

_apply = click.option(
    "--apply", "is_applied", is_flag=True, help="Decide it; else only say what would be decided."
)
_reason = click.option("--reason", help="Why; kept with the decision.")
_one = click.argument("contact")
_other = click.argument("other")


@click.group()
def people() -> None:
    """Who is who: show a person, link two contacts, take a wrong link out.

    A contact is meant by its contact_id, or by source:source_contact_id, as in whatsapp:4915550000001.
    """


@people.command()
@_one
def show(contact: str) -> None:
    """Show the person that a contact is, and what links its contacts, or would."""
    with _decisions() as decisions:
        meant = decisions.contact(contact)
        person = decisions.person(meant.contact_id)
        click.echo(harmless(f"contact {meant.contact_id}  {meant.name}"))
        for name, value in (person or {}).items():
            click.echo(harmless(f"  {name}: {', '.join(value) if isinstance(value, list) else value}"))
        for pair in decisions.pairs(meant.contact_id):
            void = f"  ({pair.void_because}: links nobody)" if pair.void_because else ""
            click.echo(harmless(f"{pair.kind}  {pair.contact_id}  {pair.other_id}  {pair.evidence}{void}"))


@people.command()
@_one
@_other
@_reason
@_apply
def link(contact: str, other: str, reason: str | None, is_applied: bool) -> None:
    """Decide that two contacts are one person; also puts a link back that was taken out.

    OTHER may also be what would link, as `show` lists it: phone:+49…, or person.id:….
    """
    with _decisions() as decisions:
        one = decisions.contact(contact).contact_id
        _decide(decisions, one, _other_id(decisions, decisions.pairs(one), other), SAME, reason, is_applied)


@people.command()
@_one
@_other
@_reason
@_apply
def unlink(contact: str, other: str, reason: str | None, is_applied: bool) -> None:
    """Decide that two are not one person, though an alias or a link says so, as `show` lists it.

    OTHER may also be what links: phone:+49…, or person.id:….
    """
    with _decisions() as decisions:
        one = decisions.contact(contact).contact_id
        found = decisions.pairs(one)
        two = _other_id(decisions, found, other)
        # A person may be one by way of others: a decision about two that nothing links directly would do nothing.
        if not any({one, two} == {pair.contact_id, pair.other_id} for pair in found):
            raise click.ClickException(f"nothing links these two directly; see: parley people show {one}")
        _decide(decisions, one, two, DIFFERENT, reason, is_applied)


@people.command()
@_one
@_other
@_reason
@_apply
def withdraw(contact: str, other: str, reason: str | None, is_applied: bool) -> None:
    """Take a decision about two contacts back, as if nothing had been decided."""
    with _decisions() as decisions:
        one = decisions.contact(contact).contact_id
        known = decisions.decided(one, other) != WITHDRAWN
        _decide(
            decisions, one, other if known else decisions.contact(other).contact_id, WITHDRAWN, reason, is_applied
        )


def _other_id(decisions: Decisions, pairs: list[Pair], other: str) -> str:
    """Return the id of a contact, or of what links others, or would."""
    is_told = any(other in (pair.contact_id, pair.other_id) for pair in pairs)
    return other if is_told else decisions.contact(other).contact_id


def _decide(
    decisions: Decisions, one: str, other: str, decision: str, reason: str | None, is_applied: bool
) -> None:
    if one == other:
        raise click.UsageError("that is one contact, not two")
    if decisions.decided(one, other) == decision:
        click.echo(f"already so: {one} and {other} are {_SAID[decision]}")
    elif not is_applied:
        click.echo(f"would decide: {one} and {other} are {_SAID[decision]}; add --apply to do so")
    elif decisions.decide(one, other, decision, getpass.getuser(), reason):
        click.echo(f"decided: {one} and {other} are {_SAID[decision]}")
    else:
        click.echo(f"already so: {one} and {other} are {_SAID[decision]}")


_SAID = {SAME: "one person", DIFFERENT: "not one person", WITHDRAWN: "left to what the sources tell"}


@contextlib.contextmanager
def _decisions() -> Iterator[Decisions]:
    where = target()
    try:
        yield Decisions(client(where), where)
    except (GoogleAPICallError, UnknownError) as error:
        raise click.ClickException(str(error)) from error
