"""What a provider is asked after a lost answer."""

import datetime as dt
from email.utils import format_datetime

import httpx

from pipelines.replies.calls import Places
from pipelines.replies.channels import Channel
from pipelines.replies.provider import Provider
from schemas.replies import decode_reply

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
CHANNEL = Channel(token="t", account="AC1")


def asked(text: str) -> list[str] | None:
    """Ask for a text where another system has sent one message with it and one without any."""
    messages = [
        {"sid": f"SM{body}", "body": body, "direction": "outbound-api", "date_created": format_datetime(NOW)}
        for body in ("Hi", "")
    ]
    reply = decode_reply(
        b'{"source": "twilio", "channel": "+1", "to": "+2", "content": {"MediaUrl": "https://a/b"}}'
    )
    with Provider(Places()) as provider:
        provider._client = httpx.Client(
            transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"messages": messages}))
        )
        return provider.ask_twilio(reply, text, CHANNEL, NOW)


def test_a_message_without_text_is_not_taken_for_another_without_text():
    assert asked("Hi") == ["SMHi"]
    assert asked("") is None
