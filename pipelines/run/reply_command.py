"""`parley reply`: posts one reply to the receiver."""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from typing import Any, Final, NamedTuple

import click

from pipelines.bigquery.target import Target, client
from pipelines.run import local_stack
from schemas.replies import IDEMPOTENCY_KEY, SOURCE, SOURCES

_TIMEOUT_SECONDS: Final = 30.0
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
    whom = _whom(conversation, source, channel, to)
    native = sys.stdin.read() if content == "-" else content
    # Not read and written again: the source's own message goes as it was given.
    body = _joined(
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


def _joined(fields: dict[str, Any], content: str) -> bytes:
    told = json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)
    return f'{told[:-1]}, "content": {content}}}'.encode()


def _post(body: bytes, key: str) -> str:
    """Return the id of a reply that the receiver has taken.

    Raises:
        click.ClickException: it has not.
    """
    token = os.environ.get("PARLEY_REPLY_TOKEN", "")
    public = os.environ.get("PARLEY_PUBLIC_URL", "").split(",")[0].strip().rstrip("/")
    if not token or not public:
        raise click.ClickException("PARLEY_REPLY_TOKEN and PARLEY_PUBLIC_URL are not both set")
    headers = {"Authorization": f"Bearer {token}", IDEMPOTENCY_KEY: key, "Content-Type": "application/json"}
    if not public.startswith(("http://", "https://")):
        raise click.ClickException(f"PARLEY_PUBLIC_URL is no URL: {public!r}")
    request = urllib.request.Request(f"{public}/{SOURCE}", body, headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["reply_id"])
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(f"{error.code}: {_message(error.read())}") from error
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(f"no answer from {public}, try again with the same --key: {error}") from error


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode("utf-8", "replace")[:200]
