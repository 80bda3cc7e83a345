"""`parley reply`: posts one reply to the receiver."""

import json
import os
import sys
import uuid
from typing import Final, NamedTuple

import click

from pipelines.bigquery.target import Target, client
from pipelines.run import local_stack
from pipelines.run.desk import TOKEN, Desk, DeskError, NotTakenError, reply_body
from schemas.replies import IDEMPOTENCY_KEY, SOURCES

_CONVERSATION: Final = """
SELECT
  conversation.source, channel.source_channel_id AS channel, conversation.source_conversation_id AS `to`
FROM `{views}.conversations` AS conversation
JOIN `{views}.channels` AS channel ON channel.channel_id = conversation.channel_id
WHERE conversation.conversation_id = @conversation
LIMIT 1
"""


class Whom(NamedTuple):
    """Where a reply goes, by the source's own ids."""

    source: str
    channel: str
    to: str


@click.command()
@click.argument("text", required=False)
@click.option("--conversation", help="Parley's id of the conversation, instead of the next three.")
@click.option("--source", type=click.Choice(SOURCES))
@click.option("--channel", help="The source's own id of the channel.")
@click.option("--to", help="The source's own id of the contact.")
@click.option(
    "--content", help="The source's own message as JSON, instead of TEXT; - reads it from standard input."
)
@click.option("--as", "name", help="Who answers.")
@click.option("--expires-at", help="RFC 3339: after that it is not sent any more.")
@click.option("--on-doubt", type=click.Choice(["drop", "send"]), help="What to do where nobody can know.")
@click.option("--key", help="The idempotency key; made up, and shown, by default.")
def reply(
    text: str | None,
    conversation: str | None,
    source: str | None,
    channel: str | None,
    to: str | None,
    content: str | None,
    name: str | None,
    expires_at: str | None,
    on_doubt: str | None,
    key: str | None,
) -> None:
    """Post a reply with TEXT to the receiver, and print its id. The token is PARLEY_REPLY_TOKEN.

    To try again after an error give the same --key, and it is one reply.
    """
    local_stack.adopt()
    if (text is None) == (content is None):
        raise click.UsageError("give either TEXT or --content")
    # As `parley query --format csv` has written it: its lines end in CR and LF.
    whom = _whom(conversation.strip() if conversation else None, source, channel, to)
    native = sys.stdin.read() if content == "-" else content
    # Not read and written again: the source's own message goes as it was given.
    body = reply_body(
        {
            **whom._asdict(),
            "actor": {"kind": "human", "name": name} if name else None,
            "expires_at": expires_at,
            "on_doubt": on_doubt,
        },
        json.dumps({"text": text}) if native is None else native,
    )
    key = key or str(uuid.uuid4())
    click.echo(f"{IDEMPOTENCY_KEY}: {key}", err=True)
    click.echo(_post(body, key))


def _whom(conversation: str | None, source: str | None, channel: str | None, to: str | None) -> Whom:
    """Return where a reply goes.

    Raises:
        click.UsageError: that is not said, or said twice.
        click.ClickException: there is no such conversation, or replies do not go to its source.
    """
    if conversation:
        if source or channel or to:
            raise click.UsageError("give either --conversation or --source, --channel and --to")
        return _look_up(conversation)
    if not (source and channel and to):
        raise click.UsageError("give --conversation, or --source, --channel and --to")
    return Whom(source, channel, to)


def _look_up(conversation: str) -> Whom:
    from google.cloud import bigquery  # noqa: PLC0415 - half a second that only this needs

    target = Target.from_environment(os.environ)
    parameters = [bigquery.ScalarQueryParameter("conversation", "STRING", conversation)]
    job = client(target).query(
        _CONVERSATION.format(views=f"{target.project}.{target.views_dataset}"),
        job_config=bigquery.QueryJobConfig(query_parameters=parameters),
    )
    rows = [Whom(*row.values()) for row in job.result()]
    if not rows:
        raise click.ClickException(f"there is no conversation {conversation}")
    # Rows tell SMS from Twilio's WhatsApp; replies go to the endpoint's name.
    (found,) = rows
    source = found.source.partition(".")[0]
    if source not in SOURCES:
        raise click.ClickException(f"replies do not go to {found.source}")
    return found._replace(source=source)


def _post(body: bytes, key: str) -> str:
    """Return the id of a reply that the receiver has taken.

    Raises:
        click.ClickException: it has not.
    """
    try:
        desk = Desk.from_environment(os.environ)
    except DeskError as error:
        raise click.ClickException(str(error)) from error
    if desk is None:
        raise click.ClickException(f"{TOKEN} is not set")
    try:
        return desk.post(body, key)
    except NotTakenError as error:
        if error.status:
            raise click.ClickException(f"{error.status}: {error}") from error
        raise click.ClickException(f"{error}; try again with the same --key") from error
